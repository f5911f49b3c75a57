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
  Mutex,
  MutexLazyInit,
  NotInitializedError,
  OnceState,
  OwnerLostError,
  RecursiveInitializationError,
  string,
  struct,
  typedArray,
  uint32,
} from "../mod.ts";
import { codecs, values } from "./_codecs.ts";
import { isSlotZeroed } from "./_cell_slots.ts";

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
    fc.record({
      kind: field,
      buffer: field,
      byteOffset: field,
      name: field,
      tag: fc.oneof(field, fc.constantFrom("int32", "string(100)")),
    }, { requiredKeys: [] }),
  );
  fc.assert(
    fc.property(handles, (handle) => {
      for (const Cell of CLASSES) {
        for (const codec of [int32, string(100)] as Codec<unknown>[]) {
          const call = () => Cell.from(handle as never, codec);
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

/** Fills the memory of a cell, of as many pieces as it takes. */
function overwrite(buffer: SharedArrayBuffer, pieces: Uint8Array[]): void {
  const memory = new Uint8Array(buffer).subarray(GUARD, -GUARD);
  memory.set(pieces.flatMap((piece) => [...piece]).slice(0, memory.length));
}

/** What cells and mutexes of this agent have in their memory, in pieces of 4 bytes. */
function realPieces(): Uint8Array[] {
  const [state, mutex] = [new OnceState(), new Mutex()];
  const pieces = new Map<string, Uint8Array>();
  const collect = () => {
    for (const { buffer } of [state, mutex]) {
      for (let i = 0; i < buffer.byteLength; i += 4) {
        const piece = new Uint8Array(buffer, i, 4).slice();
        pieces.set(piece.join(), piece);
      }
    }
  };
  for (let generation = 0; generation < 4; generation++) {
    state.wait(0.01);
    collect();
    state.begin();
    collect();
    state.publish();
    collect();
    state.reset();
  }
  mutex.lock();
  collect();
  return [...pieces.values()];
}

const piece = fc.oneof(
  fc.uint8Array({ minLength: 4, maxLength: 4 }),
  fc.constant(new Uint8Array(4)),
  // With some bits of one byte changed
  fc.tuple(fc.constantFrom(...realPieces()), fc.nat(3), fc.nat(15)).map(
    ([piece, index, bits]) => piece.with(index, piece[index]! ^ bits),
  ),
);
/** As many as the largest of the cells here has. */
const PIECES = 32;
const pieces = fc.array(piece, { minLength: PIECES, maxLength: PIECES });
/** Agents that may be declared dead. */
const agent = fc.oneof(
  fc.constant(agentId()),
  fc.integer({ min: 1, max: 2 ** 28 - 1 }),
);

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
  dead: number,
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
  // Looks for a deadlock, in whatever the memory says
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
  documented(() => cell.recover(dead), INITIALIZING);
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
        pieces,
        agent,
        async (Cell, pieces, dead) => {
          const { buffer, untouched } = guarded(Cell.byteLength(codec));
          const cell = new Cell(codec, { buffer, byteOffset: GUARD });
          overwrite(buffer, pieces);
          await useInAnyWay(cell, dead);
          assert(untouched());
        },
      ),
      { numRuns: 100 },
    );
  });
}

const KINDS = { LazyInit, MutexLazyInit };
type Kind = keyof typeof KINDS;

Deno.test("constructors and from() over random memory end in a cell or a documented error", async () => {
  const anyKind = fc.constantFrom("LazyInit", "MutexLazyInit");
  const anyCodec = fc.constantFrom(...Object.keys(codecs));
  await fc.assert(
    fc.asyncProperty(
      fc.tuple(anyKind, anyCodec),
      fc.tuple(anyKind, anyCodec),
      fc.boolean(),
      pieces,
      agent,
      fc.constantFrom("zeroed", "random", "another", "right"),
      fc.oneof(
        { weight: 4, arbitrary: fc.constant(0) },
        fc.integer({ min: -200, max: 200 }),
      ),
      async (
        [kind, name],
        [otherKind, otherName],
        attaching,
        pieces,
        dead,
        content,
        shift,
      ) => {
        const Cell = KINDS[kind];
        const codec = codecs[name]!;
        const [There, foundName] = content === "another"
          ? [KINDS[otherKind], otherName]
          : [Cell, name];
        const found = codecs[foundName]!;
        const { buffer, untouched } = guarded(
          Math.max(Cell.byteLength(codec), There.byteLength(found)),
        );
        if (content === "random") overwrite(buffer, pieces);
        else if (content !== "zeroed") {
          const cell = new There(found, { buffer, byteOffset: GUARD });
          if (pieces[0]![0]! % 2 === 0) {
            const value = values[foundName];
            if (cell instanceof LazyInit) cell.initOnce(value);
            else cell.init(() => value);
          }
        }
        const before = [...new Uint8Array(buffer)];
        const isZero = before.slice(GUARD, -GUARD).every((byte) => byte === 0);
        const right = content === "right" ||
          content === "another" && There === Cell && found === codec;

        const byteOffset = GUARD + shift;
        const { tag, byteLength } = codec;
        let cell: LazyInit<unknown> | MutexLazyInit<unknown> | undefined;
        documented(
          () =>
            cell = attaching
              ? Cell.from(
                {
                  kind,
                  buffer,
                  byteOffset,
                  name: "",
                  tag,
                  byteLength,
                } as never,
                codec,
              )
              : new Cell(codec, { buffer, byteOffset }),
          [TypeError, RangeError, LayoutMismatchError],
        );
        if (shift === 0) {
          assertEquals(cell !== undefined, right || !attaching && isZero);
        }
        if (cell === undefined) {
          assertEquals([...new Uint8Array(buffer)], before);
        } else if (shift === 0) {
          // Claimed for this kind and codec
          Cell.from(cell.handle as never, codec);
          await useInAnyWay(cell, dead);
        }
        assert(untouched());
      },
    ),
    { numRuns: 500 },
  );
});

Deno.test("Mutex over random bytes ends in a token or a documented error", async () => {
  await fc.assert(
    fc.asyncProperty(piece, agent, async (piece, dead) => {
      const mutex = new Mutex();
      new Uint8Array(mutex.buffer).set(piece);
      documented(() => mutex.lockIfAvailable(1)?.unlock(), []);
      await settlesAsDocumented(async (options) => {
        (await mutex.lockAsync(options)).unlock();
      }, [DOMException]);
      const token = mutex.lockIfAvailable();
      if (token !== null) {
        assert(token.locked);
        assertEquals(token.unlock(), true);
      }
      documented(() => mutex.recover(dead), []);
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
  assert(isSlotZeroed(refuses));
}
