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
  MutexLazyInit,
  NotInitializedError,
  OwnerLostError,
  RecursiveInitializationError,
  string,
  struct,
  typedArray,
  uint32,
} from "../mod.ts";
import { codecs } from "./testdata/codecs.ts";

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

/** A cell between guards, of which the bytes other than the layout are random. */
function fuzzedCell(
  Cell: typeof CLASSES[number],
  codec: Codec<unknown>,
  words: number[],
  bytes: Uint8Array,
) {
  const byteLength = Cell.byteLength(codec);
  const buffer = new SharedArrayBuffer(GUARD + byteLength + GUARD);
  const cell = new Cell(codec, { buffer, byteOffset: GUARD });
  const header = new Int32Array(buffer, GUARD, 4);
  [0, 1, 3].forEach((word, i) => header[word] = words[i]!);
  const slot = new Uint8Array(buffer, GUARD + 16, byteLength - 16);
  slot.set(bytes.subarray(0, slot.length));
  const guards = [
    new Uint8Array(buffer, 0, GUARD),
    new Uint8Array(buffer, GUARD + byteLength),
  ];
  for (const guard of guards) guard.fill(GUARD_BYTE);
  return {
    cell,
    untouched: () =>
      guards.every((guard) => guard.every((byte) => byte === GUARD_BYTE)),
  };
}

const word = fc.oneof(
  fc.integer(),
  fc.nat(7),
  fc.nat(7).map((low) => low | 1 << 31),
);
const anyBytes = fc.uint8Array({ minLength: 64, maxLength: 64 });

for (const [name, codec] of Object.entries(codecs)) {
  // What decoding random bytes may throw, as the codecs' docs say
  const DECODING = [TypeError, RangeError, SyntaxError];

  Deno.test(`cells over random bytes of ${name} end in a value or a documented error`, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...CLASSES),
        fc.tuple(word, word, word),
        anyBytes,
        async (Cell, words, bytes) => {
          const { cell, untouched } = fuzzedCell(Cell, codec, words, bytes);
          const reading = [...DECODING, LayoutMismatchError];
          for (
            const call of [
              () => cell.get(),
              () => cell.getUnchecked(),
              () => cell.phase,
              () => cell.initialized,
              () => inspect(cell),
              () => cell.handle,
            ]
          ) documented(call, reading);
          documented(() => cell.value, [...reading, NotInitializedError]);
          const waiting = [
            ...reading,
            DOMException,
            RecursiveInitializationError,
          ];
          for (const timeout of [0, 1]) {
            documented(() => cell.wait({ timeout }), waiting);
          }
          try {
            await cell.waitAsync({ signal: AbortSignal.abort() });
          } catch (error) {
            assert(waiting.some((type) => error instanceof type));
          }

          const initializing = [...waiting, OwnerLostError, DeadlockError];
          const make = () => {
            throw new RangeError();
          };
          if (cell instanceof LazyInit) {
            documented(() => cell.callOnce(make), initializing);
          } else {
            documented(
              () => cell.getOrInit(make, { timeout: 1 }),
              initializing,
            );
            documented(() => cell.reset({ timeout: 1 }), initializing);
          }
          documented(() => cell.recover(words[1] >>> 0 || 1), initializing);
          assert(untouched());
        },
      ),
      { numRuns: 100 },
    );
  });
}

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
  const { cell, untouched } = fuzzedCell(
    MutexLazyInit,
    create(byteLength) as Codec<unknown>,
    [0, 0, 0],
    new Uint8Array(0),
  );
  const fits = cell as MutexLazyInit<T>;
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
