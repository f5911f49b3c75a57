// Copyright 2026 the lazyinit authors. MIT license.

/*
 * Values of any size in cells: what is read beside a reset, how much is zeroed when, and
 * what becomes of values and memory that do not fit.
 */

import {
  assert,
  assertEquals,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import fc from "fast-check";
import {
  agentId,
  type AsyncInitializer,
  type Codec,
  int32,
  json,
  LayoutMismatchError,
  LazyInit,
  LazyInitMap,
  Mutex,
  MutexLazyInit,
  OnceState,
  OwnerLostError,
  type Slot,
  string,
  typedArray,
} from "../mod.ts";
import { SLICE_BYTES } from "../_resetting.ts";
import { Agents } from "./_agents.ts";
import { execute, run } from "./_commands.ts";
import { isSlotZeroed } from "./_cell_slots.ts";

const bytes = typedArray(Uint8Array);

/** A cell that several turns are needed to reset, and how many. */
function large(turns = 3): MutexLazyInit<Uint8Array> {
  const cell = new MutexLazyInit(bytes);
  cell.init((_slot, allocate) => allocate(turns * SLICE_BYTES).fill(1));
  return cell;
}

/** How many bytes of the value are not zeroed yet. */
function left(view: Readonly<Uint8Array>): number {
  return view.lastIndexOf(1) + 1;
}

/** Resolves when the timers that are due have gone off. */
function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}

Deno.test("MutexLazyInit.read() returns what the reader returns, and undefined without a value", () => {
  const cell = new MutexLazyInit(bytes);
  assertEquals(cell.read(() => 1), undefined);
  cell.init(() => Uint8Array.of(1, 2, 3));
  assertEquals(cell.read((value) => value.length), 3);
  assertEquals(cell.read(() => undefined), undefined);
  cell.reset();
  assertEquals(cell.read(() => 1), undefined);
});

Deno.test("MutexLazyInit.read() gives the reader the value that get() returns", () => {
  const cell = new MutexLazyInit(string());
  cell.init(() => "Zürich");
  assertStrictEquals(cell.read((value) => value), cell.get());
});

Deno.test("MutexLazyInit.read() calls the reader again with the next value if a reset comes in between", () => {
  const cell = new MutexLazyInit(bytes);
  // As in another agent
  const other = MutexLazyInit.from(cell.handle, bytes);
  other.init(() => Uint8Array.of(1));
  const seen: number[] = [];
  const result = cell.read((value) => {
    seen.push(value[0]!);
    if (seen.length === 1) {
      other.reset();
      other.init(() => Uint8Array.of(2, 2));
    }
    return [value[0], value.length];
  });
  assertEquals(seen, [1, 2]);
  assertEquals(result, [2, 2]);
});

Deno.test("MutexLazyInit.read() returns undefined if nothing follows the value that was reset", () => {
  const cell = new MutexLazyInit(bytes);
  const other = MutexLazyInit.from(cell.handle, bytes);
  other.init(() => Uint8Array.of(1));
  let calls = 0;
  assertEquals(
    cell.read(() => {
      calls++;
      other.reset();
      return "torn";
    }),
    undefined,
  );
  assertEquals(calls, 1);
});

Deno.test("MutexLazyInit.read() drops what the reader throws over a value that was reset", () => {
  const cell = new MutexLazyInit(bytes);
  const other = MutexLazyInit.from(cell.handle, bytes);
  other.init(() => Uint8Array.of(1));
  assertEquals(
    cell.read((value) => {
      if (value[0] === 2) return "whole";
      other.reset();
      other.init(() => Uint8Array.of(2));
      throw new Error("torn");
    }),
    "whole",
  );
  assertThrows(
    () =>
      cell.read(() => {
        throw new Error("mine");
      }),
    Error,
    "mine",
  );
});

Deno.test("MutexLazyInit.read() lets the reader use the cell", () => {
  const cell = new MutexLazyInit(bytes);
  cell.init(() => Uint8Array.of(1));
  let resets = 0;
  assertEquals(
    cell.read((value) => {
      if (resets++ === 0) {
        cell.reset();
        cell.init(() => Uint8Array.of(7));
        cell.get();
      }
      return value[0];
    }),
    7,
  );
  assertEquals(cell.read(() => cell.read((value) => value[0])), 7);
});

Deno.test("MutexLazyInit.read() refuses a reader that is no function or returns a promise", () => {
  const cell = new MutexLazyInit(int32);
  cell.init(() => 42);
  assertThrows(
    () => cell.read(undefined as unknown as () => void),
    TypeError,
    "Cannot read the cell as 'reader' must be a function: current value is undefined",
  );
  assertThrows(
    () => cell.read(() => Promise.reject(new Error("unheard"))),
    TypeError,
    "Cannot read the cell as 'reader' must not return a promise: the value may be torn by the time the promise settles",
  );
});

Deno.test("MutexLazyInit.resetAsync() zeroes a large value in slices of several turns", async () => {
  const cell = large(3);
  const view = cell.value;
  // Due before the first of the timers that the reset starts
  const between = turn().then(() => left(view));
  const reset = cell.resetAsync();
  assertEquals(left(view), 2 * SLICE_BYTES);
  assertEquals(await between, 2 * SLICE_BYTES);
  while (cell.phase === "initializing") {
    assertEquals(left(view) % SLICE_BYTES, 0);
    await turn();
  }
  assertEquals(await reset, true);
  assertEquals(left(view), 0);
  assertEquals(cell.phase, "uninitialized");
  assertEquals(await cell.resetAsync(), false);
});

Deno.test("MutexLazyInit.resetAsync() zeroes a small value at once", async () => {
  const cell = large(1);
  const reset = cell.resetAsync();
  assertEquals(cell.phase, "uninitialized");
  assertEquals(await reset, true);
});

Deno.test("MutexLazyInit.resetAsync() is finished by synchronous calls of the same agent", async () => {
  const calls: ((cell: MutexLazyInit<Uint8Array>) => unknown)[] = [
    (cell) => cell.init(() => Uint8Array.of(9)),
    (cell) => cell.getOrInit(() => Uint8Array.of(9), { timeout: 0 }),
    (cell) => assertEquals(cell.reset(), false),
    (cell) => assertThrows(() => cell.wait({ timeout: 0 }), DOMException),
  ];
  for (const call of calls) {
    const cell = large();
    const view = cell.value;
    const reset = cell.resetAsync();
    assertEquals(cell.phase, "initializing");
    assertEquals(cell.get(), undefined);
    assertEquals(cell.read(() => "a value"), undefined);
    // By another object, as another copy of the package might
    call(MutexLazyInit.from(cell.handle, bytes));
    assertEquals(left(view), 0);
    assert(cell.phase !== "initializing");
    assertEquals(await reset, true);
  }
});

Deno.test("MutexLazyInit.resetAsync() lets asynchronous calls of the same agent wait", async () => {
  const cell = large();
  const reset = cell.resetAsync();
  const [again, value] = await Promise.all([
    cell.resetAsync(),
    cell.getOrInitAsync(() => Uint8Array.of(9)),
  ]);
  assertEquals([again, value[0], await reset], [false, 9, true]);
});

Deno.test("MutexLazyInit.resetAsync() goes on after its signal was aborted", async () => {
  const cell = large();
  const controller = new AbortController();
  const reset = cell.resetAsync({ signal: controller.signal });
  controller.abort(new Error("late"));
  await assertRejects(() => reset, Error, "late");
  await cell.getOrInitAsync(() => Uint8Array.of(9));
  assertEquals(cell.value[0], 9);
});

Deno.test("MutexLazyInit.resetAsync() rejects if its agent is declared dead between slices", async () => {
  const cell = large();
  const view = cell.value;
  const reset = cell.resetAsync();
  // As another agent does
  assertEquals(cell.recover(agentId()), true);
  assertEquals(left(view), 0);
  cell.init((_slot, allocate) => allocate(5).fill(7));
  await assertRejects(
    () => reset,
    OwnerLostError,
    "Cannot reset MutexLazyInit as this agent must own the cell: it was declared dead by recover() meanwhile",
  );
  assertEquals([...cell.value], [7, 7, 7, 7, 7]);
});

Deno.test("MutexLazyInit.resetAsync() leaves the next initializer alone if its agent is declared dead", async () => {
  const cell = large();
  const reset = cell.resetAsync();
  const lost = assertRejects(() => reset, OwnerLostError);
  cell.recover(agentId());
  const value = await cell.getOrInitAsync(async (_slot, allocate) => {
    const view = allocate(2 * SLICE_BYTES).fill(7);
    // The turn of the reset comes while this agent owns the cell again
    await lost;
    return view;
  });
  assertEquals(value[0], 7);
  assertEquals(value.at(-1), 7);
});

Deno.test("LazyInit.wait() finishes the resets of its agent before it blocks", async () => {
  const cell = large();
  const view = cell.value;
  const reset = cell.resetAsync();
  assertThrows(() => new LazyInit(int32).wait({ timeout: 1 }), DOMException);
  assertEquals(left(view), 0);
  assertEquals(await reset, true);
});

Deno.test("OnceState.wait() and Mutex.lockIfAvailable() finish the resets of their agent before they block", async () => {
  const mutex = new Mutex();
  using agents = await Agents.start(1);
  await agents.hold(0, mutex);
  for (
    const block of [
      () => assertEquals(new OnceState().wait(1), false),
      () => assertEquals(mutex.lockIfAvailable(1), null),
    ]
  ) {
    const cell = large();
    const view = cell.value;
    const reset = cell.resetAsync();
    block();
    assertEquals(left(view), 0);
    assertEquals(await reset, true);
  }
});

// --- Bad input ---

/** Runs `call`, which must throw exactly that, and leave the cell as it was. */
function assertRefused(
  cell: MutexLazyInit<Uint8Array>,
  call: () => unknown,
  type: ErrorConstructor,
  message: string,
): void {
  const error = assertThrows(call, type);
  assertEquals(error.message, message);
  assertEquals(cell.phase, "uninitialized");
  assert(isSlotZeroed(cell));
  assertEquals([...cell.init(() => Uint8Array.of(7))], [7]);
  cell.reset();
}

Deno.test("allocate() refuses what is no length, and more than the bound", () => {
  for (const cell of [new MutexLazyInit(bytes), inGivenMemory()]) {
    const { tag, byteLength } = cell.handle;
    const lengths: [unknown, ErrorConstructor, string][] = [
      [byteLength + 1, RangeError, `${byteLength + 1}`],
      [-1, RangeError, "-1"],
      [0.5, RangeError, "0.5"],
      [NaN, RangeError, "NaN"],
      [2 ** 53, RangeError, "9007199254740992"],
    ];
    for (const [length, type, shown] of lengths) {
      assertRefused(
        cell,
        () => cell.init((_slot, allocate) => allocate(length as number)),
        type,
        `Cannot allocate ${tag} as 'length' must be an integer from 0 to ${byteLength}: current value is ${shown}`,
      );
    }
    assertRefused(
      cell,
      () => cell.init((_slot, allocate) => allocate("3" as never)),
      TypeError,
      `Cannot allocate ${tag} as 'length' must be a number: current value is "3"`,
    );
  }
});

/** A cell between bytes that nothing may touch. */
function inGivenMemory(): MutexLazyInit<Uint8Array> {
  const codec = typedArray(Uint8Array, { maxLength: 1000 });
  const buffer = new SharedArrayBuffer(MutexLazyInit.byteLength(codec) + 64);
  return new MutexLazyInit(codec, { buffer, byteOffset: 32 });
}

Deno.test("allocate() refuses the length of a fixed codec's value that has another", () => {
  const cell = new MutexLazyInit(typedArray(Uint8Array, 3));
  assertThrows(
    () => cell.init((_slot, allocate) => allocate(4)),
    RangeError,
    "Cannot allocate uint8[3] as 'length' must be 3: current value is 4",
  );
  assertEquals([...cell.init((_slot, allocate) => allocate(3).fill(1))], [
    1,
    1,
    1,
  ]);
});

Deno.test("allocate() keeps the last of several, zeroed", async () => {
  const cell = new MutexLazyInit(bytes);
  const initializers: AsyncInitializer<Uint8Array>[] = [
    (_slot, allocate) => {
      allocate(10).fill(1);
      allocate(3);
    },
    (_slot, allocate) => {
      allocate(2).fill(1);
      return allocate(3);
    },
    async (_slot, allocate) => {
      allocate(10).fill(1);
      await turn();
      allocate(3);
    },
  ];
  for (const initializer of initializers) {
    const value = await cell.getOrInitAsync(initializer);
    assertEquals([...value], [0, 0, 0]);
    assertStrictEquals(cell.value, value);
    cell.reset();
    assert(isSlotZeroed(cell));
  }
});

Deno.test("allocate() hands out the very memory that every agent reads", () => {
  const cell = new MutexLazyInit(bytes);
  let allocated: Uint8Array | undefined;
  cell.init((slot, allocate) => {
    assertEquals(slot.length, 0);
    return allocated = allocate(3);
  });
  assertStrictEquals(cell.value, allocated);
  allocated![2] = 5;
  assertEquals(MutexLazyInit.from(cell.handle, bytes).value[2], 5);
});

Deno.test("allocate() refuses to be called after the initializer has ended", async () => {
  const cell = new MutexLazyInit(bytes);
  let late: (length: number) => Uint8Array = () => new Uint8Array();
  const message =
    "Cannot allocate as the initializer must be running: it has ended";
  cell.init((_slot, allocate) => {
    late = allocate;
    return Uint8Array.of(1);
  });
  assertEquals(assertThrows(() => late(3), TypeError).message, message);
  assertEquals([...cell.value], [1]);
  cell.reset();

  await assertRejects(() =>
    cell.initAsync((_slot, allocate) => {
      late = allocate;
      return Promise.reject(new Error("failed"));
    })
  );
  assertRefused(cell, () => late(3), TypeError, message);
  // While another initializer runs
  cell.init((_slot, allocate) => {
    const view = allocate(1).fill(2);
    assertEquals(assertThrows(() => late(3), TypeError).message, message);
    return view;
  });
  assertEquals([...cell.value], [2]);
});

Deno.test("allocate() refuses a run that has lost the cell", () => {
  const cell = new MutexLazyInit(bytes);
  assertRefused(
    cell,
    () =>
      cell.init((_slot, allocate) => {
        cell.recover(agentId());
        return allocate(3);
      }),
    OwnerLostError as ErrorConstructor,
    "Cannot write to MutexLazyInit as this agent must own the cell: it was declared dead by recover() meanwhile",
  );
});

Deno.test("MutexLazyInit.init() refuses an initializer that neither allocates nor returns", () => {
  const cell = new MutexLazyInit(bytes, { name: "index" });
  assertRefused(
    cell,
    () => cell.init(() => {}),
    TypeError,
    "Cannot initialize MutexLazyInit \"index\" as the initializer must call 'allocate' or return a value: it has done neither",
  );
});

Deno.test("MutexLazyInit.init() refuses values beyond the bound, and names both", () => {
  const cell = inGivenMemory();
  assertRefused(
    cell,
    () => cell.init(() => new Uint8Array(1001)),
    RangeError,
    "Cannot encode uint8[..1000] as 'value' must have at most 1000 elements: it has 1001",
  );
  const text = new MutexLazyInit(string(3));
  const error = assertThrows(() => text.init(() => "abcd"), RangeError);
  assertEquals(
    error.message,
    "Cannot encode string[3] as 'value' must take at most 3 bytes: it takes 4",
  );
  assertEquals(text.init(() => "abc"), "abc");
});

Deno.test("MutexLazyInit.init() refuses memory that cannot be had", () => {
  const cell = new MutexLazyInit(bytes);
  const cause = new RangeError("As the engine throws it");
  // On the buffer alone, as no platform can be told to refuse
  const { buffer } = cell.handle;
  Object.defineProperty(buffer, "grow", {
    configurable: true,
    value: () => {
      throw cause;
    },
  });
  const errors = [
    () => cell.init((_slot, allocate) => allocate(1_000)),
    () => cell.init(() => new Uint8Array(1_000)),
  ].map((call) => assertThrows(call, RangeError));
  for (const error of errors) {
    assertEquals(
      error.message,
      "Cannot grow the memory to 1024 bytes as the platform must provide them: it has refused",
    );
    assertStrictEquals(error.cause, cause);
  }
  assertEquals(cell.phase, "uninitialized");
  Reflect.deleteProperty(buffer, "grow");
  assertEquals(cell.init((_slot, allocate) => allocate(1_000)).length, 1_000);
});

Deno.test({
  name: "LazyInit() refuses a bound beyond what the process may map",
  // Elsewhere a shell cannot limit that
  ignore: Deno.build.os !== "linux",
  async fn() {
    const worker = new URL("./testdata/beyond_the_map.ts", import.meta.url);
    const { success, output, messages } = await execute("sh", [
      "-c",
      `ulimit -v ${100 * 2 ** 20} && exec "$@"`,
      "sh",
      Deno.execPath(),
      "run",
      "--no-check",
      "--no-config",
      worker.href,
    ]);
    assert(success, messages);
    assertEquals(
      output.trim(),
      "RangeError: Cannot allocate 4294967312 bytes as the platform must provide them: it has refused; 42",
    );
  },
});

Deno.test("MutexLazyInit() has memory that grows if the bound exceeds 64 KiB", () => {
  const sizeFor = (bound: number) =>
    new MutexLazyInit(string(bound)).handle.buffer.byteLength;
  assertEquals(sizeFor(65_536), 24 + 65_536);
  assertEquals(sizeFor(65_537), 24);
});

Deno.test("MutexLazyInit() refuses memory for an open codec that is too small, not growable or goes on after it", () => {
  const memories: [SharedArrayBuffer, number, ErrorConstructor, string][] = [
    [
      new SharedArrayBuffer(1024),
      0,
      RangeError,
      "Cannot use the memory as 'buffer' must have 100024 bytes at byte 0: it ends at byte 1024",
    ],
    [
      growable(1024, 65_536),
      8,
      RangeError,
      "Cannot place uint8[..100000] at byte 8 as memory that grows must end with the cell, at byte 100032: it may grow to 65536 bytes",
    ],
    [
      growable(1024, 200_000),
      0,
      RangeError,
      "Cannot place uint8[..100000] at byte 0 as memory that grows must end with the cell, at byte 100024: it may grow to 200000 bytes",
    ],
    [
      new WebAssembly.Memory({ initial: 1, maximum: 9, shared: true })
        .buffer as unknown as SharedArrayBuffer,
      0,
      RangeError,
      "Cannot use the memory as 'buffer' must have 100024 bytes at byte 0: it ends at byte 65536",
    ],
    [
      followed(100_024),
      0,
      LayoutMismatchError as ErrorConstructor,
      "Cannot place MutexLazyInit at byte 0 as the memory must be zeroed or hold a cell: it holds something else",
    ],
  ];
  const codec = typedArray(Uint8Array, { maxLength: 100_000 });
  for (const [buffer, byteOffset, type, message] of memories) {
    const before = new Uint8Array(buffer).slice();
    const error = assertThrows(
      () => new MutexLazyInit(codec, { buffer, byteOffset }),
      type,
    );
    assertEquals(error.message, message);
    assertEquals(new Uint8Array(buffer).slice(), before);
  }
});

/** Memory in which another cell lies where the slot would be. */
function followed(byteLength: number): SharedArrayBuffer {
  const buffer = new SharedArrayBuffer(byteLength);
  new LazyInit(int32, { buffer, byteOffset: 512 });
  return buffer;
}

function growable(byteLength: number, maxByteLength: number) {
  return new SharedArrayBuffer(byteLength, { maxByteLength });
}

Deno.test("MutexLazyInit takes memory that grows and ends with it, and a WebAssembly.Memory with room for the bound", () => {
  const codec = typedArray(Uint8Array, { maxLength: 100_000 });
  const memory = new WebAssembly.Memory({
    initial: 3,
    maximum: 9,
    shared: true,
  });
  for (
    const buffer of [
      growable(64, 40 + MutexLazyInit.byteLength(codec)),
      memory.buffer as unknown as SharedArrayBuffer,
    ]
  ) {
    const cell = new MutexLazyInit(codec, { buffer, byteOffset: 40 });
    cell.init((_slot, allocate) => allocate(100_000).fill(1));
    const attached = new MutexLazyInit(codec, { buffer, byteOffset: 40 });
    assertEquals(attached.value.length, 100_000);
    assertEquals(attached.value.at(-1), 1);
    assertEquals(
      new Uint8Array(buffer, 0, 40).some((byte) => byte !== 0),
      false,
    );
    assertEquals(attached.reset(), true);
    assert(isSlotZeroed(cell));
  }
});

Deno.test("MutexLazyInit refuses a codec that says open and never resizes, or resizes outside of encode", () => {
  let late: Slot | undefined;
  function codecOf(
    encode: (slot: Slot) => void,
    decode: (slot: Slot) => void = () => {},
  ): Codec<number> {
    return {
      tag: "mine",
      open: true,
      byteLength: 100,
      encode: (_value, slot) => encode(slot),
      decode(slot) {
        decode(slot);
        return slot.byteLength;
      },
    };
  }
  const outside =
    "Cannot resize the slot as its codec must be open and encoding a value: it is fixed, or encoding has ended";
  const refused: [Codec<number>, ErrorConstructor, string][] = [
    [
      codecOf(() => {}),
      TypeError,
      "Cannot encode mine as an open codec must give its slot a length: its 'encode' has not called 'slot.resize()'",
    ],
    [
      codecOf((slot) => slot.resize(4), (slot) => slot.resize(8)),
      TypeError,
      outside,
    ],
    [
      codecOf((slot) => slot.resize(101)),
      RangeError,
      "Cannot encode mine as 'value' must take at most 100 bytes: it takes 101",
    ],
    [
      codecOf((slot) => slot.resize(-1)),
      RangeError,
      "Cannot resize the slot of mine as 'byteLength' must be an integer from 0 to 100: current value is -1",
    ],
    [
      { ...codecOf((slot) => slot.resize(4)), open: false },
      TypeError,
      outside,
    ],
  ];
  for (const [codec, type, message] of refused) {
    const cell = new MutexLazyInit(codec);
    const error = assertThrows(() => cell.init(() => 1), type);
    assertEquals(error.message, message);
    assertEquals(cell.phase, "uninitialized");
    assert(isSlotZeroed(cell));
  }

  const codec = codecOf((slot) => late = slot.resize(4));
  const cell = new MutexLazyInit(codec);
  assertEquals(cell.init(() => 1), 4);
  const error = assertThrows(() => late!.resize(8), TypeError);
  assertEquals(error.message, outside);
  assertEquals(MutexLazyInit.from(cell.handle, codec).value, 4);
});

// --- Mistakes ---

Deno.test("from() names the handle if it gets the cell, what arrives of a cell, or an object around the handle", () => {
  const cell = new LazyInit(int32);
  const withHandle =
    "Cannot attach to the cell as 'handle' must be the handle of a cell: it is an object with a handle, use its 'handle' instead";
  const mistakes: [unknown, string][] = [
    [cell, withHandle],
    [{ handle: cell.handle }, withHandle],
    [
      structuredClone(cell),
      "Cannot attach to the cell as 'handle' must be the handle of a cell: it is an empty object, which is what a cell becomes when it is sent, send 'cell.handle' instead",
    ],
    [
      { cell: cell.handle },
      `Cannot attach to the cell as 'handle.kind' must be "LazyInit" or "MutexLazyInit": current value is undefined`,
    ],
  ];
  for (const [mistake, message] of mistakes) {
    for (const Cell of [LazyInit, MutexLazyInit]) {
      const error = assertThrows(
        () => Cell.from(mistake as never, int32),
        TypeError,
      );
      assertEquals(error.message, message);
    }
  }
});

Deno.test("from() names both tags and capacities if the codec differs", () => {
  function custom(byteLength: number): Codec<number> {
    return { ...int32, tag: "custom", byteLength };
  }
  const mismatches: [Codec<unknown>, Codec<unknown>, string][] = [
    [
      typedArray(Uint8Array, { maxLength: 5 }),
      typedArray(Uint8Array, { maxLength: 6 }),
      "uint8[..6] with 6 bytes: its handle says uint8[..5] with 5 bytes",
    ],
    [
      custom(4),
      custom(8),
      "custom with 8 bytes: its handle says custom with 4 bytes",
    ],
    [
      string(),
      int32,
      "int32 with 4 bytes: its handle says string with 67108864 bytes",
    ],
  ] as [Codec<unknown>, Codec<unknown>, string][];
  for (const [placed, attached, differ] of mismatches) {
    const error = assertThrows(
      () => LazyInit.from(new LazyInit(placed).handle, attached),
      LayoutMismatchError,
    );
    assertEquals(
      error.message,
      `Cannot attach to LazyInit at byte 0 as it must be a LazyInit of ${differ}`,
    );
  }
});

Deno.test("synchronous calls refuse an initializer that returns a promise, and hear its rejection", async () => {
  const rejected = () => Promise.reject(new Error("unheard"));
  const cell = new MutexLazyInit(bytes);
  const message = (alternative: string) =>
    `Cannot initialize the cell as the initializer must not return a promise: use ${alternative} instead`;
  for (
    const [call, alternative] of [
      [() => cell.init(rejected as never), "initAsync()"],
      [() => cell.getOrInit(rejected as never), "getOrInitAsync()"],
    ] as const
  ) assertRefused(cell, call, TypeError, message(alternative));
  const result = cell.tryInit(rejected as never);
  assert(!result.ok && result.reason === "during-init");
  assertEquals((result.error as Error).message, message("tryInitAsync()"));
  const once = new LazyInit(bytes);
  const error = assertThrows(
    () => once.callOnce((async () => {}) as never),
    TypeError,
  );
  assertEquals(error.message, message("MutexLazyInit.getOrInitAsync()"));
  assertEquals([...once.initOnce(Uint8Array.of(1))], [1]);
  await turn();
});

Deno.test("json() names a Map and its place, and the cell stays usable", () => {
  // deno-lint-ignore no-explicit-any
  const cell = new MutexLazyInit(json<any>());
  const mistakes: [unknown, string][] = [
    [new Map(), "'value' must be a JSON value: current value is a Map"],
    [
      { users: [new Map()] },
      "'value.users[0]' must be a JSON value: current value is a Map",
    ],
    [
      { when: new Date(0) },
      "'value.when' must be a JSON value: current value is a Date",
    ],
  ];
  for (const [value, message] of mistakes) {
    const error = assertThrows(() => cell.init(() => value), TypeError);
    assertEquals(error.message, `Cannot encode json as ${message}`);
    assertEquals(cell.phase, "uninitialized");
  }
  assertEquals(cell.init(() => ({ users: [] })), { users: [] });
});

Deno.test("methods name the right option if they get that of the others", async () => {
  const cell = new MutexLazyInit(bytes);
  const make = () => Uint8Array.of(1);
  const signal = AbortSignal.abort();
  const blocking =
    "Cannot wait as 'signal' is an option of the methods that do not block: use 'timeout' instead";
  const options = { signal } as never;
  for (
    const call of [
      () => cell.init(make, options),
      () => cell.tryInit(make, options),
      () => cell.getOrInit(make, options),
      () => cell.reset(options),
      () => cell.wait(options),
    ]
  ) assertRefused(cell, call, TypeError, blocking);

  const notBlocking =
    "Cannot wait as 'timeout' is an option of the methods that block: use 'signal: AbortSignal.timeout(5)' instead";
  const asyncOptions = { timeout: 5 } as never;
  for (
    const call of [
      () => cell.initAsync(make, asyncOptions),
      () => cell.tryInitAsync(make, asyncOptions),
      () => cell.getOrInitAsync(make, asyncOptions),
      () => cell.resetAsync(asyncOptions),
      () => cell.waitAsync(asyncOptions),
    ]
  ) {
    const error = await assertRejects(call, TypeError);
    assertEquals(error.message, notBlocking);
    assertEquals(cell.phase, "uninitialized");
  }
});

Deno.test("open cells work where shared memory cannot grow", async () => {
  const program = new URL(
    "./testdata/cells_without_growable_memory.ts",
    import.meta.url,
  );
  const output = await run(Deno.execPath(), [
    "run",
    "--no-check",
    "--no-config",
    program.href,
  ]);
  assertEquals(JSON.parse(output), {
    allocated: 1_000_024,
    values: [[1, 2, 3], "Zürich"],
    refused:
      "Cannot allocate uint8[..1000000] as 'length' must be an integer from 0 to 1000000: current value is 1000001",
    phase: "uninitialized",
  });
});

// --- Random calls ---

/** What an initializer does; lengths may be anything. */
interface Fill {
  readonly kind: "fill";
  readonly lengths: readonly unknown[];
  readonly byte: number;
  readonly end: "return" | "return nothing" | "return a copy" | "throw";
  readonly isAsync: boolean;
}

type Step =
  | Fill
  | { readonly kind: "reset" | "resetAsync" | "read" | "read and reset" };

const BOUND = 100_000;
const GUARD = 32;

const lengths = fc.oneof(
  { weight: 6, arbitrary: fc.nat(BOUND) },
  fc.constantFrom(0, BOUND, BOUND + 1, -1, 0.5, NaN, 2 ** 53, "1", undefined),
);

const steps = fc.array(
  fc.oneof(
    fc.record({
      kind: fc.constant("fill" as const),
      lengths: fc.array(lengths, { maxLength: 3 }),
      byte: fc.integer({ min: 1, max: 255 }),
      end: fc.constantFrom<Fill["end"]>(
        "return",
        "return",
        "return nothing",
        "return a copy",
        "throw",
      ),
      isAsync: fc.boolean(),
    }),
    fc.record({
      kind: fc.constantFrom<Exclude<Step["kind"], "fill">>(
        "reset",
        "resetAsync",
        "read",
        "read and reset",
      ),
    }),
  ),
  { maxLength: 12 },
);

/** What a fill leaves behind: a length and its bytes, or nothing. */
function expected({ lengths, byte, end }: Fill): [number, number] | undefined {
  const isValid = (length: unknown) =>
    Number.isInteger(length) && length as number >= 0 &&
    length as number <= BOUND;
  if (!lengths.every(isValid) || end === "throw") return undefined;
  if (end === "return a copy") return [3, byte];
  const last = lengths.at(-1) as number | undefined;
  return last === undefined ? undefined : [last, byte];
}

/** The initializer that does it. */
function initializerOf({ lengths, byte, end }: Fill) {
  return (
    _slot: Uint8Array,
    allocate: (length: number) => Uint8Array,
  ): Uint8Array | void => {
    let view: Uint8Array | undefined;
    for (const length of lengths) {
      view = allocate(length as number);
      assert(view.every((byte) => byte === 0));
      view.fill(byte);
    }
    if (end === "throw") throw new RangeError("On purpose");
    if (end === "return a copy") return new Uint8Array(3).fill(byte);
    if (end === "return") return view;
  };
}

/** Where a cell may be: in memory of its own, or between bytes that nothing may touch. */
function placed(isGrowable: boolean) {
  const codec = typedArray(Uint8Array, { maxLength: BOUND });
  const byteLength = MutexLazyInit.byteLength(codec);
  const buffer = isGrowable
    ? growable(GUARD + 24, GUARD + byteLength)
    : new SharedArrayBuffer(GUARD + byteLength + GUARD);
  const ends = [new Uint8Array(buffer, 0, GUARD)];
  if (!isGrowable) ends.push(new Uint8Array(buffer, GUARD + byteLength));
  for (const end of ends) end.fill(0xa5);
  const cell = new MutexLazyInit(codec, { buffer, byteOffset: GUARD });
  const isUntouched = () =>
    ends.every((end) => end.every((byte) => byte === 0xa5));
  return { cell, codec, buffer, isUntouched };
}

Deno.test("MutexLazyInit of open values agrees with a plain model, and touches nothing else", async () => {
  await fc.assert(
    fc.asyncProperty(steps, fc.boolean(), async (steps, isGrowable) => {
      const { cell, codec, buffer, isUntouched } = placed(isGrowable);
      let model: [number, number] | undefined;
      for (const step of steps) {
        if (step.kind === "fill") {
          const initializer = initializerOf(step);
          const result = step.isAsync
            ? await cell.tryInitAsync(async (slot, allocate) => {
              await Promise.resolve();
              return initializer(slot, allocate);
            })
            : cell.tryInit(initializer);
          if (model !== undefined) {
            assert(!result.ok && result.reason === "already-init");
          } else {
            model = expected(step);
            assertEquals(result.ok, model !== undefined);
          }
        } else if (step.kind === "reset") {
          assertEquals(cell.reset(), model !== undefined);
          model = undefined;
        } else if (step.kind === "resetAsync") {
          assertEquals(await cell.resetAsync(), model !== undefined);
          model = undefined;
        } else if (step.kind === "read") {
          assertEquals(cell.read(({ length }) => length), model?.[0]);
        } else {
          const read = cell.read(() => cell.reset());
          assertEquals(read, undefined);
          model = undefined;
        }

        // As in another agent
        const value = new MutexLazyInit(codec, { buffer, byteOffset: GUARD })
          .get();
        assertEquals(value?.length, model?.[0]);
        assert(
          value === undefined || value.every((byte) => byte === model![1]),
        );
        const used = GUARD + OnceState.byteLength + (model?.[0] ?? 0);
        const rest = new Uint8Array(buffer, used).subarray(
          0,
          isGrowable ? undefined : -GUARD,
        );
        assert(rest.every((byte) => byte === 0));
        assert(isUntouched());
      }
    }),
    { numRuns: 200 },
  );
});

Deno.test("allocate() that fails leaves the earlier view, which all agents then read", () => {
  const codec = typedArray(Uint8Array);
  const map = new LazyInitMap(int32, codec, { maxByteLength: 2 ** 20 });
  const mine = map.getOrInit(1, (_key, _slot, allocate) => {
    const first = allocate(100);
    assertThrows(() => allocate(2 ** 20), RangeError);
    first.fill(7);
  });
  assertEquals(mine.length, 100);
  assertEquals(LazyInitMap.from(map.handle, int32, codec).get(1), mine);
});

Deno.test("MutexLazyInit() refuses a byteOffset that is no number in memory that it knows", () => {
  const buffer = new SharedArrayBuffer(4_096);
  new MutexLazyInit(int32, { buffer });
  assertThrows(
    () => new MutexLazyInit(int32, { buffer, byteOffset: "64" as never }),
    TypeError,
    `'byteOffset' must be a number: current value is "64"`,
  );
});

Deno.test("LazyInit() refuses values whose length a header has no room for", () => {
  assertThrows(
    () => new LazyInit(typedArray(Float64Array, 2 ** 29)),
    RangeError,
    "a value of float64[536870912] must take at most 4 GiB - 8: current value is 4294967296 bytes",
  );
});

Deno.test("LazyInit() refuses memory that is not zeroed beyond what it knew of before the memory grew", () => {
  const buffer = new SharedArrayBuffer(64, { maxByteLength: 4_096 });
  new LazyInit(int32, { buffer });
  buffer.grow(1_024);
  const codec = typedArray(Uint8Array, 600);
  const offset = { buffer, byteOffset: LazyInit.byteLength(int32) };
  const bytes = new Uint8Array(buffer);
  bytes[500] = 7;
  assertThrows(() => new LazyInit(codec, offset), LayoutMismatchError);
  bytes[500] = 0;
  assertEquals(new LazyInit(codec, offset).phase, "uninitialized");
});

Deno.test("MutexLazyInit keeps to the capacity that its codec had when the cell was made", () => {
  const codec = { ...string(8), encode: string(64).encode };
  const buffer = new SharedArrayBuffer(256);
  const cell = new MutexLazyInit(codec, { buffer });
  const byteOffset = MutexLazyInit.byteLength(codec);
  const next = new MutexLazyInit(int32, { buffer, byteOffset });
  next.init(() => 42);
  Object.assign(codec, { byteLength: 64 });
  assertThrows(
    () => cell.init(() => "x".repeat(40)),
    RangeError,
    "Cannot encode string[8] as 'value' must take at most 8 bytes: it takes 40",
  );
  assertEquals(cell.init(() => "12345678"), "12345678");
  assertEquals(next.get(), 42);
});

Deno.test("MutexLazyInit.init() copies a part of the slot that is seen through another buffer over the same memory", () => {
  const cell = new MutexLazyInit(typedArray(Uint8Array, { maxLength: 100 }));
  const { buffer } = structuredClone(cell.handle);
  const value = cell.init((_, allocate) => {
    const { byteOffset } = allocate(10);
    const all = new Uint8Array(buffer, byteOffset, 10);
    all.forEach((_, i) => all[i] = i);
    return all.subarray(4);
  });
  assertEquals([...value], [4, 5, 6, 7, 8, 9]);
});

Deno.test("MutexLazyInit grows the memory of WebAssembly, which grows by pages", () => {
  const memory = new WebAssembly.Memory({
    initial: 1,
    maximum: 16,
    shared: true,
  });
  // TypeScript does not know it yet
  const { toResizableBuffer } = memory as unknown as {
    toResizableBuffer(): SharedArrayBuffer;
  };
  const buffer = toResizableBuffer.call(memory);
  const maxLength = 2 ** 20 - OnceState.byteLength;
  const codec = typedArray(Uint8Array, { maxLength });
  const cell = new MutexLazyInit(codec, { buffer });
  assertEquals(
    cell.init((_, allocate) => allocate(100_000).fill(1)).length,
    100_000,
  );
  assertEquals(buffer.byteLength, 2 * 65_536);
});
