// Copyright 2026 the lazyinit authors. MIT license.

import {
  assert,
  assertEquals,
  assertNotStrictEquals,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import fc from "fast-check";
import { inspect } from "node:util";
import { Keys } from "../_keys.ts";
import {
  agentId,
  bigInt64,
  bool,
  type Codec,
  float64,
  int32,
  json,
  LayoutMismatchError,
  LazyInitMap,
  type LazyInitMapKey,
  MutexLazyInit,
  OwnerLostError,
  RecursiveInitializationError,
  string,
  struct,
  typedArray,
  uint32,
} from "../mod.ts";
import { codecs, values } from "./_codecs.ts";
import { Flag } from "./_flag.ts";
import {
  keyCodec,
  type MapMessage,
  textOf,
  type Value,
  valueCodec,
  valueOf,
} from "./testdata/map_worker.ts";

/** Codecs of keys, with keys that differ. */
const KEYS: [Codec<LazyInitMapKey>, LazyInitMapKey[]][] = [
  [string(), ["", "a", "b", "aa", "Zürich", "🦒", "a\0", "x".repeat(1_000)]],
  [string(4), ["", "abcd", "abc"]],
  [int32, [0, 1, -1, 2 ** 31 - 1, -(2 ** 31)]],
  [uint32, [0, 1, 2 ** 32 - 1]],
  [float64, [0, 0.5, NaN, Infinity, -Infinity, 5e-324]],
  [bigInt64, [0n, 1n, -(2n ** 63n)]],
  [bool, [true, false]],
] as [Codec<unknown>, unknown[]][] as [
  Codec<LazyInitMapKey>,
  LazyInitMapKey[],
][];

/** All of the memory of a map, a character a byte. */
function memoryOf(
  { handle: { buffer } }: LazyInitMap<number, unknown>,
): string {
  return new TextDecoder("latin1").decode(new Uint8Array(buffer).slice());
}

function square(key: number): number {
  return key * key;
}

function unreachable(): never {
  throw new Error("It must not be called");
}

Deno.test("LazyInitMap() starts empty", () => {
  const map = new LazyInitMap(string(), int32, { name: "lengths" });
  assertEquals(map.size, 0);
  assertEquals(map.maxSize, 65_536);
  assertEquals(map.name, "lengths");
  assertEquals(map.get("a"), undefined);
  assertEquals(map.has("a"), false);
  assertEquals([...map], []);
  assertEquals(map.handle.kind, "LazyInitMap");
});

for (const [codec, keys] of KEYS) {
  Deno.test(`LazyInitMap keeps keys of ${codec.tag} apart`, () => {
    const map = new LazyInitMap(codec, int32);
    const attached = LazyInitMap.from(map.handle, codec, int32);
    for (const [index, key] of keys.entries()) {
      assertEquals(attached.get(key), undefined);
      assertEquals(map.getOrInit(key, () => index), index);
    }
    for (const [index, key] of keys.entries()) {
      assertEquals(map.get(key), index);
      assertEquals(attached.get(key), index);
      assertEquals(attached.has(key), true);
    }
    assertEquals(attached.size, keys.length);
    assertEquals(new Set(attached.keys()), new Set(keys));
    assertEquals(
      new Map(attached),
      new Map(keys.map((key, index) => [key, index])),
    );
  });
}

for (const [name, codec] of Object.entries(codecs)) {
  Deno.test(`LazyInitMap takes values of ${name}`, () => {
    const map = new LazyInitMap<number, unknown>(int32, codec);
    const value = map.getOrInit(1, () => values[name]);
    assertEquals(value, values[name]);
    assertStrictEquals(map.get(1), value);
    assertEquals(LazyInitMap.from(map.handle, int32, codec).get(1), value);
    assertEquals(map.reset(1), true);
    assertEquals(map.getOrInit(1, () => values[name]), values[name]);
  });
}

Deno.test("LazyInitMap compares keys as Map does", () => {
  const map = new LazyInitMap(float64, string());
  assertEquals(map.getOrInit(-0, (key) => `${Object.is(key, 0)}`), "true");
  assertEquals(map.getOrInit(0, unreachable), "true");
  assertEquals(map.getOrInit(NaN, String), "NaN");
  const [payload] = new Float64Array(
    new BigUint64Array([0x7ff8_0000_0000_0001n]).buffer,
  );
  assertEquals(map.getOrInit(payload!, unreachable), "NaN");
  assertEquals(new Set(map.keys()), new Set([0, NaN]));
  const attached = LazyInitMap.from(map.handle, float64, string());
  assertEquals([attached.get(-0), attached.get(payload!)], ["true", "NaN"]);
});

Deno.test("LazyInitMap keeps keys apart whose hashes are equal", () => {
  const map = new LazyInitMap(bigInt64, int32);
  const [one, other] = [184942397190738600n, 1108730214786923500n];
  map.getOrInit(one, () => 1);
  assertEquals(map.get(other), undefined);
  assertEquals(map.getOrInit(other, () => 2), 2);
  const keys = new Keys(bigInt64);
  const hashOf = (key: bigint) => {
    keys.encode(key);
    return keys.hash;
  };
  // Or else this tests nothing
  assertEquals(hashOf(one), hashOf(other));
});

Deno.test("LazyInitMap.getOrInit() calls the initializer once for each key, with the key", () => {
  const map = new LazyInitMap(string(), int32);
  const calls: string[] = [];
  const length = (key: string) => {
    calls.push(key);
    return key.length;
  };
  for (const key of ["a", "bb", "a", "bb"]) {
    assertEquals(map.getOrInit(key, length), key.length);
  }
  assertEquals(calls, ["a", "bb"]);
});

Deno.test("LazyInitMap.getOrInit() gives the initializer nothing but the key if the value is not a view", async () => {
  const map = new LazyInitMap(int32, int32);
  const count = (...given: unknown[]) => given.length;
  assertEquals(map.getOrInit(7, count), 1);
  assertEquals(await map.getOrInitAsync(8, count), 1);
});

Deno.test("LazyInitMap.getOrInit() gives views the slot and allocate after the key", () => {
  const fixed = new LazyInitMap(string(), typedArray(Uint8Array, 3));
  fixed.getOrInit("abc", (key, slot) => {
    for (let i = 0; i < 3; i++) slot[i] = key.charCodeAt(i);
  });
  assertEquals([...fixed.get("abc")!], [97, 98, 99]);
  const open = new LazyInitMap(int32, typedArray(Float64Array));
  open.getOrInit(
    3,
    (key, _slot, allocate) => void allocate(key).fill(key),
  );
  assertEquals([...open.get(3)!], [3, 3, 3]);
  open.getOrInit(2, (key) => Float64Array.of(key));
  assertEquals([...open.get(2)!], [2]);
  assertThrows(
    () => open.getOrInit(1, () => {}),
    TypeError,
    "Cannot initialize 1 of LazyInitMap as the initializer must call 'allocate' or return a value",
  );
});

Deno.test("LazyInitMap.getOrInit() gives an initializer that allocates again zeroed memory", () => {
  const map = new LazyInitMap(int32, typedArray(Uint8Array));
  map.getOrInit(1, (_key, _slot, allocate) => {
    allocate(2).fill(5);
    // In another block, and then in the same one
    for (const length of [100, 50, 70]) {
      const allocated = allocate(length);
      assertEquals([...allocated], Array(length).fill(0));
      allocated.fill(length);
    }
  });
  assertEquals([...map.get(1)!], Array(70).fill(70));
});

Deno.test("LazyInitMap.getOrInit() leaves a key whose initializer fails without a value", () => {
  const map = new LazyInitMap(int32, json());
  assertThrows(() => map.getOrInit(1, () => JSON.parse("{")), SyntaxError);
  assertEquals([map.get(1), map.has(1), map.size], [undefined, false, 0]);
  assertThrows(
    () => map.getOrInit(1, () => Promise.resolve(1) as never),
    TypeError,
    "use getOrInitAsync() instead",
  );
  assertEquals(map.getOrInit(1, () => "made"), "made");
});

Deno.test("LazyInitMap.getOrInitAsync() makes one flight of many calls for a key", async () => {
  const map = new LazyInitMap(string(), int32);
  let calls = 0;
  const length = async (key: string) => {
    calls++;
    await Promise.resolve();
    return key.length;
  };
  const values = await Promise.all(
    ["a", "bb", "a", "bb"].map((key) => map.getOrInitAsync(key, length)),
  );
  assertEquals(values, [1, 2, 1, 2]);
  assertEquals(calls, 2);
});

Deno.test("LazyInitMap.getOrInitAsync() hands a key over when an initializer fails", async () => {
  const map = new LazyInitMap(string(), int32);
  const results = await Promise.allSettled([
    map.getOrInitAsync("a", () => Promise.reject(new Error("No network"))),
    map.getOrInitAsync("a", () => Promise.resolve(1)),
  ]);
  assertEquals(results.map(({ status }) => status), ["rejected", "fulfilled"]);
  assertEquals(map.get("a"), 1);
});

Deno.test("LazyInitMap.getOrInitAsync() rejects with the reason of an aborted signal", async () => {
  const map = new LazyInitMap(string(), int32);
  const signal = AbortSignal.abort(new Error("No longer"));
  await assertRejects(
    () => map.getOrInitAsync("a", unreachable, { signal }),
    Error,
    "No longer",
  );
  assertEquals(map.has("a"), false);
});

Deno.test("LazyInitMap.get() returns the same reference until a reset", () => {
  const map = new LazyInitMap(string(), json<number[]>());
  const first = map.getOrInit("a", () => [1]);
  assertStrictEquals(map.get("a"), first);
  assertStrictEquals(map.getOrInit("a", unreachable), first);
  const attached = LazyInitMap.from(map.handle, string(), json<number[]>());
  assertEquals(attached.get("a"), [1]);
  assertEquals(attached.reset("a"), true);
  assertEquals(map.get("a"), undefined);
  const second = attached.getOrInit("a", () => [1]);
  assertEquals(map.get("a"), second);
  assertNotStrictEquals(map.get("a"), first);
});

Deno.test("LazyInitMap.get() returns undefined during an insertion", () => {
  const map = new LazyInitMap(string(), int32);
  const attached = LazyInitMap.from(map.handle, string(), int32);
  map.getOrInit("a", () => {
    for (const each of [map, attached]) {
      assertEquals([each.get("a"), each.has("a")], [undefined, false]);
      assertEquals([...each], []);
      assertEquals(each.read("a", unreachable), undefined);
    }
    return 1;
  });
  assertEquals(attached.get("a"), 1);
});

Deno.test("LazyInitMap.reset() and resetAsync() check their options for every key", async () => {
  const map = new LazyInitMap(int32, int32);
  assertThrows(() => map.getOrInit(1, unreachable), Error);
  const reason = new Error("Enough");
  for (const key of [1, 2]) {
    const { signal } = new AbortController();
    assertThrows(() => map.reset(key, { signal } as never), TypeError);
    assertThrows(() => map.reset(key, { timeout: -1 }), RangeError);
    await assertRejects(
      () => map.resetAsync(key, { timeout: 1 } as never),
      TypeError,
    );
    assertStrictEquals(
      await assertRejects(() =>
        map.resetAsync(key, { signal: AbortSignal.abort(reason) })
      ),
      reason,
    );
  }
});

/** Options that remember what is read of them; a prototype has them, as a class may. */
function observed<T extends object>(
  options: T,
): { options: T; read: string[] } {
  const read: string[] = [];
  const proxy = new Proxy(Object.create(options), {
    get(target, name) {
      read.push(String(name));
      return Reflect.get(target, name);
    },
  });
  return { options: proxy, read };
}

Deno.test("LazyInitMap() reads each option once", () => {
  const { options, read } = observed({
    name: "squares",
    buffer: new SharedArrayBuffer(1024),
    byteOffset: 8,
    maxSize: 8,
    maxByteLength: 512,
  });
  const { name, maxSize, handle } = new LazyInitMap(int32, int32, options);
  assertEquals([name, maxSize, handle.maxByteLength], ["squares", 8, 512]);
  assertEquals(read.sort(), [
    "buffer",
    "byteOffset",
    "maxByteLength",
    "maxSize",
    "name",
  ]);
});

Deno.test("LazyInitMap reads the options of each call once, whatever it knows of the key", async () => {
  const map = new LazyInitMap(int32, int32);
  map.getOrInit(1, square);
  const { signal } = new AbortController();
  const wait = { timeout: 1 };
  for (const key of [1, 2]) {
    for (
      const [given, call] of [
        [wait, (options) => map.reset(key, options)],
        [{ signal }, (options) => map.resetAsync(key, options)],
        [wait, (options) => map.getOrInit(key, square, options)],
        [{ signal }, (options) => map.getOrInitAsync(key, square, options)],
        [wait, (options) => map.getOrInit(key, square, options)],
      ] as [object, (options: object) => unknown][]
    ) {
      const { options, read } = observed(given);
      await call(options);
      assertEquals(read.sort(), ["signal", "timeout"]);
    }
  }
});

Deno.test("LazyInitMap() has room for a table of any size by default", () => {
  const maxSize = 2 ** 28;
  const map = new LazyInitMap(int32, int32, { maxSize });
  assertEquals(map.getOrInit(7, square), 49);
});

Deno.test("LazyInitMap.reset() gives false for what has no value", async () => {
  const map = new LazyInitMap(string(), int32);
  assertEquals(map.reset("a"), false);
  assertEquals(await map.resetAsync("a"), false);
  map.getOrInit("a", () => 1);
  assertEquals(await map.resetAsync("a"), true);
  assertEquals(map.reset("a"), false);
  // It was not inserted by being asked for
  const full = new LazyInitMap(string(), int32, { maxSize: 1 });
  full.reset("a");
  full.get("b");
  full.getOrInit("c", () => 1);
});

Deno.test("LazyInitMap.clear() takes all values away", () => {
  const map = new LazyInitMap(int32, int32);
  const attached = LazyInitMap.from(map.handle, int32, int32);
  for (let key = 0; key < 100; key++) map.getOrInit(key, square);
  assertEquals([map.size, attached.size], [100, 100]);
  attached.clear();
  assertEquals([map.size, attached.size], [0, 0]);
  assertEquals(map.get(7), undefined);
  assertEquals(map.getOrInit(7, square), 49);
});

Deno.test("LazyInitMap.read() gives the reader the value", () => {
  const map = new LazyInitMap(int32, typedArray(Int32Array));
  map.getOrInit(3, () => Int32Array.of(1, 2, 3));
  const sum = (value: Readonly<Int32Array>) => value.reduce((a, b) => a + b);
  assertEquals(map.read(3, sum), 6);
  assertEquals(map.read(4, sum), undefined);
  assertThrows(
    () => map.read(4, 5 as never),
    TypeError,
    "'reader' must be a function",
  );
});

Deno.test("LazyInitMap writes a value that fits where the last one was", () => {
  // Header, table, entry, block: there is room for no other
  const maxByteLength = 24 + 8 + 48 + 8 + 104;
  const map = new LazyInitMap(int32, string(), { maxSize: 1, maxByteLength });
  map.getOrInit(1, () => "x".repeat(100));
  for (const length of [100, 1, 0, 50, 100]) {
    map.reset(1);
    map.getOrInit(1, () => "y".repeat(length));
    assertEquals(map.get(1), "y".repeat(length));
  }
  map.reset(1);
  // Two, as one may be in a word that is random
  assertEquals(memoryOf(map).includes("yy"), false);
  assertThrows(() => map.getOrInit(1, () => "z".repeat(105)), RangeError);
  const larger = new LazyInitMap(int32, string(), {
    maxSize: 1,
    maxByteLength: maxByteLength + 8 + 208,
  });
  larger.getOrInit(1, () => "x".repeat(100));
  larger.reset(1);
  assertEquals(larger.getOrInit(1, () => "z".repeat(200)), "z".repeat(200));
});

Deno.test("LazyInitMap leaves nothing behind of a value that grows", () => {
  const codec = struct({ a: string(), b: string(), c: typedArray(Uint8Array) });
  const map = new LazyInitMap(int32, codec);
  const value = {
    a: "x".repeat(100),
    b: "x".repeat(50),
    c: new Uint8Array(9).fill("x".charCodeAt(0)),
  };
  for (let i = 0; i < 3; i++) {
    assertEquals(map.getOrInit(1, () => value), value);
    map.reset(1);
  }
  // Two, as one may be in a word that is random
  assertEquals(memoryOf(map).includes("xx"), false);
});

Deno.test("LazyInitMap grows with what it holds", () => {
  const map = new LazyInitMap(int32, typedArray(Uint8Array), {
    maxByteLength: 2 ** 26,
  });
  const attached = LazyInitMap.from(map.handle, int32, typedArray(Uint8Array));
  const { buffer } = map.handle;
  const before = buffer.byteLength;
  assert(before < 2 ** 20);
  for (let key = 0; key < 30; key++) {
    map.getOrInit(
      key,
      (key, _, allocate) => void allocate(2 ** 20).fill(key),
    );
    assertEquals(attached.get(key)![2 ** 20 - 1], key);
  }
  assert(buffer.byteLength > 30 * 2 ** 20);
  for (let key = 0; key < 30; key++) assertEquals(attached.get(key)![0], key);
});

Deno.test("LazyInitMap lets keys that collide be each other's initializers", () => {
  // Of eight keys, two at least are in the same one of four chains
  for (let chosen = 0; chosen < 2 ** 8; chosen++) {
    const keys = [0, 1, 2, 3, 4, 5, 6, 7].filter((key) => chosen >> key & 1);
    if (keys.length > 4) continue;
    const map = new LazyInitMap(int32, int32, {
      maxSize: 4,
      maxByteLength: 1_024,
    });
    const make = (index: number): number =>
      index === keys.length
        ? 1
        : 1 + map.getOrInit(keys[index]!, () => make(index + 1));
    assertEquals(make(0), keys.length + 1);
    const attached = LazyInitMap.from(map.handle, int32, int32);
    assertEquals(
      keys.map((key) => attached.get(key)),
      keys.map((_, index) => keys.length - index),
    );
  }
});

Deno.test("LazyInitMap lets initializers use other keys in a chain of 100", async () => {
  const map = new LazyInitMap(int32, int32);
  const make = (key: number): number =>
    key === 0 ? 0 : 1 + map.getOrInit(key - 1, make);
  assertEquals(map.getOrInit(100, make), 100);
  map.clear();
  const makeAsync = async (key: number): Promise<number> =>
    key === 0 ? 0 : 1 + await map.getOrInitAsync(key - 1, makeAsync);
  assertEquals(await map.getOrInitAsync(100, makeAsync), 100);
});

Deno.test("LazyInitMap refuses a key that needs itself", async () => {
  const map = new LazyInitMap(int32, int32, { name: "squares" });
  const make = (key: number): number => map.getOrInit((key + 1) % 3, make);
  assertThrows(
    () => map.getOrInit(0, make),
    RecursiveInitializationError,
    'Cannot enter 0 of LazyInitMap "squares" again',
  );
  const makeAsync = (key: number): Promise<number> =>
    map.getOrInitAsync((key + 1) % 3, makeAsync);
  await assertRejects(
    () => map.getOrInitAsync(0, makeAsync),
    RecursiveInitializationError,
  );
  assertEquals(map.size, 0);
  assertEquals(map.getOrInit(0, square), 0);
});

Deno.test("LazyInitMap.recover() leaves the last owner no way to the next value", async () => {
  const map = new LazyInitMap(int32, typedArray(Int32Array, 2));
  const recovered = Promise.withResolvers<void>();
  const lost = map.getOrInitAsync(7, async (_key, slot) => {
    await recovered.promise;
    slot.fill(9);
  });
  assertEquals(map.recover(agentId()), true);
  const value = map.getOrInit(7, (_key, slot) => void slot.fill(5));
  recovered.resolve();
  await assertRejects(() => lost, OwnerLostError);
  assertEquals([...value], [5, 5]);
});

Deno.test("LazyInitMap.recover() gives back what an agent has begun", () => {
  const map = new LazyInitMap(int32, int32);
  map.getOrInit(1, square);
  assertEquals(map.recover(agentId()), false);
  assertThrows(() =>
    map.getOrInit(2, () => {
      assertEquals(
        LazyInitMap.from(map.handle, int32, int32).recover(agentId()),
        true,
      );
      return 4;
    }), OwnerLostError);
  assertEquals([map.get(1), map.get(2)], [1, undefined]);
  assertEquals(map.getOrInit(2, square), 4);
  assertThrows(() => map.recover(0), RangeError);
});

Deno.test("LazyInitMap() refuses keys that are not primitive", () => {
  for (const codec of [json(), typedArray(Uint8Array), struct({ a: int32 })]) {
    assertThrows(
      () => new LazyInitMap(codec as Codec<string>, int32),
      TypeError,
      "Cannot use the codec as 'keyCodec' must be string(), int32, uint32, float64, bigInt64 or bool: current codec is",
    );
  }
  assertThrows(
    () => new LazyInitMap(5 as never, int32),
    TypeError,
    "'keyCodec' must have",
  );
  assertThrows(
    () => new LazyInitMap(int32, {} as never),
    TypeError,
    "'valueCodec' must have",
  );
});

Deno.test("LazyInitMap refuses keys that the codec cannot represent, and goes on", async () => {
  const map = new LazyInitMap(string(4), int32);
  const calls: ((key: never) => unknown)[] = [
    (key) => map.get(key),
    (key) => map.has(key),
    (key) => map.getOrInit(key, unreachable),
    (key) => map.reset(key),
    (key) => map.read(key, unreachable),
  ];
  for (const call of calls) {
    assertThrows(() => call(5 as never), TypeError, "must be a string");
    assertThrows(() => call("\ud800" as never), TypeError, "well-formed");
    assertThrows(() => call("abcde" as never), RangeError, "at most 4 bytes");
    assertThrows(() => call("üüü" as never), RangeError, "at most 4 bytes");
  }
  await assertRejects(() => map.getOrInitAsync("abcde", unreachable));
  await assertRejects(() => map.resetAsync("abcde"));
  assertEquals(map.getOrInit("abcd", () => 1), 1);
  assertEquals(map.getOrInit("üü", () => 2), 2);
  assertEquals([map.get("abcd"), map.get("a")], [1, undefined]);
});

Deno.test("LazyInitMap refuses what is not an initializer before it inserts the key", async () => {
  const map = new LazyInitMap(int32, int32, { maxSize: 1 });
  assertThrows(() => map.getOrInit(1, 5 as never), TypeError, "'initializer'");
  await assertRejects(() => map.getOrInitAsync(1, 5 as never), TypeError);
  assertEquals(map.getOrInit(2, square), 4);
});

Deno.test("LazyInitMap that is full says so before the initializer runs, and goes on", async () => {
  const map = new LazyInitMap(int32, int32, { name: "squares", maxSize: 2 });
  map.getOrInit(1, square);
  map.getOrInit(2, square);
  assertThrows(
    () => map.getOrInit(3, unreachable),
    RangeError,
    `Cannot add a key to LazyInitMap "squares" as it must have at most 2 keys: create it with a greater 'maxSize'`,
  );
  await assertRejects(() => map.getOrInitAsync(3, unreachable), RangeError);
  map.reset(1);
  assertThrows(() => map.getOrInit(3, unreachable), RangeError);
  assertEquals(map.getOrInit(1, square), 1);
  assertEquals([...map.keys()].toSorted(), [1, 2]);
});

Deno.test("LazyInitMap whose memory is full says so before the initializer runs, and goes on", () => {
  const map = new LazyInitMap(int32, typedArray(Uint8Array, 256), {
    name: "blocks",
    maxSize: 64,
    maxByteLength: 1_024,
  });
  map.getOrInit(1, (_, slot) => void slot.fill(1));
  map.getOrInit(2, (_, slot) => void slot.fill(2));
  assertThrows(
    () => map.getOrInit(3, unreachable),
    RangeError,
    `as it must have at most 'maxByteLength' bytes, which are 1024 for LazyInitMap "blocks"`,
  );
  assertEquals([map.get(2)![255], map.get(3), map.size], [2, undefined, 2]);
  map.reset(1);
  map.getOrInit(1, (_, slot) => void slot.fill(3));
  assertEquals(map.get(1)![255], 3);
  const numbers = new LazyInitMap(int32, int32, {
    maxByteLength: 480,
    maxSize: 16,
  });
  let key = 0;
  assertThrows(() => {
    for (;;) {
      numbers.getOrInit(key, () => key);
      key++;
    }
  }, RangeError);
  assertEquals(numbers.size, key);
});

Deno.test("LazyInitMap whose memory is full says so when a key needs another block, before the initializer runs", () => {
  // Header, table, entry, block: the recovered one is not used again
  const map = new LazyInitMap(int32, int32, {
    maxSize: 1,
    maxByteLength: 24 + 8 + 48 + 16,
  });
  assertThrows(() =>
    map.getOrInit(7, () => {
      map.recover(agentId());
      return 49;
    }), OwnerLostError);
  assertThrows(
    () => map.getOrInit(7, unreachable),
    RangeError,
    "'maxByteLength' bytes",
  );
  assertEquals([map.get(7), map.size], [undefined, 0]);
});

Deno.test("LazyInitMap uses its memory to the last byte", () => {
  // Header, table, entry, block
  const needed = 24 + 8 + 48 + 16;
  const create = (maxByteLength: number) =>
    new LazyInitMap(int32, int32, { maxSize: 1, maxByteLength });
  assertEquals(create(needed).getOrInit(7, square), 49);
  assertThrows(
    () => create(needed - 8).getOrInit(7, unreachable),
    RangeError,
    `'maxByteLength' bytes, which are ${needed - 8}`,
  );
});

Deno.test("LazyInitMap whose value does not fit says so, and goes on", () => {
  const map = new LazyInitMap(int32, string(), {
    maxSize: 4,
    maxByteLength: 512,
  });
  assertThrows(
    () => map.getOrInit(1, () => "x".repeat(440)),
    RangeError,
    "'maxByteLength' bytes",
  );
  assertEquals(map.getOrInit(1, () => "x".repeat(100)), "x".repeat(100));
});

Deno.test("LazyInitMap() refuses bounds that it cannot have", () => {
  const create = (options: object) => () =>
    new LazyInitMap(int32, int32, options);
  for (const maxSize of [0, -1, 1.5, NaN, 2 ** 28 + 1]) {
    assertThrows(
      create({ maxSize }),
      RangeError,
      `Cannot create the LazyInitMap as 'maxSize' must be an integer from 1 to 268435456: current value is ${maxSize}`,
    );
  }
  for (const maxByteLength of [0, 1_001, 262_000, NaN, 2 ** 32 + 8]) {
    assertThrows(
      create({ maxByteLength }),
      RangeError,
      `'maxByteLength' must be a multiple of 8 from 262168 to 4294967296: current value is ${maxByteLength}`,
    );
  }
  assertThrows(
    create({ maxSize: "1" }),
    TypeError,
    "'maxSize' must be a number",
  );
  assertThrows(create({ maxByteLength: "1" }), TypeError, "must be a number");
  assertThrows(create({ name: 5 }), TypeError, "'name' must be a string");
  assertThrows(create({ byteOffset: 8 }), TypeError, "must come with 'buffer'");
  assertThrows(create({ buffer: new ArrayBuffer(64) }), TypeError, "'buffer'");
  assertThrows(() => new LazyInitMap(int32, int32, 5 as never), TypeError);
});

Deno.test("LazyInitMap() attaches to the map that is there, and refuses another", () => {
  const buffer = new SharedArrayBuffer(4_096);
  const options = { buffer, byteOffset: 8, maxSize: 16 };
  const map = new LazyInitMap(int32, int32, options);
  map.getOrInit(7, square);
  assertEquals(new LazyInitMap(int32, int32, options).get(7), 49);
  for (
    const create of [
      () => new LazyInitMap(uint32, int32, options),
      () => new LazyInitMap(int32, uint32, options),
      () => new LazyInitMap(int32, int32, { ...options, maxSize: 17 }),
      () => new LazyInitMap(int32, int32, { ...options, maxByteLength: 2_048 }),
      () => new MutexLazyInit(int32, { buffer, byteOffset: 8 }),
    ]
  ) assertThrows(create, LayoutMismatchError);
  assertThrows(
    () => new LazyInitMap(int32, int32, { ...options, byteOffset: 1 }),
    RangeError,
  );
  assertThrows(
    () => new LazyInitMap(int32, int32, { ...options, maxByteLength: 8_192 }),
    RangeError,
  );
});

Deno.test("LazyInitMap() is placed in memory that grows", () => {
  // deno-lint-ignore no-explicit-any
  const buffer = new (SharedArrayBuffer as any)(64, { maxByteLength: 2 ** 20 });
  const map = new LazyInitMap(int32, string(), { buffer, maxSize: 4 });
  for (let key = 0; key < 4; key++) {
    map.getOrInit(key, (key) => `${key}`.repeat(10_000));
  }
  const attached = LazyInitMap.from(map.handle, int32, string());
  assertEquals(attached.get(3), "3".repeat(10_000));
  assertEquals(buffer.byteLength <= 2 ** 20, true);
});

Deno.test("LazyInitMap.from() attaches through a clone of the handle, and refuses another", () => {
  const map = new LazyInitMap(string(), int32, { name: "lengths" });
  map.getOrInit("a", () => 1);
  const handle = structuredClone(map.handle);
  const attached = LazyInitMap.from(handle, string(), int32);
  assertEquals([attached.name, attached.get("a")], ["lengths", 1]);
  assertThrows(
    () => LazyInitMap.from(handle as never, string(), uint32),
    LayoutMismatchError,
    "it must be a LazyInitMap of string to uint32 with 4 bytes: its handle says string to int32",
  );
  assertThrows(
    () => LazyInitMap.from(handle as never, string(8), int32),
    LayoutMismatchError,
  );
  assertThrows(
    () =>
      LazyInitMap.from(
        new MutexLazyInit(int32).handle as never,
        string(),
        int32,
      ),
    LayoutMismatchError,
    "its handle says MutexLazyInit",
  );
  assertThrows(
    () => LazyInitMap.from({ ...handle, maxSize: 5 }, string(), int32),
    LayoutMismatchError,
  );
  for (const maxSize of [undefined, null, "5"]) {
    assertThrows(() =>
      LazyInitMap.from({ ...handle, maxSize } as never, string(), int32)
    );
  }
  for (const bad of [undefined, null, {}, 5]) {
    assertThrows(
      () => LazyInitMap.from(bad as never, string(), int32),
      TypeError,
      "Cannot attach",
    );
  }
});

Deno.test("LazyInitMap is shown as Map is", () => {
  const map = new LazyInitMap(string(), json(), { name: "lengths" });
  assertEquals(Deno.inspect(map), 'LazyInitMap "lengths" {}');
  map.getOrInit("a", () => [1]);
  assertEquals(Deno.inspect(map), 'LazyInitMap "lengths" { "a" => [ 1 ] }');
  assertEquals(inspect(map), "LazyInitMap \"lengths\" { 'a' => [ 1 ] }");
  const many = new LazyInitMap(int32, int32);
  for (let key = 0; key < 200; key++) many.getOrInit(key, square);
  assertEquals(inspect(many).endsWith(", … }"), true);
});

/** What a sequence of calls does next. */
type Step =
  | { call: "getOrInit" | "getOrInitAsync"; key: unknown; value: unknown }
  | { call: "fail" | "get" | "has" | "reset" | "resetAsync"; key: unknown }
  | { call: "clear" | "recover" };

Deno.test("LazyInitMap does what Map would do", async () => {
  const keyed = <C extends string>(call: C, key: fc.Arbitrary<unknown>) =>
    fc.record({ call: fc.constant(call), key });
  const steps = (
    key: fc.Arbitrary<unknown>,
    value: fc.Arbitrary<unknown>,
  ): fc.Arbitrary<Step[]> =>
    fc.array(
      fc.oneof(
        {
          weight: 4,
          arbitrary: fc.record({
            call: fc.constantFrom(
              "getOrInit" as const,
              "getOrInitAsync" as const,
            ),
            key,
            value,
          }),
        },
        keyed("fail", key),
        keyed("get", key),
        keyed("has", key),
        { weight: 2, arbitrary: keyed("reset", key) },
        keyed("resetAsync", key),
        fc.record({
          call: fc.constantFrom("clear" as const, "recover" as const),
        }),
      ),
      { maxLength: 60, size: "max" },
    );
  const text = fc.string({ unit: "grapheme", maxLength: 40 });
  const subjects = fc.oneof(
    fc.record({
      keyCodec: fc.constant(string()),
      valueCodec: fc.constant(json()),
      steps: steps(
        fc.oneof(fc.constantFrom("", "a", "b", "Zürich"), text),
        fc.oneof(text, fc.array(fc.integer(), { maxLength: 50 })),
      ),
    }),
    fc.record({
      keyCodec: fc.constant(float64),
      valueCodec: fc.constant(float64),
      steps: steps(
        fc.oneof(fc.constantFrom(0, -0, NaN, 1, 2, 3), fc.double()),
        fc.double({ noNaN: true }),
      ),
    }),
    fc.record({
      keyCodec: fc.constant(int32),
      valueCodec: fc.constant(string()),
      steps: steps(fc.integer({ min: 0, max: 4 }), text),
    }),
  ) as fc.Arbitrary<{
    keyCodec: Codec<LazyInitMapKey>;
    valueCodec: Codec<unknown>;
    steps: Step[];
  }>;

  await fc.assert(
    fc.asyncProperty(
      subjects,
      fc.constantFrom(64, 65_536),
      fc.infiniteStream(fc.boolean()),
      async ({ keyCodec, valueCodec, steps }, maxSize, sides) => {
        const map = new LazyInitMap(keyCodec, valueCodec, { maxSize });
        const both = [
          map,
          LazyInitMap.from(map.handle, keyCodec, valueCodec),
        ] as const;
        const model = new Map<unknown, unknown>();
        for (const step of steps) {
          const it = both[sides.next().value ? 0 : 1];
          if ("key" in step) await apply(it, step, model);
          else if (step.call === "recover") {
            assertEquals(it.recover(agentId()), false);
          } else {
            it.clear();
            model.clear();
          }
        }
        for (const it of both) {
          assertEquals(it.size, model.size);
          assertEquals(new Map<unknown, unknown>(it), model);
          assertEquals(new Set<unknown>(it.keys()), new Set(model.keys()));
          for (const [key, value] of model) {
            assertEquals(it.get(key as never), value);
          }
        }
      },
    ),
    { numRuns: 300 },
  );
});

async function apply(
  map: LazyInitMap<LazyInitMapKey, unknown>,
  step: Extract<Step, { key: unknown }>,
  model: Map<unknown, unknown>,
): Promise<void> {
  const key = step.key as LazyInitMapKey;
  const had = model.has(key);
  switch (step.call) {
    case "getOrInit":
    case "getOrInitAsync": {
      if (!had) model.set(key, step.value);
      let calls = 0;
      const result = await map[step.call](key, (given) => {
        assert(Object.is(given, [...new Set([key])][0]));
        calls++;
        return step.value;
      });
      assertEquals(result, model.get(key));
      return assertEquals(calls, had ? 0 : 1);
    }
    case "fail": {
      const fail = () =>
        map.getOrInit(key, () => {
          throw new SyntaxError("Failed");
        });
      if (had) assertEquals(fail(), model.get(key));
      else assertThrows(fail, SyntaxError);
      return;
    }
    case "get":
      return assertEquals(map.get(key), model.get(key));
    case "has":
      return assertEquals(map.has(key), had);
    case "reset":
    case "resetAsync":
      return assertEquals(await map[step.call](key), model.delete(key));
  }
}

/** What a call on memory that was overwritten may end in. */
const DOCUMENTED = [
  LayoutMismatchError,
  OwnerLostError,
  RangeError,
  RecursiveInitializationError,
  SyntaxError,
  TypeError,
  DOMException,
];

function documented(call: () => unknown): void {
  try {
    call();
  } catch (error) {
    if (!DOCUMENTED.some((type) => error instanceof type)) throw error;
  }
}

Deno.test("LazyInitMap over memory of which any bytes were overwritten ends in a value or a documented error", () => {
  const maxByteLength = 1_024;
  const guard = 64;
  const damage = fc.record({
    byteOffset: fc.nat(maxByteLength - 1),
    bytes: fc.oneof(
      fc.uint8Array({ minLength: 1, maxLength: 8 }),
      // As small numbers are
      fc.nat(255).map((byte) => Uint8Array.of(byte, 0, 0, 0)),
    ),
  });
  fc.assert(
    fc.property(
      fc.array(damage, { minLength: 1, maxLength: 12 }),
      fc.constantFrom(1, 4, 16),
      (damages, maxSize) => {
        const buffer = new SharedArrayBuffer(guard + maxByteLength + guard);
        const options = {
          buffer,
          byteOffset: guard,
          maxByteLength,
          maxSize,
        };
        const map = new LazyInitMap(string(), json(), options);
        for (const key of ["a", "b", "cc", "dddddddd"].slice(0, maxSize)) {
          map.getOrInit(key, () => [key, 1, 2, 3]);
        }
        // The memory is the user's: all of it, whatever is where
        const memory = new Uint8Array(buffer, guard, maxByteLength);
        for (const { byteOffset, bytes } of damages) {
          memory.set(bytes.subarray(0, maxByteLength - byteOffset), byteOffset);
        }
        const outside = [
          new Uint8Array(buffer, 0, guard),
          new Uint8Array(buffer, guard + maxByteLength, guard),
        ];
        for (const side of outside) side.fill(0xa5);
        documented(() => {
          const attached = LazyInitMap.from(map.handle, string(), json());
          const timeout = { timeout: 0 };
          for (const it of [map, attached]) {
            for (const key of ["a", "b", "cc", "dddddddd", "new"]) {
              documented(() => it.get(key));
              documented(() => it.has(key));
              documented(() => it.read(key, String));
              documented(() => it.reset(key, timeout));
              documented(() => it.getOrInit(key, () => [key], timeout));
            }
            documented(() => it.size);
            documented(() => [...it.keys()]);
            documented(() => [...it]);
            documented(() => it.recover(agentId()));
            inspect(it);
          }
        });
        for (const side of outside) {
          assert(side.every((byte) => byte === 0xa5), "It wrote elsewhere");
        }
      },
    ),
    { numRuns: 1_000 },
  );
});

/** Overwrites each word of a map in turn, whatever it means, and puts it back after `body`. */
function forEachDamage(
  words: Int32Array,
  numbers: Iterable<number>,
  body: () => void,
): void {
  const replacements = [...numbers];
  for (let index = 0; index < words.length; index++) {
    const word = words[index]!;
    for (const replacement of replacements) {
      words[index] = replacement;
      body();
    }
    words[index] = word;
  }
}

Deno.test("LazyInitMap notices values that would be outside of its memory", () => {
  const buffer = new SharedArrayBuffer(1_024);
  const options = { buffer, byteOffset: 512, maxSize: 1, maxByteLength: 256 };
  const map = new LazyInitMap(int32, int32, options);
  map.getOrInit(7, square);
  // Before and after it, what would be blocks with a value
  const alien = 0x0badf00d;
  for (const [from, to] of [[0, 512], [768, 1_024]] as const) {
    new Int32Array(buffer, from, (to - from) / 4)
      .forEach((_, i, words) => words[i] = i % 4 < 2 ? 8 : alien);
  }
  let refused = 0;
  forEachDamage(
    new Int32Array(buffer, 512, 64),
    Array(buffer.byteLength / 8).keys(),
    () => {
      try {
        const attached = LazyInitMap.from(map.handle, int32, int32);
        assert(attached.get(7) !== alien);
      } catch (error) {
        if (!(error instanceof LayoutMismatchError)) throw error;
        if (error.message.includes("as its value must be in")) refused++;
      }
    },
  );
  assert(refused > 0);
  assertEquals(LazyInitMap.from(map.handle, int32, int32).get(7), 49);
});

Deno.test("LazyInitMap notices a value that would be longer than its block", () => {
  const buffer = new SharedArrayBuffer(256);
  const map = new LazyInitMap(int32, string(), { buffer, maxSize: 1 });
  map.getOrInit(7, () => "value");
  let refused = 0;
  forEachDamage(new Int32Array(buffer), [6], () => {
    try {
      const attached = LazyInitMap.from(map.handle, int32, string());
      assert(attached.get(7) !== "value\0");
    } catch (error) {
      if (!(error instanceof LayoutMismatchError)) throw error;
      if (error.message.includes("as its value must be in")) refused++;
    }
  });
  assert(refused > 0);
});

Deno.test("LazyInitMap notices chains without an end", () => {
  const buffer = new SharedArrayBuffer(512);
  const words = new Int32Array(buffer);
  const map = new LazyInitMap(int32, int32, { buffer, maxSize: 1 });
  map.getOrInit(1, square);
  for (const number of [1, 4, 20, 63, 64, 2 ** 31 - 1]) {
    // All that is linked leads to itself, or out of the memory
    words.fill(number);
    for (const call of [() => map.get(2), () => map.getOrInit(2, square)]) {
      assertThrows(
        call,
        LayoutMismatchError,
        "as its entries must be in the memory",
      );
    }
    for (
      const call of [
        () => map.size,
        () => [...map],
        () => [...map.keys()],
        () => map.recover(agentId()),
      ]
    ) assertThrows(call, LayoutMismatchError);
  }
});

/** A worker that does one thing to a map. */
class MapWorker implements Disposable {
  readonly #worker: Worker;
  readonly id: number;

  private constructor(worker: Worker, id: number) {
    this.#worker = worker;
    this.id = id;
  }

  static async start(): Promise<MapWorker> {
    const url = new URL("./testdata/map_worker.ts", import.meta.url);
    const worker = new Worker(url, { type: "module" });
    return new MapWorker(worker, await reportOf<number>(worker));
  }

  static all(count: number): Promise<MapWorker[]> {
    return Promise.all(Array.from({ length: count }, () => MapWorker.start()));
  }

  do<R>(message: MapMessage): Promise<R> {
    const report = reportOf<R>(this.#worker);
    this.#worker.postMessage(message);
    return report;
  }

  [Symbol.dispose](): void {
    this.#worker.terminate();
  }
}

function reportOf<R>(worker: Worker): Promise<R> {
  return new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = (event) => {
      event.preventDefault();
      reject(new Error(event.message));
    };
  });
}

/** A map for workers, and how often each key was made. */
function shareMap(keys: number, maxSize = keys) {
  const map = new LazyInitMap(keyCodec, valueCodec, {
    name: "shared",
    maxSize,
  });
  const made = new SharedArrayBuffer(4 * keys);
  return { map, made, counts: new Int32Array(made) };
}

function assertWhole(
  map: LazyInitMap<string, Value>,
  keys: number,
): void {
  assertEquals(map.size, keys);
  for (let key = 0; key < keys; key++) {
    assertEquals(map.get(textOf(key)), valueOf(textOf(key)));
  }
  assertEquals([...map.keys()].length, keys);
}

/** Has so many workers insert all keys, none of which may get a wrong value. */
async function insertAll(
  count: number,
  order: Omit<Extract<MapMessage, { kind: "insert" }>, "kind" | "seed">,
): Promise<void> {
  using workers = new DisposableStack();
  const all = await MapWorker.all(count);
  for (const worker of all) workers.use(worker);
  const wrong = await Promise.all(all.map((worker, index) =>
    // Two that go the same way, so that they meet at each key
    worker.do<number>({ kind: "insert", seed: index >> 1, ...order })
  ));
  assertEquals(wrong, wrong.map(() => 0));
}

Deno.test("LazyInitMap has each of 10,000 keys made once by eight workers", async () => {
  const keys = 10_000;
  const { map, made, counts } = shareMap(keys);
  const { handle } = map;
  await insertAll(8, { handle, keys, made, failing: 0, resetting: 0 });
  assertEquals(counts.every((count) => count === 1), true);
  assertWhole(map, keys);
});

Deno.test("LazyInitMap keeps its promises to workers that fail and reset", async () => {
  const keys = 500;
  // Longer chains
  const { map, made, counts } = shareMap(keys, 512);
  const { handle } = map;
  await insertAll(4, { handle, keys, made, failing: 3, resetting: 2 });
  for (let key = 0; key < keys; key++) map.getOrInit(textOf(key), valueOf);
  assertEquals(counts.every((count) => count >= 1), true);
  assertWhole(map, keys);
});

Deno.test("LazyInitMap goes on when agents end in the middle of what they do", async () => {
  const keys = 300;
  const seed = Math.floor(Math.random() * 2 ** 31);
  const { map, made } = shareMap(keys, 512);
  using workers = new DisposableStack();
  const steady = await MapWorker.all(2);
  for (const worker of steady) workers.use(worker);
  const insertion = { kind: "insert", handle: map.handle, keys, made } as const;
  const mortals = await MapWorker.all(8);
  for (const worker of mortals) workers.use(worker);
  const deaths = mortals.map(async (worker, index) => {
    const ended = new Flag();
    worker.do({
      ...insertion,
      failing: 2,
      resetting: 3,
      seed: seed + index,
      // Some in the first insertion, some amid all
      operations: 1 + (seed >>> index) % (index < 4 ? 40 : 4_000),
      ended: ended.buffer,
    });
    await ended.raised();
    map.recover(worker.id);
  });
  const wrong = steady.map((worker) =>
    worker.do<number>({ ...insertion, failing: 1, resetting: 1, seed })
  );
  await Promise.all(deaths);
  assertEquals(await Promise.all(wrong), [0, 0], `With seed ${seed}`);
  for (let key = 0; key < keys; key++) map.getOrInit(textOf(key), valueOf);
  assertWhole(map, keys);
});

for (const asynchronous of [false, true]) {
  Deno.test(
    `LazyInitMap refuses to wait for keys that need each other in two agents${
      asynchronous ? ", asynchronously" : ""
    }`,
    async () => {
      const { map } = shareMap(10);
      using workers = new DisposableStack();
      const [one, other] = await MapWorker.all(2) as [MapWorker, MapWorker];
      workers.use(one);
      workers.use(other);
      const entered = [new Flag(), new Flag()] as const;
      const nesting = (outer: number, inner: number): MapMessage => ({
        kind: "nest",
        handle: map.handle,
        outer: textOf(outer),
        inner: textOf(inner),
        entered: entered[outer]!.buffer,
        leave: entered[inner]!.buffer,
        asynchronous,
      });
      const ends = await Promise.all([
        one.do<string>(nesting(0, 1)),
        other.do<string>(nesting(1, 0)),
      ]);
      assertEquals(ends.toSorted(), ["DeadlockError", "made"]);
    },
  );
}

Deno.test("LazyInitMap lets two agents wait for keys of each other that are no cycle", async () => {
  const { map } = shareMap(10);
  using workers = new DisposableStack();
  const [one, other] = await MapWorker.all(2) as [MapWorker, MapWorker];
  workers.use(one);
  workers.use(other);
  const [first, second] = [new Flag(), new Flag()];
  const ends = await Promise.all([
    one.do<string>({
      kind: "nest",
      handle: map.handle,
      outer: textOf(0),
      inner: textOf(1),
      entered: first.buffer,
      leave: second.buffer,
      asynchronous: false,
    }),
    other.do<string>({
      kind: "nest",
      handle: map.handle,
      outer: textOf(1),
      inner: textOf(2),
      entered: second.buffer,
      leave: first.buffer,
      asynchronous: false,
    }),
  ]);
  assertEquals(ends, ["made", "made"]);
});

/** Runs `body` with so many workers, which end after it. */
async function withMapWorkers(
  count: number,
  body: (...workers: MapWorker[]) => Promise<void>,
): Promise<void> {
  using workers = new DisposableStack();
  const all = await MapWorker.all(count);
  for (const worker of all) workers.use(worker);
  await body(...all);
}

async function openAndMake(
  worker: MapWorker,
  name: string,
  value: number,
): Promise<number> {
  assertEquals(await worker.do<string>({ kind: "open", name }), "opened");
  return await worker.do<number>({ kind: "getOrInit", key: "a", value });
}

Deno.test("LazyInitMap.open() at the same moment in 8 agents gives one map, in 50 rounds", () =>
  withMapWorkers(8, async (...workers) => {
    const name = "a map at the same moment";
    const values = new Set<number>();
    for (let round = 0; round < 50; round++) {
      const start = new Flag();
      const opened = workers.map((worker) =>
        worker.do<string>({ kind: "open", name, start: start.buffer })
      );
      start.raise();
      assertEquals(await Promise.all(opened), workers.map(() => "opened"));
      const found = await Promise.all(
        workers.map((worker, index) =>
          worker.do<number>({
            kind: "getOrInit",
            key: `key ${round}`,
            value: 8 * round + index,
          })
        ),
      );
      assertEquals(new Set(found).size, 1, `In round ${round}: ${found}`);
      values.add(found[0]!);
      await Promise.all(
        workers.map((worker) => worker.do({ kind: "dispose" })),
      );
    }
    // The name was free again each time
    assertEquals(values.size, 50);
  }));

Deno.test("LazyInitMap.open() gives the map that is there when its maker has ended, and another one when all have", () =>
  withMapWorkers(4, async (maker, holder, late, last) => {
    const name = "a map whose maker ends";
    assertEquals(await openAndMake(maker!, name, 1), 1);
    assertEquals(await openAndMake(holder!, name, 2), 1);
    maker![Symbol.dispose]();
    assertEquals(await openAndMake(late!, name, 3), 1);
    await late!.do({ kind: "dispose" });
    holder![Symbol.dispose]();
    assertEquals(await openAndMake(last!, name, 4), 4);
  }));

Deno.test("LazyInitMap.open() gives another map when the maker ends while others ask for it", () =>
  withMapWorkers(4, async (maker, ...others) => {
    const name = "a map whose maker ends at once";
    const start = new Flag();
    const opened = [maker!, ...others].map((worker) =>
      worker.do<string>({ kind: "open", name, start: start.buffer })
    );
    start.raise();
    await opened[0];
    maker![Symbol.dispose]();
    await Promise.all(opened.slice(1));
    const found = await Promise.all(
      others.map((worker, value) =>
        worker.do<number>({ kind: "getOrInit", key: "a", value })
      ),
    );
    assertEquals(new Set(found).size, 1);
  }));

Deno.test("LazyInitMap.open() rejects other codecs and kinds under a name, and leaves the name alone", () =>
  withMapWorkers(2, async (holder, other) => {
    const name = "a map of numbers";
    assertEquals(await openAndMake(holder!, name, 1), 1);
    for (
      const [as, message] of [
        ["another value", "its handle says string to int32 with 4 bytes"],
        ["another key", "its handle says string to int32 with 4 bytes"],
        ["a cell", "its handle says LazyInitMap"],
      ] as const
    ) {
      const error = await other!.do<string>({ kind: "open", name, as });
      assert(error.startsWith("LayoutMismatchError: Cannot attach to"), error);
      assert(error.endsWith(message), error);
    }
    assertEquals(await openAndMake(other!, name, 2), 1);
    const cell = "a cell under the name of a map";
    using _cell = await MutexLazyInit.open(cell, int32);
    const error = await other!.do<string>({ kind: "open", name: cell });
    assert(error.endsWith("its handle says MutexLazyInit"), error);
  }));

Deno.test("LazyInitMap.open() gives another map once all have disposed of theirs, which go on", () =>
  withMapWorkers(1, async (worker) => {
    const name = "a map that is disposed of";
    const map = await LazyInitMap.open(name, string(), int32);
    assertEquals(await openAndMake(worker!, name, 1), 1);
    map[Symbol.dispose]();
    map[Symbol.dispose]();
    // The worker has it still
    using again = await LazyInitMap.open(name, string(), int32);
    assertEquals(again.get("a"), 1);
    again[Symbol.dispose]();
    await worker!.do({ kind: "dispose" });
    using another = await LazyInitMap.open(name, string(), int32);
    assertEquals([another.get("a"), map.get("a")], [undefined, 1]);
  }));

Deno.test("LazyInitMap.open() rejects bad arguments at once", async () => {
  const { open } = LazyInitMap;
  await assertRejects(
    () => open(1 as never, string(), int32),
    TypeError,
    "'name' must be a string",
  );
  await assertRejects(
    () => open("bad", json() as never, int32),
    TypeError,
    "'keyCodec' must be",
  );
  await assertRejects(
    () => open("bad", string(), {} as never),
    TypeError,
    "'valueCodec' must have",
  );
  await assertRejects(
    () => open("bad", string(), int32, { maxSize: 0 }),
    RangeError,
    "'maxSize'",
  );
  const signal = AbortSignal.abort(new Error("Not any more"));
  await assertRejects(
    () => open("bad", string(), int32, { signal }),
    Error,
    "Not any more",
  );
});

Deno.test("LazyInitMap adds no key for a call that it refuses", async () => {
  const map = new LazyInitMap(int32, int32, { maxSize: 2 });
  for (let key = 0; key < 5; key++) {
    assertThrows(
      () => map.getOrInit(key, () => 1, { timeout: NaN }),
      RangeError,
    );
    await assertRejects(
      () => map.getOrInitAsync(key, () => 1, { signal: AbortSignal.abort() }),
      DOMException,
    );
  }
  assertEquals([map.getOrInit(7, () => 7), map.getOrInit(8, () => 8)], [7, 8]);
});

Deno.test("LazyInitMap.open() refuses bounds that are out of range even if another call has made the map", async () => {
  using _map = await LazyInitMap.open("bounds of a map", int32, int32);
  await assertRejects(
    () => LazyInitMap.open("bounds of a map", int32, int32, { maxSize: -1 }),
    RangeError,
  );
});

Deno.test("LazyInitMap.recover() goes on after a key whose memory was overwritten", () => {
  const map = new LazyInitMap(string(), int32, { maxSize: 64 });
  const { buffer } = map.handle;
  const keys = ["first key", "second key", "third key"];
  assertThrows(() => {
    map.getOrInit(
      keys[0]!,
      () =>
        map.getOrInit(keys[1]!, () =>
          map.getOrInit(keys[2]!, () => {
            // Bytes that are no text
            const bytes = new Uint8Array(buffer);
            const text = new TextDecoder("latin1").decode(bytes.slice());
            bytes.fill(
              0xff,
              text.indexOf(keys[1]!),
              text.indexOf(keys[1]!) + 8,
            );
            assertEquals(map.recover(agentId()), true);
            return 1;
          })),
    );
  }, OwnerLostError);
  assertEquals(map.getOrInit(keys[0]!, () => 1), 1);
  assertEquals(map.getOrInit(keys[2]!, () => 3), 3);
});
