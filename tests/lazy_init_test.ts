// Copyright 2026 the lazyinit authors. MIT license.

// First, as the modules may keep what they find of `Atomics`
import { phasesWhileZeroing, withoutBlocking } from "./_platform.ts";
import {
  assert,
  assertEquals,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { inspect } from "node:util";
import {
  agentId,
  AlreadyInitializedError,
  type Codec,
  int32,
  json,
  LayoutMismatchError,
  LazyInit,
  type LazyInitHandle,
  MutexLazyInit,
  NotInitializedError,
  OwnerLostError,
  RecursiveInitializationError,
  string,
  typedArray,
  uint32,
} from "../mod.ts";
import { Agents } from "./_agents.ts";
import { codecs, values } from "./_codecs.ts";
import { Flag } from "./_flag.ts";
import { pair, pairOf } from "./_jobs.ts";

const HEADER_BYTES = 24;

/** A copy of memory, to be compared. */
function bytesOf(
  buffer: SharedArrayBuffer,
  byteOffset = 0,
  length = buffer.byteLength - byteOffset,
): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new Uint8Array(buffer, byteOffset, length));
}

Deno.test("LazyInit() starts uninitialized", () => {
  const cell = new LazyInit(int32);
  assertEquals(cell.initialized, false);
  assertEquals(cell.phase, "uninitialized");
  assertEquals(cell.get(), undefined);
  assertEquals(cell.name, "");
  assertThrows(
    () => cell.value,
    NotInitializedError,
    "Cannot read LazyInit as it must be initialized: use get() or wait() instead",
  );
});

Deno.test("LazyInit() places a cell in a given buffer and leaves the rest alone", () => {
  const buffer = new SharedArrayBuffer(64);
  new Uint8Array(buffer).fill(7, 0, 16).fill(7, 48);
  const cell = new LazyInit(int32, { buffer, byteOffset: 16, name: "answer" });
  cell.initOnce(42);
  const { kind, byteOffset, name } = cell.handle;
  assertStrictEquals(cell.handle.buffer, buffer);
  assertEquals([kind, byteOffset, name], ["LazyInit", 16, "answer"]);
  assertEquals(bytesOf(buffer, 0, 16), new Uint8Array(16).fill(7));
  assertEquals(bytesOf(buffer, 48), new Uint8Array(16).fill(7));
});

Deno.test("LazyInit() attaches to the cell that is there already", () => {
  const pages = { initial: 1, maximum: 1, shared: true };
  // The types of browsers do not know that it is shared
  const memory: { buffer: unknown } = new WebAssembly.Memory(pages);
  const buffer = memory.buffer as SharedArrayBuffer;
  const options = { buffer, byteOffset: 1024 };
  const first = new LazyInit(int32, options);
  const second = new LazyInit(int32, options);
  first.initOnce(42);
  assertEquals(second.get(), 42);
  assertEquals(new LazyInit(int32, options).get(), 42);
});

Deno.test("LazyInit() has a given value from the beginning", () => {
  const cell = new LazyInit(string(8), { value: "" });
  assertEquals(cell.get(), "");
  assertEquals(cell.phase, "initialized");
  assertEquals(LazyInit.from(cell.handle, string(8)).value, "");
  const view = new LazyInit(typedArray(Uint8Array, 2), {
    value: Uint8Array.of(1, 2),
  });
  assertEquals([...view.value], [1, 2]);
  assertStrictEquals(view.value.buffer, view.handle.buffer as ArrayBufferLike);
});

Deno.test("LazyInit() drops a value where another agent came before", () => {
  const buffer = new SharedArrayBuffer(LazyInit.byteLength(int32));
  const first = new LazyInit(int32, { buffer });
  const during = () => {
    const other = new LazyInit(int32, { buffer, value: 1 });
    assertEquals(other.phase, "initializing");
    return 2;
  };
  first.callOnce(during);
  assertEquals(new LazyInit(int32, { buffer, value: 3 }).value, 2);
});

Deno.test("LazyInit() refuses a value that the codec refuses, and leaves the cell usable", () => {
  const buffer = new SharedArrayBuffer(LazyInit.byteLength(int32));
  assertThrows(
    () => new LazyInit(int32, { buffer, value: 2 ** 31 }),
    RangeError,
  );
  assertThrows(
    () => new LazyInit(int32, { buffer, value: "1" as unknown as number }),
    TypeError,
  );
  const cell = new LazyInit(int32, { buffer });
  assertEquals(cell.phase, "uninitialized");
  assertEquals(cell.initOnce(4), 4);
});

Deno.test("LazyInit() refuses memory that holds something else", () => {
  const buffer = new SharedArrayBuffer(64);
  new LazyInit(string(16), { buffer });
  const before = bytesOf(buffer);
  for (
    const place of [
      () => new LazyInit(string(8), { buffer }),
      () => new LazyInit(string(17), { buffer }),
      () => new LazyInit(json(16), { buffer }),
      () => new MutexLazyInit(string(16), { buffer }),
    ]
  ) assertThrows(place, LayoutMismatchError, "was placed there");
  assertEquals(bytesOf(buffer), before);

  for (const dirty of [0, 4, 12, 16, 20, 24, 31]) {
    const buffer = new SharedArrayBuffer(LazyInit.byteLength(int32));
    new Uint8Array(buffer)[dirty] = 1;
    const before = bytesOf(buffer);
    assertThrows(
      () => new LazyInit(int32, { buffer }),
      LayoutMismatchError,
      "the memory must be zeroed or hold a cell",
    );
    assertEquals(bytesOf(buffer), before);
  }
});

Deno.test("LazyInit() refuses options that it cannot use", () => {
  const buffer = new SharedArrayBuffer(64);
  // deno-lint-ignore no-explicit-any
  const create = (options: any) => () => new LazyInit(int32, options);
  for (const options of [null, 5, "buffer"]) {
    assertThrows(create(options), TypeError, "'options' must be an object");
  }
  assertThrows(create({ name: 1 }), TypeError, "'name' must be a string");
  assertThrows(
    create({ byteOffset: 8 }),
    TypeError,
    "'byteOffset' must come with 'buffer'",
  );
  for (const other of [new ArrayBuffer(64), {}, null, "x", 64]) {
    assertThrows(
      create({ buffer: other }),
      TypeError,
      "'buffer' must be a SharedArrayBuffer",
    );
  }
  assertThrows(
    create({ buffer: Object.create(SharedArrayBuffer.prototype) }),
    TypeError,
    "'buffer' must be a SharedArrayBuffer: current value is an object",
  );
  assertThrows(create({ buffer, byteOffset: "8" }), TypeError, 'value is "8"');
  for (const byteOffset of [-8, 4, 1, 0.5, NaN, Infinity, 2 ** 53]) {
    assertThrows(create({ buffer, byteOffset }), RangeError, `${byteOffset}`);
  }
  for (const byteOffset of [48, 56, 64, 2 ** 40]) {
    assertThrows(
      create({ buffer, byteOffset }),
      RangeError,
      "it ends at byte 64",
    );
  }
  assertEquals(bytesOf(buffer), new Uint8Array(64));
});

Deno.test("LazyInit() judges the memory that it claims, even if an option changes", () => {
  const dirty = new SharedArrayBuffer(LazyInit.byteLength(int32));
  new Uint8Array(dirty).fill(1, 24);
  let reads = 0;
  const options = {
    get buffer() {
      return reads++ === 0 ? dirty : undefined;
    },
  };
  assertThrows(
    () => new LazyInit(int32, options as { buffer: SharedArrayBuffer }),
    LayoutMismatchError,
  );
});

Deno.test("LazyInit() refuses a codec of the same tag and another capacity", () => {
  const { handle } = new LazyInit(int32);
  assertThrows(
    () => LazyInit.from(handle, { ...int32, byteLength: 3 }),
    LayoutMismatchError,
  );
});

Deno.test("LazyInit zeroes the slot of a failed initializer before another may begin", () => {
  const cell = new LazyInit(int32);
  const phases = phasesWhileZeroing(cell, () => {
    assertThrows(() => cell.callOnce(() => JSON.parse("{")), SyntaxError);
    assertThrows(() => cell.initOnce(0.5), RangeError);
  });
  assertEquals(phases, ["initializing", "initializing"]);
});

Deno.test("LazyInit() refuses what is no codec", () => {
  const good = { tag: "x", byteLength: 8, encode() {}, decode() {} };
  for (
    const codec of [
      undefined,
      null,
      "int32",
      { ...good, tag: 1 },
      { ...good, byteLength: -1 },
      { ...good, byteLength: 0.5 },
      { ...good, byteLength: NaN },
      { ...good, encode: undefined },
      { ...good, decode: undefined },
    ]
  ) {
    for (
      const use of [
        () => new LazyInit(codec as Codec<unknown>),
        () => LazyInit.byteLength(codec as Codec<unknown>),
        () =>
          LazyInit.from(new LazyInit(int32).handle, codec as Codec<unknown>),
      ]
    ) assertThrows(use, TypeError, "Cannot use the codec");
  }
});

Deno.test("LazyInit() works in a buffer that has grown", () => {
  const buffer = new SharedArrayBuffer(32, { maxByteLength: 72 });
  new LazyInit(int32, { buffer }).initOnce(1);
  buffer.grow(72);
  const cell = new LazyInit(int32, { buffer, byteOffset: 40 });
  cell.initOnce(2);
  assertEquals(LazyInit.from(cell.handle, int32).get(), 2);
  assertEquals(new LazyInit(int32, { buffer }).get(), 1);
});

Deno.test("LazyInit.byteLength() is a header of 24 bytes and the slot, rounded up to 8", () => {
  assertEquals(LazyInit.byteLength(int32), 32);
  assertEquals(LazyInit.byteLength(typedArray(Float64Array, 3)), 48);
  assertEquals(LazyInit.byteLength(typedArray(Uint8Array, 0)), 24);
  assertEquals(LazyInit.byteLength(string(13)), 40);
  assertEquals(LazyInit.byteLength(json(16)), 40);
  assertEquals(new LazyInit(int32).handle.buffer.byteLength, 32);
});

Deno.test("LazyInit.from() attaches through a clone of the handle", () => {
  const cell = new LazyInit(int32, { name: "answer" });
  const attached = LazyInit.from(structuredClone(cell.handle), int32);
  assertEquals(attached.name, "answer");
  attached.initOnce(42);
  assertEquals(cell.get(), 42);
});

Deno.test("LazyInit.from() refuses what is no handle", () => {
  const { handle } = new LazyInit(int32);
  for (const other of [undefined, null, 1, "LazyInit"]) {
    assertThrows(
      () => LazyInit.from(other as unknown as LazyInitHandle, int32),
      TypeError,
      "'handle' must be the handle of a cell",
    );
  }
  // deno-lint-ignore no-explicit-any
  const attach = (forged: any) => () =>
    LazyInit.from({ ...handle, ...forged }, int32);
  for (const kind of [undefined, 1, "Lazy", null]) {
    assertThrows(attach({ kind }), TypeError, "'handle.kind' must be");
  }
  // Not taken for the constructor's defaults
  assertThrows(attach({ buffer: undefined }), TypeError, "is undefined");
  assertThrows(attach({ byteOffset: undefined }), TypeError, "is undefined");
  for (const name of [undefined, 1, null]) {
    assertThrows(attach({ name }), TypeError, "'handle.name' must be a string");
  }
  for (const buffer of [null, {}, new ArrayBuffer(64), "x"]) {
    assertThrows(attach({ buffer }), TypeError, "must be a SharedArrayBuffer");
  }
  for (const byteOffset of ["0", null, {}, 0n]) {
    assertThrows(
      attach({ byteOffset }),
      TypeError,
      "'byteOffset' must be a number",
    );
  }
  for (const byteOffset of [-8, NaN, 0.5, 4, 16, 24, 2 ** 31, 2 ** 53, 1e300]) {
    assertThrows(attach({ byteOffset }), RangeError);
  }
  assertEquals(LazyInit.from(handle, int32).phase, "uninitialized");
});

Deno.test("LazyInit.from() refuses another kind, codec or capacity", () => {
  const { handle } = new LazyInit(string(16), { name: "text" });
  for (const codec of [string(8), string(17), json(16), int32]) {
    assertThrows(
      () => LazyInit.from(handle, codec as Codec<unknown>),
      LayoutMismatchError,
      `it must be a LazyInit of ${codec.tag} with ${codec.byteLength} bytes`,
    );
  }
  assertThrows(
    // A type error, too
    () =>
      LazyInit.from({ ...handle, kind: "MutexLazyInit" } as never, string(16)),
    LayoutMismatchError,
    "it must be a LazyInit of string[16] with 16 bytes: its handle says MutexLazyInit",
  );
  assertThrows(
    () => MutexLazyInit.from({ ...handle, kind: "MutexLazyInit" }, string(16)),
    LayoutMismatchError,
  );
});

Deno.test("LazyInit.from() refuses memory that was never claimed", () => {
  const handle = {
    kind: "LazyInit",
    buffer: new SharedArrayBuffer(LazyInit.byteLength(int32)),
    byteOffset: 0,
    name: "",
    tag: int32.tag,
    byteLength: int32.byteLength,
  } as const;
  assertThrows(
    () => LazyInit.from(handle, int32),
    LayoutMismatchError,
    "no cell was placed there",
  );
  assert(bytesOf(handle.buffer).every((byte) => byte === 0));
});

Deno.test("LazyInit.get() returns the same reference every time", () => {
  const cell = new LazyInit(json<{ a: number }>(64));
  const value = cell.initOnce({ a: 1 });
  assertStrictEquals(cell.get(), value);
  assertStrictEquals(cell.value, value);
  assertStrictEquals(cell.getUnchecked(), value);
  const other = LazyInit.from(cell.handle, json<{ a: number }>(64));
  assertStrictEquals(other.get(), other.get());
  assertEquals(other.get(), value);
});

Deno.test("LazyInit.getMut() writes to memory that all agents see", () => {
  const codec = typedArray(Int32Array, 2);
  const cell = new LazyInit(codec);
  assertEquals(cell.getMut(), undefined);
  cell.callOnce(() => {});
  cell.getMut()![1] = 7;
  assertEquals(LazyInit.from(cell.handle, codec).value[1], 7);
});

Deno.test("LazyInit.getUnchecked() does not keep what it reads too early", () => {
  const cell = new LazyInit(int32);
  assertEquals(cell.getUnchecked(), 0);
  LazyInit.from(cell.handle, int32).initOnce(42);
  assertEquals(cell.getUnchecked(), 42);
});

Deno.test("LazyInit.value is undefined where a codec decodes to that", () => {
  const codec: Codec<undefined> = {
    tag: "unit",
    byteLength: 0,
    encode() {},
    decode: () => undefined,
  };
  const cell = new LazyInit(codec);
  assertThrows(() => cell.value, NotInitializedError);
  cell.initOnce(undefined);
  assertEquals(cell.value, undefined);
  assertEquals(cell.wait(), undefined);
});

Deno.test("LazyInit.initOnce() initializes once", () => {
  const cell = new LazyInit(int32, { name: "answer" });
  assertEquals(cell.initOnce(42), 42);
  const error = assertThrows(
    () => cell.initOnce(43),
    AlreadyInitializedError,
    'Cannot initialize LazyInit "answer" as it must be uninitialized: it is initialized, use get() or wait() instead',
  );
  assertEquals(error.value, 42);
  assertEquals(cell.value, 42);
});

Deno.test("LazyInit.callOnce() returns undefined to all but the winner", () => {
  const cell = new LazyInit(int32);
  assertEquals(cell.callOnce(() => 42), 42);
  assertEquals(
    cell.callOnce(() => {
      throw new Error("Never called");
    }),
    undefined,
  );
});

Deno.test("LazyInit.callOnce() refuses an initializer that is no function", () => {
  const cell = new LazyInit(int32);
  for (const initializer of [undefined, null, 42, {}]) {
    assertThrows(
      () => cell.callOnce(initializer as () => number),
      TypeError,
      "'initializer' must be a function",
    );
  }
  assertEquals(cell.phase, "uninitialized");
});

Deno.test("LazyInit.callOnce() refuses a promise and rolls back", () => {
  const cell = new LazyInit(int32);
  assertThrows(
    () => cell.callOnce((() => Promise.reject(new Error("Late"))) as never),
    TypeError,
    "must not return a promise: use MutexLazyInit.getOrInitAsync() instead",
  );
  assertEquals(cell.phase, "uninitialized");
  assertEquals(cell.callOnce(() => 42), 42);
});

Deno.test("LazyInit belongs to its agent while it is initializing, and to none before and after", () => {
  const other = agentId() === 1 ? 2 : 1;
  const cell = new LazyInit(int32);
  assertEquals(cell.recover(agentId()), false);
  cell.callOnce(() => {
    assertEquals(cell.recover(other), false);
    return 1;
  });
  assertEquals(cell.recover(agentId()), false);
  assertEquals(cell.value, 1);
  const failing = new LazyInit(int32);
  assertThrows(() => failing.callOnce(() => JSON.parse("{")));
  assertEquals(failing.recover(agentId()), false);
  const taken = new LazyInit(int32);
  assertThrows(
    () =>
      taken.callOnce(() => {
        assertEquals(taken.recover(agentId()), true);
        return 1;
      }),
    OwnerLostError,
  );
});

Deno.test("LazyInit refuses re-entry by every call", async () => {
  const enter: Record<string, (cell: LazyInit<number>) => unknown> = {
    initOnce: (cell) => cell.initOnce(1),
    callOnce: (cell) => cell.callOnce(() => 1),
    wait: (cell) => cell.wait(),
    "wait with timeout": (cell) => cell.wait({ timeout: 0 }),
    "through another instance": (cell) =>
      LazyInit.from(structuredClone(cell.handle), int32).callOnce(() => 1),
  };
  for (const [name, reenter] of Object.entries(enter)) {
    const cell = new LazyInit(int32, { name });
    assertThrows(
      () =>
        cell.callOnce(() => {
          reenter(cell);
          return 2;
        }),
      RecursiveInitializationError,
      `Cannot enter LazyInit "${name}" again`,
    );
    assertEquals(cell.phase, "uninitialized");
    assertEquals(cell.initOnce(3), 3);
  }
  const cell = new LazyInit(int32);
  let waited: Promise<number> | undefined;
  cell.callOnce(() => {
    waited = cell.waitAsync();
    return 1;
  });
  await assertRejects(() => waited!, RecursiveInitializationError);
});

Deno.test("LazyInit.wait() times out with a TimeoutError", () => {
  const cell = new LazyInit(int32, { name: "answer" });
  for (const timeout of [0, 1]) {
    const error = assertThrows(() => cell.wait({ timeout }), DOMException);
    assertEquals(error.name, "TimeoutError");
    assertEquals(
      error.message,
      `Cannot wait longer for LazyInit "answer": ${timeout} ms have elapsed`,
    );
  }
});

Deno.test("LazyInit.wait() refuses bad timeouts, initialized or not", () => {
  const cell = new LazyInit(int32);
  for (let i = 0; i < 2; i++) {
    assertThrows(() => cell.wait({ timeout: -1 }), RangeError, "is -1");
    assertThrows(() => cell.wait({ timeout: NaN }), RangeError, "is NaN");
    assertThrows(() => cell.wait({ timeout: "1" as never }), TypeError, '"1"');
    assertThrows(
      () => cell.wait({ timeout: Symbol("1") as never }),
      TypeError,
      "'timeout' must be a number of milliseconds: current value is Symbol(1)",
    );
    assertThrows(() => cell.wait(null as never), TypeError, "'options' must");
    if (i === 0) cell.initOnce(42);
  }
});

Deno.test("LazyInit.wait() names the way out where it may not block", () => {
  const cell = new LazyInit(int32);
  withoutBlocking(() => {
    assertThrows(
      () => cell.wait(),
      TypeError,
      "Cannot block in this agent: use waitAsync() instead",
    );
    assertThrows(() => cell.wait({ timeout: 0 }), DOMException);
    cell.initOnce(42);
    assertEquals(cell.wait(), 42);
  });
});

Deno.test("LazyInit.waitAsync() rejects with the reason of an aborted signal", async () => {
  const cell = new LazyInit(int32);
  const reason = new Error("Enough");
  const controller = new AbortController();
  const aborted = cell.waitAsync({ signal: controller.signal });
  const live = cell.waitAsync();
  controller.abort(reason);
  assertStrictEquals(await assertRejects(() => aborted), reason);
  assertStrictEquals(
    await assertRejects(() => cell.waitAsync({ signal: controller.signal })),
    reason,
  );
  cell.initOnce(42);
  assertEquals(await live, 42);
  // Nothing to wait for
  assertEquals(await cell.waitAsync({ signal: controller.signal }), 42);
});

Deno.test("LazyInit.waitAsync() refuses what is no signal", async () => {
  const cell = new LazyInit(int32);
  for (let i = 0; i < 2; i++) {
    for (const signal of [{}, 5, { aborted: false }]) {
      await assertRejects(
        () => cell.waitAsync({ signal: signal as never }),
        TypeError,
        "'signal' must be an AbortSignal",
      );
    }
    await assertRejects(
      () => cell.waitAsync(null as never),
      TypeError,
      "'options' must be an object",
    );
    if (i === 0) cell.initOnce(42);
  }
});

Deno.test("LazyInit.waitAsync() takes null and undefined for no signal", async () => {
  const cell = new LazyInit(int32);
  const waiting = [
    cell.waitAsync({ signal: null }),
    cell.waitAsync({ signal: undefined } as object),
  ];
  cell.initOnce(42);
  assertEquals(await Promise.all(waiting), [42, 42]);
});

Deno.test("LazyInit shows itself in Deno and Node", () => {
  const cell = new LazyInit(json<{ a: number }>(64), { name: 'a "cell"' });
  for (const show of [Deno.inspect, inspect]) {
    assertEquals(
      show(new LazyInit(int32)),
      "LazyInit { <uninitialized> }",
    );
  }
  cell.callOnce(() => {
    assertEquals(
      Deno.inspect(cell),
      'LazyInit "a \\"cell\\"" { <initializing> }',
    );
    return { a: 1 };
  });
  for (const show of [Deno.inspect, inspect]) {
    assertEquals(show(cell), 'LazyInit "a \\"cell\\"" { { a: 1 } }');
  }
});

for (const method of ["callOnce", "initOnce"] as const) {
  Deno.test(`LazyInit.${method}() has one winner among racing agents`, async () => {
    using agents = await Agents.start(4);
    for (let round = 0; round < 25; round++) {
      const cell = new LazyInit(pair);
      const start = new Flag();
      const calls = new SharedArrayBuffer(4);
      const raced = agents.all((index) => ({
        kind: "race",
        method,
        handle: cell.handle,
        value: pairOf(round * 4 + index),
        start: start.buffer,
        calls,
      }));
      start.raise();
      const results = await raced;
      const winners = results.filter(({ won }) => won);
      assertEquals(winners.length, 1);
      for (const { value } of results) assertEquals(value, winners[0].value);
      assertEquals(cell.value, winners[0].value);
      if (method === "callOnce") assertEquals(new Int32Array(calls)[0], 1);
    }
  });
}

Deno.test("LazyInit tells latecomers at once while another agent initializes", async () => {
  using agents = await Agents.start(2);
  const cell = new LazyInit(pair);
  const initialized = await agents.callOnce(0, cell, pairOf(1));
  assertEquals(cell.phase, "initializing");
  assertEquals(cell.get(), undefined);
  assertEquals(cell.callOnce(() => pairOf(2)), undefined);
  const error = assertThrows(
    () => cell.initOnce(pairOf(2)),
    AlreadyInitializedError,
    "it is being initialized",
  );
  assertEquals(error.value, undefined);
  assertThrows(() => cell.wait({ timeout: 1 }), DOMException);

  const waits = [
    agents.do(1, { kind: "wait", method: "wait", handle: cell.handle }),
    cell.waitAsync(),
  ];
  await agents.asleep(1);
  initialized.leave();
  for (const value of await Promise.all([initialized.done, ...waits])) {
    assertEquals(value, pairOf(1));
  }
  assertEquals(cell.wait(), pairOf(1));
});

Deno.test("LazyInit() may run over the same memory in all agents at once", async () => {
  using agents = await Agents.start(4);
  const size = LazyInit.byteLength(uint32);
  const memory = new SharedArrayBuffer(50 * size);
  for (let byteOffset = 0; byteOffset < memory.byteLength; byteOffset += size) {
    const start = new Flag();
    const placed = agents.all((index) => ({
      kind: "place",
      memory,
      byteOffset,
      // No byte of it is zero, so that a cell half placed does not look zeroed
      value: 0x01010101 * (index + 1),
      start: start.buffer,
    }));
    start.raise();
    const results = await placed;
    assertEquals(results.filter(({ won }) => won).length, 1);
    assertEquals(new Set(results.map(({ value }) => value)).size, 1);
  }
});

Deno.test("LazyInit carries a value of every codec to another agent", async () => {
  using agents = await Agents.start(1);
  const handles = Object.fromEntries(
    Object.entries(codecs).map(([name, codec]) => {
      const cell = new LazyInit(codec);
      cell.initOnce(values[name]);
      return [name, cell.handle];
    }),
  );
  assertEquals(
    await agents.do(0, { kind: "readAll", handles }),
    Object.values(values),
  );
  assertEquals(new LazyInit(int32).handle.buffer.byteLength, HEADER_BYTES + 8);
});
