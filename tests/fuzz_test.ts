// Copyright 2026 the lazyinit authors. MIT license.

/*
 * Whatever the memory holds and whatever is passed for a handle, it ends in a value
 * or in an error that is documented. A failure prints its seed and path: pass both
 * to `fc.assert` to run it again.
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { inspect } from "node:util";
import {
  agentId,
  AlreadyInitializedError,
  bigInt64,
  bool,
  type Codec,
  DeadlockError,
  float64,
  int32,
  json,
  LayoutMismatchError,
  LazyInit,
  type LazyInitHandle,
  Mutex,
  MutexLazyInit,
  NotInitializedError,
  OwnerLostError,
  RecursiveInitializationError,
  string,
  struct,
  typedArray,
  uint32,
} from "../mod.ts";
import { codecs } from "./_codecs.ts";

const CLASSES = [LazyInit, MutexLazyInit] as const;
/** Bytes on either side of a cell, which nothing may touch. */
const GUARD = 32;
const GUARD_BYTE = 0xa5;

/** Runs `call`, and returns what it throws if that is documented; throws it on otherwise. */
function documented(
  call: () => unknown,
  // deno-lint-ignore no-explicit-any
  errors: (new (...args: any[]) => Error)[],
): unknown {
  try {
    call();
    return undefined;
  } catch (error) {
    if (errors.some((type) => error instanceof type)) return error;
    throw error;
  }
}

Deno.test("from() refuses everything that is no handle with a documented error", () => {
  const buffer = new SharedArrayBuffer(64);
  new Uint8Array(buffer).fill(GUARD_BYTE);
  const field = fc.oneof(
    fc.anything(),
    fc.constantFrom("LazyInit", "MutexLazyInit", "", 0, 8, 4, 48, 2 ** 40),
    fc.constant(buffer),
    fc.constant(new ArrayBuffer(64)),
  );
  const handles = fc.oneof(
    fc.anything(),
    fc.record({ kind: field, buffer: field, byteOffset: field, name: field }, {
      requiredKeys: [],
    }),
  );
  fc.assert(
    fc.property(handles, (handle) => {
      for (const Cell of CLASSES) {
        for (const codec of [int32, string(100)] as Codec<unknown>[]) {
          const call = () => Cell.from(handle as LazyInitHandle, codec);
          assert(
            documented(call, [TypeError, RangeError, LayoutMismatchError]),
          );
        }
      }
    }),
    { numRuns: 500 },
  );
  assert(new Uint8Array(buffer).every((byte) => byte === GUARD_BYTE));
});

Deno.test("constructors refuse options that make no sense with a documented error", () => {
  const field = fc.oneof(
    fc.anything(),
    fc.constantFrom(0, 8, 4, 48, -8, 2 ** 40, new SharedArrayBuffer(8)),
  );
  const options = fc.oneof(
    fc.anything(),
    fc.record({ buffer: field, byteOffset: field, name: field }, {
      requiredKeys: [],
    }),
  );
  fc.assert(
    fc.property(options, (options) => {
      for (const Cell of CLASSES) {
        documented(
          () => new Cell(int32, options as { name?: string }),
          [TypeError, RangeError, LayoutMismatchError],
        );
      }
    }),
    { numRuns: 500 },
  );
});

/** Memory for a cell between guards. */
function guarded(byteLength: number) {
  const buffer = new SharedArrayBuffer(GUARD + byteLength + GUARD);
  const guards = [
    new Uint8Array(buffer, 0, GUARD),
    new Uint8Array(buffer, GUARD + byteLength),
  ];
  for (const guard of guards) guard.fill(GUARD_BYTE);
  return {
    buffer,
    untouched: () =>
      guards.every((guard) => guard.every((byte) => byte === GUARD_BYTE)),
  };
}

/** Fills the memory of a cell, header and slot. */
function overwrite(
  buffer: SharedArrayBuffer,
  words: number[],
  bytes: Uint8Array,
): void {
  new Int32Array(buffer, GUARD, 4).set(words);
  const length = buffer.byteLength - GUARD - GUARD - 16;
  const slot = new Uint8Array(buffer, GUARD + 16, length);
  slot.set(bytes.subarray(0, length));
}

const word = fc.oneof(
  fc.integer(),
  fc.nat(7),
  fc.nat(7).map((low) => low | 1 << 31),
  // Owned by this agent
  fc.constantFrom(agentId(), agentId() << 4 | 1),
);
const header = fc.tuple(word, word, word, word);
const anyBytes = fc.uint8Array({ minLength: 64, maxLength: 64 });

// What decoding random bytes may throw, as the codecs' docs say
const READING = [TypeError, RangeError, SyntaxError, LayoutMismatchError];
const WAITING = [
  ...READING,
  DOMException,
  RecursiveInitializationError,
];
const INITIALIZING = [...WAITING, OwnerLostError, DeadlockError];

function make(): never {
  throw new RangeError();
}

/** Does with a cell, whatever its memory holds, all that can be done. */
async function useInAnyWay(
  cell: LazyInit<unknown> | MutexLazyInit<unknown>,
  owner: number,
): Promise<void> {
  for (
    const call of [
      () => cell.get(),
      () => cell.getUnchecked(),
      () => cell.getMut.call(cell as never),
      () => cell.phase,
      () => cell.initialized,
      () => inspect(cell),
      () => cell.handle,
    ]
  ) documented(call, READING);
  documented(() => cell.value, [...READING, NotInitializedError]);
  for (const timeout of [0, 1]) {
    documented(() => cell.wait({ timeout }), WAITING);
  }
  // Looks for a deadlock, in whatever the run word says
  documented(
    () => new MutexLazyInit(int32).init(() => (cell.wait({ timeout: 2 }), 1)),
    INITIALIZING,
  );
  await settlesAsDocumented((options) => cell.waitAsync(options), WAITING);
  if (cell instanceof LazyInit) {
    documented(() => cell.callOnce(make), INITIALIZING);
    documented(() => cell.initOnce(Symbol()), [
      ...INITIALIZING,
      AlreadyInitializedError,
    ]);
  } else {
    documented(() => cell.getOrInit(make, { timeout: 1 }), INITIALIZING);
    documented(() => cell.reset({ timeout: 1 }), INITIALIZING);
    for (
      const call of [
        (options: Options) => cell.getOrInitAsync(make, options),
        (options: Options) => cell.resetAsync(options),
        (options: Options) =>
          new MutexLazyInit(int32).initAsync(async () => {
            await cell.waitAsync(options);
            return 1;
          }),
      ]
    ) await settlesAsDocumented(call, INITIALIZING);
  }
  documented(() => cell.recover(owner >>> 0 || 1), INITIALIZING);
}

type Options = { signal: AbortSignal };

/** As {@linkcode documented}, for a call that would wait for ever if it were let. */
async function settlesAsDocumented(
  call: (options: Options) => Promise<unknown>,
  // deno-lint-ignore no-explicit-any
  errors: (new (...args: any[]) => Error)[],
): Promise<void> {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(), 1);
  try {
    await call(controller);
  } catch (error) {
    if (!errors.some((type) => error instanceof type)) throw error;
  } finally {
    clearTimeout(timer);
  }
}

for (const [name, codec] of Object.entries(codecs)) {
  Deno.test(`cells over random bytes of ${name} end in a value or a documented error`, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...CLASSES),
        header,
        anyBytes,
        async (Cell, words, bytes) => {
          const { buffer, untouched } = guarded(Cell.byteLength(codec));
          const cell = new Cell(codec, { buffer, byteOffset: GUARD });
          overwrite(buffer, words, bytes);
          await useInAnyWay(cell, words[1]);
          assert(untouched());
        },
      ),
      { numRuns: 100 },
    );
  });
}

const KINDS = { LazyInit, MutexLazyInit };
type Kind = keyof typeof KINDS;

/** The layout word of a cell of this class and codec. */
function layoutOf(kind: Kind, codec: Codec<unknown>): number {
  return new Int32Array(new KINDS[kind](codec).handle.buffer)[2]!;
}

Deno.test("constructors and from() over random memory end in a cell or a documented error", async () => {
  const anyKind = fc.constantFrom("LazyInit", "MutexLazyInit");
  const anyCodec = fc.constantFrom(...Object.keys(codecs));
  await fc.assert(
    fc.asyncProperty(
      fc.tuple(anyKind, anyCodec),
      fc.tuple(anyKind, anyCodec),
      fc.boolean(),
      fc.boolean(),
      header,
      fc.oneof(anyBytes, fc.constant(new Uint8Array(64))),
      fc.constantFrom("none", "random", "another", "right"),
      fc.oneof(
        { weight: 4, arbitrary: fc.constant(0) },
        fc.integer({ min: -200, max: 200 }),
      ),
      async (
        [kind, name],
        [otherKind, otherName],
        attaching,
        zeroed,
        words,
        bytes,
        layout,
        shift,
      ) => {
        const Cell = KINDS[kind];
        const codec = codecs[name]!;
        const { buffer, untouched } = guarded(Cell.byteLength(codec));
        overwrite(buffer, zeroed ? [0, 0, 0, 0] : words, bytes);
        const memory = new Int32Array(buffer, GUARD);
        if (layout === "none") memory[2] = 0;
        if (layout === "another") {
          memory[2] = layoutOf(otherKind, codecs[otherName]!);
        }
        if (layout === "right") memory[2] = layoutOf(kind, codec);
        const right = memory[2] === layoutOf(kind, codec);
        const before = [...new Uint8Array(buffer)];
        const isZero = before.slice(GUARD, -GUARD).every((byte) => byte === 0);

        const byteOffset = GUARD + shift;
        let cell: LazyInit<unknown> | MutexLazyInit<unknown> | undefined;
        documented(
          () =>
            cell = attaching
              ? Cell.from({ kind, buffer, byteOffset, name: "" }, codec)
              : new Cell(codec, { buffer, byteOffset }),
          [TypeError, RangeError, LayoutMismatchError],
        );
        if (shift === 0) {
          assertEquals(cell !== undefined, right || !attaching && isZero);
        }
        if (cell === undefined) {
          assertEquals([...new Uint8Array(buffer)], before);
        } else if (shift === 0) {
          assertEquals(memory[2], layoutOf(kind, codec));
          await useInAnyWay(cell, words[1]);
        }
        assert(untouched());
      },
    ),
    { numRuns: 500 },
  );
});

Deno.test("Mutex over a random word ends in a token or a documented error", async () => {
  await fc.assert(
    fc.asyncProperty(word, fc.nat(), async (word, id) => {
      const mutex = new Mutex();
      new Int32Array(mutex.buffer)[0] = word;
      documented(() => mutex.waitForUnlock(1), []);
      const free = (word & (1 << 28) - 1) === 0;
      const token = mutex.lockIfAvailable(1);
      assertEquals(token !== null, free);
      assertEquals(token?.unlock() ?? false, free);
      await settlesAsDocumented((options) => mutex.lockAsync(options), [
        DOMException,
      ]);
      documented(() => mutex.recover(id || 1), []);
      documented(() => mutex.announcedOwner, []);
    }),
  );
});

/** How many bytes the values of a codec take. */
const utf8Length = (text: string) => new TextEncoder().encode(text).length;
const wholeText = fc.string({ unit: "grapheme", maxLength: 20 });

Deno.test("string() holds a text at its exact length, and refuses it one byte below", () => {
  fc.assert(fc.property(wholeText, (text) => {
    roundTrips((length) => string(length), utf8Length(text), text);
  }));
});

Deno.test("json() holds a value at its exact length, and refuses it one byte below", () => {
  const values = fc.jsonValue({ stringUnit: "grapheme" });
  fc.assert(fc.property(values, (value) => {
    const text = JSON.stringify(value);
    roundTrips((length) => json(length), utf8Length(text), JSON.parse(text));
  }));
});

Deno.test("struct() holds its fields at their exact lengths, and refuses one byte below", () => {
  const values = fc.record({
    flag: fc.boolean(),
    small: fc.integer(),
    count: fc.nat(),
    big: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    ratio: fc.double(),
    nested: fc.record({ text: wholeText }),
  });
  fc.assert(fc.property(values, (value) => {
    const create = (length: number) =>
      struct({
        flag: bool,
        small: int32,
        count: uint32,
        big: bigInt64,
        ratio: float64,
        nested: struct({ text: string(length) }),
      });
    roundTrips(create, utf8Length(value.nested.text), value);
  }));
});

Deno.test("typedArray() holds its elements at their exact length, and refuses another", () => {
  fc.assert(fc.property(fc.int16Array(), (array) => {
    const length = array.length;
    const cell = new LazyInit(typedArray(Int16Array, length));
    assertEquals([...cell.callOnce(() => array as never)!], [...array]);
    const other = new LazyInit(typedArray(Int16Array, length + 1));
    assertThrows(() => other.callOnce(() => array as never), RangeError);
  }));
});

/** Checks that a value fits `byteLength` bytes, and no less. */
function roundTrips<T>(
  create: (byteLength: number) => Codec<T>,
  byteLength: number,
  value: T,
): void {
  const codec = create(byteLength);
  const { buffer, untouched } = guarded(MutexLazyInit.byteLength(codec));
  const fits = new MutexLazyInit(codec, { buffer, byteOffset: GUARD });
  assertEquals(fits.init((() => value) as never), value);
  assertEquals(
    MutexLazyInit.from(fits.handle, create(byteLength)).get(),
    value,
  );
  assert(untouched());
  if (byteLength === 0) return;
  const refuses = new LazyInit(create(byteLength - 1));
  assertThrows(() => refuses.initOnce(value), RangeError);
  assertEquals(refuses.phase, "uninitialized");
  assert(
    new Uint8Array(refuses.handle.buffer, 16).every((byte) => byte === 0),
  );
}
