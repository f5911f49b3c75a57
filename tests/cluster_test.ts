// Copyright 2026 the lazyinit authors. MIT license.

import {
  assert,
  assertEquals,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { type Clock, platformClock, useClock } from "../cluster/_clock.ts";
import { decodeRecord, encodeRecord } from "../cluster/_entry.ts";
import {
  type DenoKv,
  type DenoKvAtomic,
  type DenoKvEntry,
  DenoKvStore,
} from "../cluster/deno_kv.ts";
import { EtcdStore } from "../cluster/etcd.ts";
import {
  ClusterLazyInit,
  PermanentStoreError,
  type Store,
} from "../cluster/mod.ts";
import { SqliteStore } from "../cluster/sqlite.ts";
import {
  bool,
  type Codec,
  float64,
  int32,
  json,
  type Slot,
  string,
  struct,
  typedArray,
} from "../codec.ts";
import {
  AlreadyInitializedError,
  LayoutMismatchError,
  OwnerLostError,
  RecursiveInitializationError,
} from "../errors.ts";
import { MemoryStore } from "./cluster/memory_store.ts";

/** A clock on which leases pass in no time. */
const fastClock: Clock = {
  ...platformClock,
  now: () => performance.now() * 100,
  setTimeout: (callback, milliseconds) =>
    setTimeout(callback, milliseconds / 100),
};

function fastCell<T>(
  store: Store,
  key: string,
  codec: Codec<T>,
): ClusterLazyInit<T> {
  useClock(fastClock);
  try {
    return new ClusterLazyInit(store, key, codec, { lease: 1_000 });
  } finally {
    useClock(platformClock);
  }
}

Deno.test("new ClusterLazyInit() refuses what is not a store, key, codec or lease", () => {
  const store = new MemoryStore();
  assertThrows(
    () => new ClusterLazyInit({} as Store, "key", int32),
    TypeError,
    "Cannot create the cell as 'store' must have 'get', 'set' and 'watch': current value is an object",
  );
  assertThrows(
    () => new ClusterLazyInit(store, 1 as never, int32),
    TypeError,
    "Cannot create the cell as 'key' must be a well-formed string: current value is 1",
  );
  assertThrows(
    () => new ClusterLazyInit(store, "\ud800", int32),
    TypeError,
    "'key' must be a well-formed string",
  );
  assertThrows(
    () => new ClusterLazyInit(store, "", int32),
    RangeError,
    "Cannot create the cell as 'key' must take 1 to 1024 bytes: it takes 0",
  );
  assertThrows(
    () => new ClusterLazyInit(store, "é".repeat(513), int32),
    RangeError,
    "'key' must take 1 to 1024 bytes: it takes 1026",
  );
  assertThrows(
    () => new ClusterLazyInit(store, "key", {} as Codec<number>),
    TypeError,
    "'codec' must have",
  );
  for (const lease of [0, NaN, 999, 1_000.5, -1, 2 ** 31, Infinity]) {
    assertThrows(
      () => new ClusterLazyInit(store, "key", int32, { lease }),
      RangeError,
      `Cannot create the cell as 'lease' must be an integer from 1000 to 2147483647 milliseconds: current value is ${lease}`,
    );
  }
  assertThrows(
    () => new ClusterLazyInit(store, "key", int32, { lease: "10" as never }),
    TypeError,
    "Cannot create the cell as 'lease' must be a number of milliseconds: current value is \"10\"",
  );
  assertThrows(
    () => new ClusterLazyInit(store, "key", int32, null as never),
    TypeError,
    "'options' must be an object",
  );
  assertEquals(store.gets + store.sets, 0);
});

Deno.test("ClusterLazyInit.getOrInit() runs one initializer for all calls of a process", async () => {
  const store = new MemoryStore();
  await using cell = new ClusterLazyInit(store, "key", json<{ n: number }>(64));
  let runs = 0;
  const values = await Promise.all(
    Array.from({ length: 20 }, () => cell.getOrInit(() => ({ n: ++runs }))),
  );
  assertEquals(runs, 1);
  for (const value of values) assertStrictEquals(value, values[0]);
  assertStrictEquals(cell.get(), values[0]);
  assertStrictEquals(await cell.wait(), values[0]);
});

Deno.test("ClusterLazyInit.getOrInit() goes on with the next initializer when one fails", async () => {
  await using cell = new ClusterLazyInit(new MemoryStore(), "key", int32);
  const error = new Error("No");
  const results = await Promise.allSettled([
    cell.getOrInit(() => Promise.reject(error)),
    cell.getOrInit(() => {
      throw error;
    }),
    cell.getOrInit(() => 3),
    cell.getOrInit(() => 4),
  ]);
  assertEquals(results, [
    { status: "rejected", reason: error },
    { status: "rejected", reason: error },
    { status: "fulfilled", value: 3 },
    { status: "fulfilled", value: 3 },
  ]);
});

Deno.test("ClusterLazyInit.getOrInit() refuses what is not a function or not a signal", async () => {
  await using cell = new ClusterLazyInit(new MemoryStore(), "key", int32);
  await assertRejects(
    () => cell.getOrInit(1 as never),
    TypeError,
    "Cannot initialize the cell as 'initializer' must be a function: current value is 1",
  );
  await assertRejects(
    () => cell.getOrInit(() => 1, { signal: 1 as never }),
    TypeError,
    "'signal' must be an AbortSignal",
  );
});

Deno.test("ClusterLazyInit.init() tells the value of the first", async () => {
  const store = new MemoryStore();
  await using here = new ClusterLazyInit(store, "key", int32);
  await using there = new ClusterLazyInit(store, "key", int32);
  assertEquals(await here.init(() => 1), 1);
  const error = await assertRejects(
    () => there.init(() => 2),
    AlreadyInitializedError,
    'Cannot initialize ClusterLazyInit "key" as it is initialized already',
  );
  assertEquals(error.value, 1);
});

Deno.test("ClusterLazyInit.tryInit() is not misled by a value that was reset elsewhere", async () => {
  const store = new MemoryStore();
  await using here = new ClusterLazyInit(store, "key", int32);
  await using there = new ClusterLazyInit(store, "key", int32);
  await here.init(() => 1);
  assertEquals(await there.wait(), 1);
  await here.reset();
  assertEquals(await there.tryInit(() => 2), { ok: true, value: 2 });
});

Deno.test("ClusterLazyInit: an aborted call leaves, and its run is published", async () => {
  const store = new MemoryStore();
  await using cell = new ClusterLazyInit(store, "key", int32);
  const value = Promise.withResolvers<number>();
  const controller = new AbortController();
  const running = Promise.withResolvers<void>();
  const call = cell.getOrInit(() => {
    running.resolve();
    return value.promise;
  }, controller);
  await running.promise;
  const waiter = cell.wait();
  controller.abort(new Error("Enough"));
  await assertRejects(() => call, Error, "Enough");
  value.resolve(1);
  assertEquals(await waiter, 1);
});

Deno.test("ClusterLazyInit: a call that is aborted before its run never calls the initializer", async () => {
  const store = new MemoryStore();
  await using cell = new ClusterLazyInit(store, "key", int32);
  const controller = new AbortController();
  const gate = Promise.withResolvers<void>();
  const call = cell.getOrInit(() => {
    throw new Error("Called");
  }, controller);
  store.answer = async () => {
    await gate.promise;
    store.answer = undefined;
    return null;
  };
  controller.abort(new Error("Enough"));
  await assertRejects(() => call, Error, "Enough");
  gate.resolve();
  assertEquals(await cell.getOrInit(() => 2), 2);
});

Deno.test("ClusterLazyInit: an initializer cannot wait for its own cell", async () => {
  await using cell = new ClusterLazyInit(new MemoryStore(), "key", int32);
  const calls = [
    () => cell.getOrInit(() => 1),
    () => cell.wait(),
    () => cell.reset().then(Number),
  ];
  for (const call of calls) {
    await assertRejects(
      () =>
        cell.getOrInit(async () => {
          await null;
          return await call();
        }),
      RecursiveInitializationError,
      'Cannot wait for ClusterLazyInit "key" as this call must not be within its initializer',
    );
  }
  assertEquals(await cell.getOrInit(() => 2), 2);
});

Deno.test("ClusterLazyInit: the token grows with every run", async () => {
  const store = new MemoryStore();
  await using here = new ClusterLazyInit(store, "key", int32);
  await using there = new ClusterLazyInit(store, "key", int32);
  const tokens: bigint[] = [];
  for (const cell of [here, there, here]) {
    await cell.refresh();
    await cell.getOrInit(({ token }) => tokens.push(token));
    await cell.reset();
  }
  assertEquals(tokens, tokens.toSorted((a, b) => a < b ? -1 : 1));
  assertEquals(new Set(tokens).size, 3);
});

Deno.test("ClusterLazyInit: a lost owner is told, and takes the value of its successor", async () => {
  const store = new MemoryStore();
  await using here = fastCell(store, "key", int32);
  await using there = fastCell(store, "key", int32);
  for (const call of ["getOrInit", "init"] as const) {
    const running = Promise.withResolvers<AbortSignal>();
    let runs = 0;
    const owner = here[call](({ signal }) => {
      // Either of the two may be the successor
      if (++runs > 1) return 2;
      running.resolve(signal);
      return new Promise(() => {});
    });
    owner.catch(() => {});
    const signal = await running.promise;
    // Another program of the same key, as a successor would, whose lease is over at once
    const { value, version } = store.entries.get("key")!;
    const record = decodeRecord(value);
    const taken = { ...record, owner: 1n, nonce: 1n, lease: 1_000 };
    store.version = version + 1n;
    store.put("key", {
      value: encodeRecord(taken),
      version: version + 1n,
    });
    assertEquals(await there.getOrInit(() => 2), 2);
    if (call === "init") await assertRejects(() => owner, OwnerLostError);
    else assertEquals(await owner, 2);
    assert(signal.aborted && signal.reason instanceof OwnerLostError);
    await there.reset();
    await here.refresh();
  }
});

Deno.test("ClusterLazyInit: a value that its store does not take fails at once, and nothing is written", async () => {
  const store = new MemoryStore();
  store.maxByteLength = 200;
  await using cell = new ClusterLazyInit(store, "key", string(1_000));
  await assertRejects(
    () => cell.getOrInit(() => "x".repeat(500)),
    RangeError,
    'Cannot publish the value of ClusterLazyInit "key" as its entry must take at most 200 bytes in this store: it takes ',
  );
  // Begun and rolled back
  assertEquals(store.sets, 2);
  assertEquals(cell.phase, "uninitialized");
  assertEquals(await cell.getOrInit(() => "x"), "x");
});

Deno.test("ClusterLazyInit: a value that its codec does not take fails at once", async () => {
  await using cell = new ClusterLazyInit(new MemoryStore(), "key", int32);
  await assertRejects(() => cell.getOrInit(() => 2 ** 40), RangeError);
  await assertRejects(() => cell.getOrInit(() => "1" as never), TypeError);
  assertEquals(await cell.getOrInit(() => 1), 1);
});

Deno.test("ClusterLazyInit: padding and the room that a value has not used do not travel", async () => {
  const store = new MemoryStore();
  const codec = struct({ n: int32, text: string(100_000), x: float64 });
  await using cell = new ClusterLazyInit(store, "a", string(100_000));
  await using other = new ClusterLazyInit(store, "a", string(100_000));
  await cell.getOrInit(() => "hello");
  assert(store.entries.get("a")!.value.length < 200);
  assertEquals(await other.refresh(), "hello");
  await using structs = new ClusterLazyInit(store, "b", codec);
  assertEquals(
    await structs.getOrInit(() => ({ n: 1, text: "hello", x: 0 })),
    { n: 1, text: "hello", x: 0 },
  );
  await using views = new ClusterLazyInit(
    store,
    "c",
    typedArray(Float64Array, 4),
  );
  assertEquals(
    [...await views.getOrInit(() => Float64Array.of(1, 2, 0, 0))],
    [1, 2, 0, 0],
  );
});

Deno.test("ClusterLazyInit: an open codec resizes the slot, and gets what it has written", async () => {
  interface OpenSlot extends Slot {
    resize(byteLength: number): Slot;
  }
  const open = {
    tag: "open",
    byteLength: 2 ** 30,
    open: true,
    encode(value: number[], slot: Slot) {
      const { buffer, byteOffset } = (slot as OpenSlot).resize(value.length);
      new Uint8Array(buffer, byteOffset).set(value);
    },
    decode: ({ buffer, byteOffset, byteLength }: Slot) => [
      ...new Uint8Array(buffer, byteOffset, byteLength),
    ],
  };
  const store = new MemoryStore();
  await using cell = new ClusterLazyInit<number[]>(store, "key", open);
  assertEquals(await cell.getOrInit(() => [1, 2, 0]), [1, 2, 0]);
  await using other = new ClusterLazyInit<number[]>(store, "key", open);
  assertEquals(await other.refresh(), [1, 2, 0]);
  await cell.reset();
  const huge = { length: 2 ** 31 } as number[];
  await assertRejects(
    () => cell.getOrInit(() => huge),
    RangeError,
    "Cannot resize the slot as 'byteLength' must be at most 1073741824: current value is 2147483648",
  );
});

Deno.test("ClusterLazyInit: the package's open codecs travel", async () => {
  const store = new MemoryStore();
  async function travel<T>(key: string, codec: Codec<T>, value: T) {
    await using here = new ClusterLazyInit<T>(store, key, codec);
    await using there = new ClusterLazyInit<T>(store, key, codec);
    assertEquals(await here.getOrInit(() => value), value);
    assertEquals(await there.refresh(), value);
    const { length } = store.entries.get(key)!.value;
    // What was written, not the bound
    assert(length < 300, `${key} takes ${length} bytes`);
    await there.reset();
    assertEquals(await here.refresh(), undefined);
    assertEquals(await here.getOrInit(() => value), value);
  }
  for (const text of ["", "hello", "\0", "naïve 🎉\0\0"]) {
    await travel(`string ${text}`, string(), text);
    await travel(`json ${text}`, json<{ text: string }>(), { text });
  }
  await travel("json", json<(number | null)[]>(), [1, null, 0]);
  for (const numbers of [[], [0], [1, 2, 0, 0], [NaN, -0, Infinity]]) {
    await travel(
      `typedArray ${numbers}`,
      typedArray(Float64Array),
      Float64Array.from(numbers),
    );
  }
  await travel(
    "typedArray of bytes",
    typedArray(Uint8Array, { maxLength: 100 }),
    Uint8Array.of(1, 2, 3, 0),
  );
  const codec = struct({
    flag: bool,
    name: string(),
    x: float64,
    numbers: typedArray(Int32Array),
    config: json<{ port: number }>(),
  });
  for (const name of ["", "hello"]) {
    await travel(`struct ${name}`, codec, {
      flag: true,
      name,
      x: 0.5,
      numbers: Int32Array.from(name, (_, index) => index),
      config: { port: 80 },
    });
  }
});

Deno.test("ClusterLazyInit: a value of an open codec that is beyond its bound is refused, and nothing is written", async () => {
  const store = new MemoryStore();
  await using text = new ClusterLazyInit(store, "text", string(4));
  await assertRejects(() => text.getOrInit(() => "hello"), RangeError);
  await using numbers = new ClusterLazyInit(
    store,
    "numbers",
    typedArray(Float64Array, { maxLength: 1 }),
  );
  await assertRejects(
    () => numbers.getOrInit(() => Float64Array.of(1, 2)),
    RangeError,
  );
  for (const { value } of store.entries.values()) {
    assertEquals(decodeRecord(value).phase, "uninitialized");
  }
});

Deno.test("ClusterLazyInit: another codec under the key is refused by every call", async () => {
  const store = new MemoryStore();
  await using cell = new ClusterLazyInit(store, "key", int32);
  await cell.getOrInit(() => 1);
  await using other = new ClusterLazyInit(store, "key", float64);
  const calls = [
    () => other.getOrInit(() => 1),
    () => other.tryInit(() => 1),
    () => other.wait(),
    () => other.reset(),
    () => other.refresh(),
  ];
  const { sets } = store;
  for (const call of calls) {
    await assertRejects(
      call as () => Promise<unknown>,
      LayoutMismatchError,
      'Cannot use ClusterLazyInit "key" as its codec must be int32: current value is float64',
    );
  }
  assertEquals(other.get(), undefined);
  assertEquals(store.sets, sets);
});

Deno.test("ClusterLazyInit: an entry of another program is refused, and left as it is", async () => {
  const store = new MemoryStore();
  const good = encodeRecord({
    phase: "initialized",
    generation: 0,
    nonce: 1n,
    owner: 1n,
    lease: 1_000,
    failures: 0,
    tag: "int32",
    value: { byteLength: 4, bytes: Uint8Array.of(1) },
  });
  const damaged = (at: number, byte: number) => {
    const bytes = good.slice();
    bytes[at] = byte;
    return bytes;
  };
  const foreign: [string, Uint8Array][] = [
    ["it was written by another program", new TextEncoder().encode("hello")],
    ["it was written by another program", new Uint8Array(0)],
    ["it was written by another program", damaged(0, 0)],
    ["it has version 9 of the layout", damaged(8, 9)],
    ["it was written by a machine of another byte order", damaged(10, 9)],
    ["it is damaged", damaged(9, 3)],
    ["it is damaged", damaged(41, 0)],
    ["it is damaged", damaged(23, 0xff)],
    ["it is damaged", damaged(44, 200)],
    ["it is damaged", damaged(52, 9)],
    ["it is damaged", damaged(56, 0xff)],
    ["it is damaged", good.subarray(0, good.length - 1)],
    ["must take 4 bytes of int32: it takes 3", damaged(48, 3)],
  ];
  for (const [index, [message, value]] of foreign.entries()) {
    const key = `key ${index}`;
    store.put(key, { value, version: ++store.version });
    await using cell = new ClusterLazyInit(store, key, int32);
    await assertRejects(
      () => cell.getOrInit(() => 1),
      LayoutMismatchError,
      message,
    );
    assertStrictEquals(store.entries.get(key)!.value, value);
  }
});

Deno.test("ClusterLazyInit: a store that answers garbage is not asked again", async () => {
  const garbage: [unknown, string][] = [
    [{}, "'value' must be a Uint8Array: current value is undefined"],
    [{ value: "text", version: 1n }, "'value' must be a Uint8Array"],
    [
      { value: new Uint8Array(1), version: 1 },
      "'version' must be a bigint above 0 that never decreases: current value is 1",
    ],
    [{ value: new Uint8Array(1), version: 0n }, "current value is 0n"],
    [{ value: new Uint8Array(1), version: -1n }, "current value is -1n"],
    [undefined, "'value' must be a Uint8Array"],
  ];
  for (const [answer, message] of garbage) {
    const store = new MemoryStore();
    store.watch = async function* () {};
    store.answer = () => answer;
    await using cell = new ClusterLazyInit(store, "key", int32);
    await assertRejects(() => cell.refresh(), PermanentStoreError, message);
    assertEquals(store.gets, 1);
  }
});

Deno.test("ClusterLazyInit: a store whose versions go back is refused", async () => {
  const store = new MemoryStore();
  store.version = 10n;
  await using cell = new ClusterLazyInit(store, "key", int32);
  await cell.getOrInit(() => 1);
  const { value } = store.entries.get("key")!;
  store.put("key", { value, version: 3n });
  await assertRejects(
    () => cell.refresh(),
    PermanentStoreError,
    "'version' must be a bigint above 0 that never decreases: current value is 3n after 12n",
  );
});

Deno.test("ClusterLazyInit: generations survive a deletion by somebody else", async () => {
  const store = new MemoryStore();
  await using cell = new ClusterLazyInit(store, "key", int32);
  await cell.getOrInit(() => 1);
  await cell.reset();
  await cell.getOrInit(() => 2);
  assertEquals(cell.generation, 1);
  store.entries.delete("key");
  assertEquals(await cell.refresh(), undefined);
  assertEquals(await cell.getOrInit(() => 3), 3);
  assertEquals(cell.generation, 2);
});

Deno.test("ClusterLazyInit: what a store refuses for good is not tried again", async () => {
  const store = new MemoryStore();
  await using cell = new ClusterLazyInit(store, "key", int32);
  await cell.refresh();
  const { gets, sets } = store;
  store.answer = () => {
    throw new PermanentStoreError("Unauthorized");
  };
  await assertRejects(
    () => cell.getOrInit(() => 1),
    PermanentStoreError,
    "Unauthorized",
  );
  assertEquals([store.gets, store.sets], [gets, sets + 1]);
});

Deno.test("ClusterLazyInit: a silent store is given up after three leases, and asked again by the next call", async () => {
  const store = new MemoryStore();
  await using cell = fastCell(store, "key", int32);
  store.answer = () => {
    throw new Error("No connection");
  };
  await assertRejects(() => cell.getOrInit(() => 1), Error, "No connection");
  store.answer = () => new Promise(() => {});
  await assertRejects(
    () => cell.getOrInit(() => 1),
    DOMException,
    'Cannot use ClusterLazyInit "key" as its store must answer within ',
  );
  store.answer = undefined;
  assertEquals(await cell.getOrInit(() => 1), 1);
});

Deno.test("ClusterLazyInit: a run outlives an outage of its store", async () => {
  const store = new MemoryStore();
  await using cell = fastCell(store, "key", int32);
  const value = Promise.withResolvers<number>();
  const running = Promise.withResolvers<AbortSignal>();
  const call = cell.getOrInit(({ signal }) => {
    running.resolve(signal);
    return value.promise;
  });
  const signal = await running.promise;
  store.answer = () => {
    throw new Error("No connection");
  };
  // Longer than other calls would wait
  await assertRejects(() => cell.refresh(), Error, "No connection");
  await assertRejects(() => cell.refresh(), Error, "No connection");
  assertEquals(signal.aborted, false);
  store.answer = undefined;
  value.resolve(1);
  assertEquals(await call, 1);
});

Deno.test("ClusterLazyInit: disposal ends calls in flight, and gives the cell up", async () => {
  const store = new MemoryStore();
  const cell = new ClusterLazyInit(store, "key", int32);
  const running = Promise.withResolvers<AbortSignal>();
  const calls = [
    cell.getOrInit(({ signal }) => {
      running.resolve(signal);
      return new Promise(() => {});
    }),
    cell.wait(),
  ];
  const signal = await running.promise;
  const settled = Promise.allSettled([...calls, cell.reset()]);
  await cell[Symbol.asyncDispose]();
  await cell[Symbol.asyncDispose]();
  const message =
    'Cannot use ClusterLazyInit "key" as it must not be disposed: it was disposed';
  for (const result of await settled) {
    assert(result.status === "rejected");
    assertEquals(result.reason.name, "InvalidStateError");
    assertEquals(result.reason.message, message);
  }
  assert(signal.aborted);
  await assertRejects(() => cell.refresh(), DOMException, message);
  // No lease has to pass
  await using other = new ClusterLazyInit(store, "key", int32);
  assertEquals(await other.getOrInit(() => 2), 2);
});

Deno.test("ClusterLazyInit: calls in flight reject when their store is closed", async () => {
  const store = new SqliteStore(":memory:");
  await using cell = new ClusterLazyInit(store, "key", int32);
  const calls = [cell.wait(), cell.wait()];
  const settled = Promise.allSettled(calls);
  await cell.refresh();
  await store[Symbol.asyncDispose]();
  // Long before they would look themselves
  for (const result of await settled) {
    assert(result.status === "rejected");
    assert(result.reason instanceof PermanentStoreError);
    assertEquals(
      result.reason.message,
      'Cannot use the store ":memory:" as it must not be closed: it was closed',
    );
  }
});

Deno.test("ClusterLazyInit: failing initializers back off, and a value ends that", async () => {
  const store = new MemoryStore();
  await using cell = fastCell(store, "key", int32);
  for (let failures = 1; failures <= 5; failures++) {
    const result = await cell.tryInit(() => {
      throw new Error("No");
    });
    assert(!result.ok && result.reason === "during-init");
    const { value } = store.entries.get("key")!;
    assertEquals(decodeRecord(value).failures, failures);
  }
  await cell.getOrInit(() => 1);
  assertEquals(decodeRecord(store.entries.get("key")!.value).failures, 0);
});

Deno.test("SqliteStore, EtcdStore and DenoKvStore refuse what is not a place", () => {
  assertThrows(
    () => new SqliteStore(""),
    TypeError,
    "Cannot create the store as 'path' must be the path of a file: current value is \"\"",
  );
  for (const endpoints of [[], ["127.0.0.1:2379"], "http://x", [1]]) {
    assertThrows(
      () => new EtcdStore(endpoints as string[]),
      TypeError,
      "Cannot create the store as 'endpoints' must be an array of at least one HTTP URL: current value is ",
    );
  }
  const error = assertThrows(
    () => new EtcdStore(["http://x"], { password: 1234 as never }),
    TypeError,
    "Cannot create the store as 'password' must be a string: its type is number",
  );
  assert(!error.message.includes("1234"));
  assertThrows(
    () => new EtcdStore(["http://x"], { maxByteLength: 0 }),
    RangeError,
    "'maxByteLength' must be a positive integer: current value is 0",
  );
  assertThrows(
    () => new DenoKvStore({} as never),
    TypeError,
    "Cannot create the store as 'kv' must have 'get', 'atomic' and 'watch': current value is an object",
  );
});

/** A database of Deno KV that is empty, and of which nothing is ever told. */
const emptyKv: DenoKv = {
  get: () => Promise.resolve({ value: null, versionstamp: null }),
  atomic: () => {
    const refused: DenoKvAtomic = {
      check: () => refused,
      set: () => refused,
      commit: () => Promise.resolve({ ok: false }),
    };
    return refused;
  },
  watch: () => new ReadableStream(),
};

Deno.test("DenoKvStore: a watch that fails while the key is read is no unhandled rejection", async () => {
  const gate = Promise.withResolvers<DenoKvEntry>();
  const asked = Promise.withResolvers<void>();
  let failed = false;
  await using store = new DenoKvStore({
    ...emptyKv,
    get() {
      asked.resolve();
      return gate.promise;
    },
    watch: () =>
      new ReadableStream({
        async pull(controller) {
          await asked.promise;
          controller.error(new Error("Lost"));
          failed = true;
        },
      }),
  });
  const { signal } = new AbortController();
  const changes = store.watch("key", signal)[Symbol.asyncIterator]();
  const first = changes.next();
  await asked.promise;
  // Rejections that are not handled are told of after a turn of the event loop
  for (let turn = 0; turn < 2; turn++) {
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
  assert(failed);
  gate.resolve({ value: null, versionstamp: null });
  assertEquals((await first).value, null);
  await assertRejects(() => changes.next(), Error, "Lost");
});

Deno.test("DenoKvStore: a watch that reports nothing piles nothing up", async () => {
  let listeners = 0;
  class Counted<T> extends Promise<T> {
    override then<A, B>(
      ...callbacks: Parameters<typeof Promise.prototype.then<A, B>>
    ): Promise<A | B> {
      listeners++;
      return super.then(...callbacks);
    }
  }
  const silence = new Counted<never>(() => {});
  const controller = new AbortController();
  let looks = 0;
  await using store = new DenoKvStore({
    ...emptyKv,
    get() {
      if (++looks === 5) controller.abort();
      return Promise.resolve({ value: null, versionstamp: null });
    },
    watch: () =>
      ({
        getReader: () => ({
          read: () => silence,
          cancel: () => Promise.resolve(),
        }),
      }) as unknown as ReadableStream,
  });
  for await (const entry of store.watch("key", controller.signal)) {
    assertEquals(entry, null);
  }
  assertEquals(looks, 5);
  assert(listeners <= 1);
});

Deno.test("DenoKvStore: a file that npm's package has open is polled, not watched", async () => {
  const controller = new AbortController();
  let looks = 0;
  const kv = {
    ...emptyKv,
    napi: {},
    get() {
      if (++looks === 3) controller.abort();
      return Promise.resolve({ value: null, versionstamp: null });
    },
    watch(): never {
      throw new Error("Nobody can end this watch");
    },
  };
  await using store = new DenoKvStore(kv);
  for await (const entry of store.watch("key", controller.signal)) {
    assertEquals(entry, null);
  }
  assertEquals(looks, 3);
});

Deno.test("DenoKvStore: what the database refuses for good is told as such", async () => {
  const errors = [
    new TypeError("Value too large for key value store"),
    new Deno.errors.BadResource("Bad resource ID"),
    new Error("ValueTooLong\n\nStack backtrace:\n   0: <unknown>"),
    new Error("Cannot call '.get' after '.close' is called"),
  ];
  for (const cause of errors) {
    const fail = () => {
      throw cause;
    };
    await using store = new DenoKvStore({
      get: fail,
      atomic: fail,
      watch: fail,
    });
    const { signal } = new AbortController();
    const watch = store.watch("key", signal)[Symbol.asyncIterator]();
    for (
      const call of [
        () => store.get("key"),
        () => store.set("key", Uint8Array.of(1), 0n),
        () => watch.next(),
      ]
    ) {
      const error = await assertRejects(
        call as () => Promise<unknown>,
        PermanentStoreError,
      );
      assertEquals(
        error.message,
        `Cannot use the store as Deno KV refuses: ${
          cause.message.split("\n")[0]
        }`,
      );
    }
  }
});

Deno.test("SqliteStore: versions grow for all keys, and only the expected entry is replaced", async () => {
  await using store = new SqliteStore(":memory:");
  const value = Uint8Array.of(1);
  assertEquals(await store.get("a"), null);
  assertEquals(await store.set("a", value, 5n), null);
  const first = await store.set("a", value, 0n);
  const other = await store.set("b", value, 0n);
  assert(first !== null && other !== null && other > first);
  assertEquals(await store.set("a", value, 0n), null);
  const second = await store.set("a", Uint8Array.of(2), first);
  assert(second !== null && second > other);
  assertEquals(await store.get("a"), {
    value: Uint8Array.of(2),
    version: second,
  });
});

Deno.test("SqliteStore: a watch tells of its own writes, and ends with the store", async () => {
  const store = new SqliteStore(":memory:");
  const versions: (bigint | null)[] = [];
  const watching = (async () => {
    const { signal } = new AbortController();
    for await (const entry of store.watch("key", signal)) {
      versions.push(entry?.version ?? null);
      if (versions.length === 1) await store.set("key", Uint8Array.of(1), 0n);
      else await store[Symbol.asyncDispose]();
    }
  })();
  await watching;
  assertEquals(versions, [null, 1n]);
  for (
    const call of [
      () => store.get("key"),
      () => store.set("key", Uint8Array.of(1), 0n),
    ]
  ) {
    await assertRejects(
      call as () => Promise<unknown>,
      PermanentStoreError,
      'Cannot use the store ":memory:" as it must not be closed: it was closed',
    );
  }
});

Deno.test("SqliteStore: a file that cannot be opened is refused for good", async () => {
  await using store = new SqliteStore("/nowhere/at/all.db");
  await assertRejects(
    () => store.get("key"),
    PermanentStoreError,
    'Cannot use the store "/nowhere/at/all.db" as SQLite refuses: ',
  );
});
