// Copyright 2026 the lazyinit authors. MIT license.
// This module is browser compatible.

/**
 * How a value is laid out in shared memory.
 *
 * A codec says how many bytes a value may take, writes it there, and reads it back in
 * another agent. The codecs here are for numbers, text, JSON and views. For anything
 * else, write a {@linkcode Codec} over the serializer of your choice.
 *
 * A fixed codec's values all take the same number of bytes. An open codec's values have
 * no size before they are made: its capacity is a bound, and a generous one is free
 * where memory can grow.
 *
 * ```ts
 * import { LazyInit } from "@lazyinit/lazyinit";
 * import { float64, string, struct } from "@lazyinit/lazyinit/codec";
 * import { assertEquals } from "@std/assert";
 *
 * const city = struct({ name: string(), latitude: float64, longitude: float64 });
 * const cell = new LazyInit(city);
 * cell.initOnce({ name: "Nairobi", latitude: -1.28, longitude: 36.82 });
 * assertEquals(cell.value.name, "Nairobi");
 * ```
 *
 * @module
 */

import { assertCodec, assertInteger, invalid, wrongType } from "./_checks.ts";
import { fromJson, toJson } from "./_json.ts";
import { alignToSlot, canGrow, dataViewOf, isShared } from "./_memory.ts";
import { encodeOpen, fixedSlot, MAX_SLOT_BYTES, type Start } from "./_slot.ts";

/**
 * The bytes that hold a value.
 *
 * @example Usage
 * ```ts
 * import { int32, type Slot } from "@lazyinit/lazyinit/codec";
 * import { assertEquals } from "@std/assert";
 *
 * const slot: Slot = {
 *   buffer: new SharedArrayBuffer(16),
 *   byteOffset: 8,
 *   byteLength: int32.byteLength,
 *   resize: () => slot,
 * };
 * int32.encode(42, slot);
 * assertEquals(int32.decode(slot), 42);
 * ```
 */
export interface Slot {
  /** The shared memory that the slot is in. */
  readonly buffer: SharedArrayBuffer;
  /** Where the slot begins, in bytes, a multiple of 8. */
  readonly byteOffset: number;
  /**
   * The size of the slot, in bytes: the `byteLength` of a fixed codec. The slot of an
   * open one is empty before `encode` resizes it, and `decode` gets what was written.
   */
  readonly byteLength: number;
  /**
   * Makes room for a value of so many bytes. Only the `encode` of an open codec calls it,
   * before it writes. From then on, `encode` uses the slot that this returns.
   *
   * If it is called again, the bytes that stay keep what they hold; bytes that are
   * added are zero.
   *
   * @param byteLength How many bytes the value takes.
   * @returns The slot of that length.
   * @throws {RangeError} If `byteLength` is more than the codec's bound or is not a
   * count, or if there is no more memory.
   * @throws {TypeError} If the codec is fixed, `encode` has ended, or `byteLength` is
   * not a number.
   */
  resize(byteLength: number): Slot;
}

/**
 * Lays a value of type `T` out in a slot of shared memory.
 *
 * The cell ensures that `encode` runs in one agent at a time, on bytes that are zero
 * except for what a view codec's initializer has written, and that only
 * `getUnchecked()` decodes before `encode` has returned. If `encode` throws, the slot
 * is zeroed again.
 *
 * @example A custom codec
 * ```ts
 * import { type Codec, LazyInit } from "@lazyinit/lazyinit";
 * import { assertEquals } from "@std/assert";
 *
 * const date: Codec<Date> = {
 *   tag: "date",
 *   byteLength: 8,
 *   encode: (value, { buffer, byteOffset }) =>
 *     new DataView(buffer).setFloat64(byteOffset, value.getTime()),
 *   decode: ({ buffer, byteOffset }) =>
 *     new Date(new DataView(buffer).getFloat64(byteOffset)),
 * };
 * const cell = new LazyInit(date);
 * cell.initOnce(new Date(0));
 * assertEquals(cell.value.getUTCFullYear(), 1970);
 * ```
 *
 * @example A custom open codec
 * ```ts
 * import { type Codec, LazyInit } from "@lazyinit/lazyinit";
 * import { assertEquals } from "@std/assert";
 *
 * const latin1: Codec<string> = {
 *   tag: "latin1",
 *   open: true,
 *   byteLength: 1_000_000,
 *   encode(value, slot) {
 *     const { buffer, byteOffset } = slot.resize(value.length);
 *     new Uint8Array(buffer, byteOffset, value.length)
 *       .set(Array.from(value, (character) => character.charCodeAt(0)));
 *   },
 *   decode: ({ buffer, byteOffset, byteLength }) =>
 *     String.fromCharCode(...new Uint8Array(buffer, byteOffset, byteLength)),
 * };
 * const cell = new LazyInit(latin1);
 * assertEquals(cell.initOnce("Zürich"), "Zürich");
 * ```
 *
 * @typeParam T The type of the value.
 */
export interface Codec<T> {
  /** The name of the layout, e.g. `"float64[1024]"`; attaching with another tag is refused. */
  readonly tag: string;
  /** The size of the slot, in bytes; of an open codec, the most that a value may take. */
  readonly byteLength: number;
  /**
   * Whether values have no size before they are made. `encode` then calls
   * `slot.resize()`, and `decode` gets a slot of the length that was written.
   */
  readonly open?: boolean;
  /**
   * Whether `decode` returns a live view of the slot, which is valid even before the
   * value is written. Initializers then get that view to fill, and `T` is an
   * `ArrayBufferView`.
   */
  readonly view?: boolean;
  /**
   * Writes `value` into `slot`, or throws a `RangeError` if it does not fit.
   *
   * @param value The value.
   * @param slot Where to write it.
   */
  encode(value: T, slot: Slot): void;
  /**
   * Reads the value in `slot`.
   *
   * In a `MutexLazyInit`, a reset by another agent may change the bytes meanwhile. The
   * cell then drops what this has returned or thrown, so the only requirement is that
   * it returns. The asynchronous methods of a cell treat a value with a `then` method as a
   * promise.
   *
   * @param slot Where to read it.
   * @returns The value.
   */
  decode(slot: Slot): T;
}

/**
 * Any value that JSON can represent, e.g. one of unknown type that was parsed.
 *
 * @example Usage
 * ```ts
 * import { json, type JsonValue, LazyInit } from "@lazyinit/lazyinit";
 * import { assertEquals } from "@std/assert";
 *
 * const parsed: JsonValue = JSON.parse('{ "port": 80 }');
 * assertEquals(new LazyInit(json()).initOnce(parsed), { port: 80 });
 * ```
 */
export type JsonValue =
  | null
  | boolean
  | number
  | string
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue };

/**
 * What JSON can represent of a `T`. This is `T` itself, or a type that `T` does not extend,
 * in which every part that JSON cannot represent is `never`. Parts of type `unknown` are
 * only checked at run time.
 *
 * @example Usage
 * ```ts
 * import { type Json, json } from "@lazyinit/lazyinit/codec";
 * import { assertEquals } from "@std/assert";
 *
 * interface Config {
 *   port: number;
 *   host?: string;
 * }
 * const config: Json<Config> = { port: 80 };
 * assertEquals(json<Config>().tag, "json");
 * assertEquals(config, { port: 80 });
 * ```
 *
 * @typeParam T The type of the value.
 */
export type Json<T> = unknown extends T ? T
  : T extends JsonValue ? T
  : T extends
    | bigint
    | symbol
    | undefined
    | void
    | ((...args: never[]) => unknown)
    | (abstract new (...args: never[]) => unknown) ? never
  : T extends readonly unknown[] ? { [K in keyof T]: Json<T[K]> }
  // A member that is `undefined` is left out, as JSON does
  : { [K in keyof T]: Json<T[K]> | Extract<T[K], undefined> };

/**
 * A constructor of typed arrays that shared memory can back.
 *
 * @example Usage
 * ```ts
 * import { typedArray, type TypedArrayConstructor } from "@lazyinit/lazyinit/codec";
 * import { assertEquals } from "@std/assert";
 *
 * const elements: TypedArrayConstructor = Float32Array;
 * assertEquals(typedArray(elements, 3).byteLength, 12);
 * ```
 */
export type TypedArrayConstructor =
  | Int8ArrayConstructor
  | Uint8ArrayConstructor
  | Uint8ClampedArrayConstructor
  | Int16ArrayConstructor
  | Uint16ArrayConstructor
  | Int32ArrayConstructor
  | Uint32ArrayConstructor
  | Float32ArrayConstructor
  | Float64ArrayConstructor
  | BigInt64ArrayConstructor
  | BigUint64ArrayConstructor
  // Of a platform, or of a compiler's library, that has it
  | (typeof globalThis extends { Float16Array: infer Float16 } ? Float16
    : never);

/**
 * Options of {@linkcode typedArray}.
 *
 * @example Usage
 * ```ts
 * import { typedArray, type TypedArrayOptions } from "@lazyinit/lazyinit/codec";
 * import { assertEquals } from "@std/assert";
 *
 * const options: TypedArrayOptions = { maxLength: 1_000 };
 * assertEquals(typedArray(Uint8Array, options).byteLength, 1_000);
 * ```
 */
export interface TypedArrayOptions {
  /**
   * The most elements that a value may have.
   *
   * @default 1 GiB of them, or 16 MiB where shared memory cannot grow
   */
  readonly maxLength?: number;
}

/**
 * What the fields of a `struct` hold, given their codecs.
 *
 * @example Usage
 * ```ts
 * import { float64, LazyInit, struct, type StructValue } from "@lazyinit/lazyinit";
 * import { assertEquals } from "@std/assert";
 *
 * const fields = { x: float64, y: float64 };
 * const origin: StructValue<typeof fields> = { x: 0, y: 0 };
 * assertEquals(new LazyInit(struct(fields)).initOnce(origin), origin);
 * ```
 *
 * @typeParam F The codecs of the fields.
 */
export type StructValue<F extends Record<string, Codec<unknown>>> = {
  readonly [K in keyof F]: F[K] extends Codec<infer T> ? T : never;
};

/**
 * A function that makes the value of a cell, in the agent that calls it.
 *
 * For a view codec it gets the slot as a view to fill in place, as the kernel's
 * pinned initializers do; what it returns, if anything, is copied in. The slot of an open
 * view codec is an empty view. The initializer then either calls `allocate` with a number
 * of elements (of bytes, if the view is a `DataView`) and fills the view that this returns,
 * or returns an array that is copied in. For every other codec it returns the value. The
 * slot belongs to the initializer until it returns, or until the promise that it has
 * returned resolves. It must not write there later.
 *
 * @example Usage
 * ```ts
 * import { type Initializer, LazyInit, typedArray } from "@lazyinit/lazyinit";
 * import { assertEquals } from "@std/assert";
 *
 * const count: Initializer<Uint8Array> = (slot) => {
 *   for (let i = 0; i < slot.length; i++) slot[i] = i;
 * };
 * const cell = new LazyInit(typedArray(Uint8Array, 3));
 * assertEquals([...cell.callOnce(count)!], [0, 1, 2]);
 * ```
 *
 * @typeParam T The type of the value.
 */
export type Initializer<T> = [T] extends [ArrayBufferView]
  ? (slot: T, allocate: (length: number) => T) => T | void
  : () => T;

/**
 * A function that makes the value of a cell, now or later. Otherwise as
 * {@linkcode Initializer}.
 *
 * @example Usage
 * ```ts
 * import { type AsyncInitializer, int32, MutexLazyInit } from "@lazyinit/lazyinit";
 * import { assertEquals } from "@std/assert";
 *
 * const answer: AsyncInitializer<number> = () => Promise.resolve(42);
 * assertEquals(await new MutexLazyInit(int32).getOrInitAsync(answer), 42);
 * ```
 *
 * @typeParam T The type of the value.
 */
export type AsyncInitializer<T> = [T] extends [ArrayBufferView] ? (
    slot: T,
    allocate: (length: number) => T,
  ) => PromiseLike<T | void> | T | void
  : () => PromiseLike<T> | T;

const LITTLE_ENDIAN = true;
const CREATE = "create the codec";
const MIB = 2 ** 20;

// The default must be small where all of it is allocated immediately
const TEXT_BOUND = (canGrow() ? 64 : 1) * MIB;
const TYPED_ARRAY_BOUND = (canGrow() ? 1_024 : 16) * MIB;

/** How an open struct keeps the place of an open field: its offset and its length. */
const PLACE_BYTES = 8;

/** Returns the class of a typed array, of this realm or another. */
const typedArrayName = Object.getOwnPropertyDescriptor(
  Object.getPrototypeOf(Int8Array.prototype),
  Symbol.toStringTag,
)!.get!;

// Made on first use, as an AudioWorklet and jsdom lack them
let encoder: TextEncoder | undefined;
let decoder: TextDecoder | undefined;

/**
 * A `boolean` in 1 byte.
 *
 * @example Usage
 * ```ts
 * import { bool, LazyInit } from "@lazyinit/lazyinit";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(new LazyInit(bool).initOnce(true), true);
 * ```
 */
export const bool: Codec<boolean> = {
  tag: "bool",
  byteLength: 1,
  encode(value, slot) {
    assertType(value, "boolean", "bool");
    dataViewOf(slot.buffer).setUint8(slot.byteOffset, value ? 1 : 0);
  },
  decode(slot) {
    return dataViewOf(slot.buffer).getUint8(slot.byteOffset) !== 0;
  },
};

/**
 * An integer from -2^31 to 2^31 - 1 in 4 bytes; -0 becomes 0.
 *
 * @example Usage
 * ```ts
 * import { int32, LazyInit } from "@lazyinit/lazyinit";
 * import { assertEquals, assertThrows } from "@std/assert";
 *
 * const cell = new LazyInit(int32);
 * assertThrows(() => cell.initOnce(2 ** 31), RangeError);
 * assertEquals(cell.initOnce(-1), -1);
 * ```
 */
export const int32: Codec<number> = {
  tag: "int32",
  byteLength: 4,
  encode(value, slot) {
    assertInteger(value, "encode int32", "value", -(2 ** 31), 2 ** 31 - 1);
    dataViewOf(slot.buffer).setInt32(slot.byteOffset, value, LITTLE_ENDIAN);
  },
  decode(slot) {
    return dataViewOf(slot.buffer).getInt32(slot.byteOffset, LITTLE_ENDIAN);
  },
};

/**
 * An integer from 0 to 2^32 - 1 in 4 bytes; -0 becomes 0.
 *
 * @example Usage
 * ```ts
 * import { LazyInit, uint32 } from "@lazyinit/lazyinit";
 * import { assertEquals, assertThrows } from "@std/assert";
 *
 * const cell = new LazyInit(uint32);
 * assertThrows(() => cell.initOnce(-1), RangeError);
 * assertEquals(cell.initOnce(2 ** 32 - 1), 2 ** 32 - 1);
 * ```
 */
export const uint32: Codec<number> = {
  tag: "uint32",
  byteLength: 4,
  encode(value, slot) {
    assertInteger(value, "encode uint32", "value", 0, 2 ** 32 - 1);
    dataViewOf(slot.buffer).setUint32(slot.byteOffset, value, LITTLE_ENDIAN);
  },
  decode(slot) {
    return dataViewOf(slot.buffer).getUint32(slot.byteOffset, LITTLE_ENDIAN);
  },
};

/**
 * Any `number` in 8 bytes.
 *
 * @example Usage
 * ```ts
 * import { float64, LazyInit } from "@lazyinit/lazyinit";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(new LazyInit(float64).initOnce(0.1), 0.1);
 * ```
 */
export const float64: Codec<number> = {
  tag: "float64",
  byteLength: 8,
  encode(value, slot) {
    assertType(value, "number", "float64");
    dataViewOf(slot.buffer).setFloat64(slot.byteOffset, value, LITTLE_ENDIAN);
  },
  decode(slot) {
    return dataViewOf(slot.buffer).getFloat64(slot.byteOffset, LITTLE_ENDIAN);
  },
};

/**
 * A `bigint` from -2^63 to 2^63 - 1 in 8 bytes.
 *
 * @example Usage
 * ```ts
 * import { bigInt64, LazyInit } from "@lazyinit/lazyinit";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(new LazyInit(bigInt64).initOnce(-1n), -1n);
 * ```
 */
export const bigInt64: Codec<bigint> = {
  tag: "bigInt64",
  byteLength: 8,
  encode(value, slot) {
    assertType(value, "bigint", "bigInt64");
    if (BigInt.asIntN(64, value) !== value) {
      const wanted = "be from -2^63 to 2^63 - 1";
      throw new RangeError(invalid("encode bigInt64", "value", wanted, value));
    }
    dataViewOf(slot.buffer).setBigInt64(slot.byteOffset, value, LITTLE_ENDIAN);
  },
  decode(slot) {
    return dataViewOf(slot.buffer).getBigInt64(slot.byteOffset, LITTLE_ENDIAN);
  },
};

/**
 * Returns an open codec of strings, in UTF-8.
 *
 * The codec refuses a string with half of a surrogate pair, which UTF-8 cannot represent.
 *
 * @example Usage
 * ```ts
 * import { LazyInit, string } from "@lazyinit/lazyinit";
 * import { assertEquals, assertThrows } from "@std/assert";
 *
 * assertEquals(new LazyInit(string()).initOnce("Zürich"), "Zürich");
 *
 * const cell = new LazyInit(string(4));
 * assertThrows(() => cell.initOnce("Zürich"), RangeError);
 * assertEquals(cell.initOnce("Köl"), "Köl");
 * ```
 *
 * @param maxByteLength The most that the text may take, in bytes of UTF-8, from 0
 * to 2^32 - 8. By default 64 MiB, or 1 MiB where shared memory cannot grow.
 * @returns The codec.
 * @throws {TypeError} If `maxByteLength` is not a number.
 * @throws {RangeError} If `maxByteLength` is not an integer in that range.
 */
export function string(maxByteLength: number = TEXT_BOUND): Codec<string> {
  const tag = textTag("string", maxByteLength);
  return {
    tag,
    open: true,
    byteLength: maxByteLength,
    encode(value, slot) {
      assertType(value, "string", tag);
      if (!value.isWellFormed()) {
        throw new TypeError(
          `Cannot encode ${tag} as 'value' must be well-formed: it holds half of a surrogate pair`,
        );
      }
      encodeText(value, slot, tag);
    },
    decode: decodeText,
  };
}

/**
 * Returns an open codec of JSON values, as JSON in UTF-8.
 *
 * Values that JSON would change or drop silently are refused: functions, symbols,
 * bigints, NaN and infinities, `undefined` other than as a member of an object, holes,
 * cycles, and objects that are not plain (a `Map`, a `Date`, an instance of a class,
 * one with a `toJSON` method, raw JSON). So are values nested more than 1,000 levels
 * deep. There are two exceptions: -0 becomes 0, and what JSON ignores is left out, that is,
 * members that are `undefined`, properties that are not enumerable or have symbols for
 * keys, and named properties of arrays. What is read back is frozen at all levels, though
 * its type is read-only on the first level only. For large arrays of numbers, use
 * {@linkcode typedArray}: each reader gets a view instead of a copy. This matters most in
 * Bun and Safari, whose engine takes about 1 µs to freeze an element.
 *
 * @example Usage
 * ```ts
 * import { json, LazyInit } from "@lazyinit/lazyinit";
 * import { assertEquals } from "@std/assert";
 *
 * interface Config {
 *   port: number;
 *   hosts?: string[];
 * }
 * const cell = new LazyInit(json<Config>());
 * cell.initOnce({ port: 8080, hosts: ["localhost"] });
 * assertEquals(cell.value.hosts, ["localhost"]);
 * assertEquals(Object.isFrozen(cell.value.hosts), true);
 * ```
 *
 * @typeParam T The type of the value; one that JSON cannot represent is a type error.
 * @param max The most that the JSON text may take, in bytes of UTF-8, from 0 to
 * 2^32 - 8. By default 64 MiB, or 1 MiB where shared memory cannot grow.
 * @returns The codec.
 * @throws {TypeError} If `max` is not a number.
 * @throws {RangeError} If `max` is not an integer in that range.
 */
export function json<T = JsonValue>(
  // `T extends Json<T>` would be circular
  ...max: [T] extends [Json<T>] ? [maxByteLength?: number] : [never]
): Codec<T> {
  const [maxByteLength = TEXT_BOUND] = max as [maxByteLength?: number];
  const tag = textTag("json", maxByteLength);
  return {
    tag,
    open: true,
    byteLength: maxByteLength,
    encode(value, slot) {
      encodeText(toJson(value, tag), slot, tag);
    },
    decode(slot) {
      return fromJson(decodeText(slot)) as T;
    },
  };
}

/**
 * Returns a codec of typed arrays, read and written in place: of one length, or an open
 * one of any length.
 *
 * Every agent gets a view of the same memory, without a copy. Numbers are in the
 * byte order of the machine.
 *
 * @example Usage
 * ```ts
 * import { LazyInit, typedArray } from "@lazyinit/lazyinit";
 * import { assertEquals } from "@std/assert";
 *
 * const cell = new LazyInit(typedArray(Float64Array));
 * cell.callOnce((_slot, allocate) => {
 *   const squares = allocate(3);
 *   for (let i = 0; i < squares.length; i++) squares[i] = i * i;
 * });
 * assertEquals([...cell.value], [0, 1, 4]);
 * ```
 *
 * @example One length
 * ```ts
 * import { LazyInit, typedArray } from "@lazyinit/lazyinit";
 * import { assertEquals } from "@std/assert";
 *
 * const cell = new LazyInit(typedArray(Float64Array, 3));
 * cell.callOnce((slot) => void slot.fill(1));
 * assertEquals([...cell.value], [1, 1, 1]);
 * ```
 *
 * @typeParam C The constructor of the typed array.
 * @param constructor The constructor of the typed array, e.g. `Float64Array`.
 * @param length How many elements every value has, from 0 to 2^32 - 1, or options of an
 * open codec, whose values take at most 4 GiB - 8.
 * @returns The codec.
 * @throws {TypeError} If `constructor` is not a constructor of typed arrays, or a
 * length is not a number.
 * @throws {RangeError} If a length is not an integer in its range.
 */
export function typedArray<C extends TypedArrayConstructor>(
  constructor: C,
  length: number | TypedArrayOptions = {},
): Codec<C["prototype"]> {
  const name = elementsOf(constructor);
  if (name === undefined) {
    throw wrongType(
      CREATE,
      "constructor",
      "be that of a typed array",
      constructor,
    );
  }
  return typeof length === "object" && length !== null
    ? openTypedArray(constructor, name, length)
    : fixedTypedArray(constructor, name, length);
}

function fixedTypedArray<C extends TypedArrayConstructor>(
  constructor: C,
  name: string,
  length: number,
): Codec<C["prototype"]> {
  assertInteger(length, CREATE, "length", 0, 2 ** 32 - 1, "2^32 - 1");
  const tag = `${elementTag(name)}[${length}]`;
  const byteLength = length * constructor.BYTES_PER_ELEMENT;
  return {
    tag,
    byteLength,
    view: true,
    encode(value, slot) {
      assertTypedArray(value, name, tag);
      if (value.length !== length) {
        throw new RangeError(
          `Cannot encode ${tag} as 'value' must have ${length} elements: it has ${value.length}`,
        );
      }
      bytesOf(slot).set(bytesOf(value));
    },
    decode: (slot) => viewOf(constructor, slot, length),
  };
}

function openTypedArray<C extends TypedArrayConstructor>(
  constructor: C,
  name: string,
  options: TypedArrayOptions,
): Codec<C["prototype"]> {
  const elementByteLength = constructor.BYTES_PER_ELEMENT;
  const { maxLength = TYPED_ARRAY_BOUND / elementByteLength } = options;
  const limit = Math.floor(MAX_SLOT_BYTES / elementByteLength);
  assertInteger(maxLength, CREATE, "maxLength", 0, limit);
  const byteLength = maxLength * elementByteLength;
  const tag = byteLength === TYPED_ARRAY_BOUND
    ? `${elementTag(name)}[]`
    : `${elementTag(name)}[..${maxLength}]`;
  return {
    tag,
    open: true,
    byteLength,
    view: true,
    encode(value, slot) {
      assertTypedArray(value, name, tag);
      if (value.length > maxLength) {
        throw new RangeError(
          `Cannot encode ${tag} as 'value' must have at most ${maxLength} elements: it has ${value.length}`,
        );
      }
      const bytes = bytesOf(value);
      // A part of the slot itself must not be lost when the slot is resized
      const source = isShared(value.buffer) ? bytes.slice() : bytes;
      bytesOf(slot.resize(source.length)).set(source);
    },
    decode(slot) {
      const length = slot.byteLength / elementByteLength;
      if (Number.isInteger(length)) return viewOf(constructor, slot, length);
      throw new RangeError(
        `Cannot decode ${tag} as its length must be a multiple of ${elementByteLength} bytes: current value is ${slot.byteLength}`,
      );
    },
  };
}

/**
 * Returns a codec of objects with these fields, each at a multiple of 8 bytes.
 *
 * It is open if one of its fields is. What is read back is frozen. A field with a view
 * codec is a live view.
 *
 * @example Usage
 * ```ts
 * import { float64, LazyInit, struct } from "@lazyinit/lazyinit";
 * import { assertEquals } from "@std/assert";
 *
 * const cell = new LazyInit(struct({ x: float64, y: float64 }));
 * assertEquals(cell.initOnce({ x: 1, y: 2 }), { x: 1, y: 2 });
 * ```
 *
 * @typeParam F The codecs of the fields.
 * @param fields The codecs of the fields, in the order of their layout.
 * @returns The codec.
 * @throws {TypeError} If `fields` is not an object of codecs.
 * @throws {RangeError} If one of them is open and the others take 4 GiB or more.
 */
export function struct<F extends Record<string, Codec<unknown>>>(
  fields: F,
): Codec<StructValue<F>> {
  if (typeof fields !== "object" || fields === null) {
    throw wrongType(CREATE, "fields", "be an object of codecs", fields);
  }
  const entries = Object.entries(fields);
  for (const [name, codec] of entries) assertCodec(codec, `fields.${name}`);
  const codecs = entries.map(([, codec]) => codec);
  const tag = `struct{${
    entries.map(([name, { tag }]) => `${JSON.stringify(name)}:${tag}`).join(",")
  }}`;
  const openCodecs = codecs.filter(isOpen);
  const open = openCodecs.length > 0;
  // The places of the open fields, then the fixed fields, then the open ones
  let placeOffset = 0;
  let fixedByteLength = openCodecs.length * PLACE_BYTES;
  const layout = entries.map(([name, codec]): Field => {
    const byteOffset = isOpen(codec) ? placeOffset : fixedByteLength;
    if (isOpen(codec)) placeOffset += PLACE_BYTES;
    else fixedByteLength = alignToSlot(byteOffset + codec.byteLength);
    return { name, codec, byteOffset };
  });
  if (open && fixedByteLength > MAX_SLOT_BYTES) {
    throw new RangeError(
      `Cannot create the codec as the fixed fields of 'fields' must take at most ${MAX_SLOT_BYTES} bytes: they take ${fixedByteLength}`,
    );
  }
  const byteLength = openCodecs.reduce(
    (sum, codec) =>
      Math.min(MAX_SLOT_BYTES, sum + alignToSlot(codec.byteLength)),
    fixedByteLength,
  );

  return {
    tag,
    open,
    byteLength,
    encode(value, slot) {
      assertType(value, "object", tag);
      let whole = open ? slot.resize(fixedByteLength) : slot;
      for (const field of layout) {
        if (!(field.name in value)) {
          throw new TypeError(
            `Cannot encode ${tag} as 'value' must have the field '${field.name}': it has none of that name`,
          );
        }
        if (isOpen(field.codec)) {
          whole = encodeOpenField(field, value[field.name], whole);
        } else {
          field.codec.encode(value[field.name], fixedFieldSlot(field, whole));
        }
      }
    },
    decode(slot) {
      if (slot.byteLength < fixedByteLength) {
        throw new RangeError(
          `Cannot decode ${tag} as its length must be at least ${fixedByteLength} bytes: current value is ${slot.byteLength}`,
        );
      }
      return Object.freeze(Object.fromEntries(
        layout.map((field) => [
          field.name,
          field.codec.decode(
            isOpen(field.codec)
              ? openFieldSlot(field, slot, fixedByteLength)
              : fixedFieldSlot(field, slot),
          ),
        ]),
      )) as StructValue<F>;
    },
  };
}

interface Field {
  readonly name: string;
  readonly codec: Codec<unknown>;
  /** Where the field is in the slot of its struct, or where its place is kept if it is open. */
  readonly byteOffset: number;
}

function isOpen(codec: Codec<unknown>): boolean {
  return codec.open === true;
}

function fixedFieldSlot({ codec, byteOffset }: Field, whole: Slot): Slot {
  return fixedSlot(placeIn(whole, byteOffset), codec.byteLength);
}

/** Appends an open field to its struct, and returns the struct's new slot. */
function encodeOpenField(field: Field, value: unknown, slot: Slot): Slot {
  let whole = slot;
  const offset = alignToSlot(whole.byteLength);
  const byteLength = encodeOpen(
    field.codec,
    value,
    placeIn(whole, offset),
    (byteLength) => {
      whole = whole.resize(offset + byteLength);
      return placeIn(whole, offset);
    },
  );
  const view = dataViewOf(whole.buffer);
  const place = whole.byteOffset + field.byteOffset;
  view.setUint32(place, offset, LITTLE_ENDIAN);
  view.setUint32(place + 4, byteLength, LITTLE_ENDIAN);
  return whole;
}

/** Returns the slot of an open field of a struct, which cannot overlap the struct's own bytes. */
function openFieldSlot(
  { name, codec, byteOffset }: Field,
  whole: Slot,
  fixedByteLength: number,
): Slot {
  const view = dataViewOf(whole.buffer);
  const place = whole.byteOffset + byteOffset;
  const offset = view.getUint32(place, LITTLE_ENDIAN);
  const byteLength = view.getUint32(place + 4, LITTLE_ENDIAN);
  if (
    offset === alignToSlot(offset) && offset >= fixedByteLength &&
    offset + byteLength <= whole.byteLength
  ) return fixedSlot(placeIn(whole, offset), byteLength);
  throw new RangeError(
    `Cannot decode ${codec.tag} as the field '${name}' must be at a multiple of 8 from byte ${fixedByteLength} to ${whole.byteLength}: it takes ${byteLength} bytes at byte ${offset}`,
  );
}

function placeIn({ buffer, byteOffset }: Slot, offset: number): Start {
  return { buffer, byteOffset: byteOffset + offset };
}

/**
 * Returns the name of a class of typed arrays, of any realm: test runners replace some
 * of them by those of another realm. A class that extends one of them has no such name.
 */
function elementsOf(constructor: unknown): string | undefined {
  if (
    typeof constructor !== "function" ||
    !Object.hasOwn(constructor, "BYTES_PER_ELEMENT")
  ) return undefined;
  return typedArrayName.call(Reflect.construct(constructor, []));
}

function elementTag(name: string): string {
  return name.slice(0, -"Array".length).toLowerCase();
}

/** Returns a view of a fixed length, as length-tracking ones are slow to index. */
function viewOf<C extends TypedArrayConstructor>(
  constructor: C,
  { buffer, byteOffset }: Slot,
  length: number,
): C["prototype"] {
  // One signature for all constructors, as TypeScript cannot call a union of them
  const View = constructor as unknown as new (
    buffer: SharedArrayBuffer,
    byteOffset: number,
    length: number,
  ) => C["prototype"];
  return new View(buffer, byteOffset, length);
}

function assertTypedArray(value: unknown, name: string, tag: string): void {
  if (typedArrayName.call(value) === name) return;
  throw wrongType(`encode ${tag}`, "value", `be an instance of ${name}`, value);
}

function assertType(value: unknown, type: string, tag: string): void {
  if (typeof value === type && value !== null) return;
  const wanted = type === "object" ? "be an object" : `be a ${type}`;
  throw wrongType(`encode ${tag}`, "value", wanted, value);
}

/** Returns the tag of a codec of text, with its bound if that is not the default. */
function textTag(name: string, maxByteLength: number): string {
  assertInteger(maxByteLength, CREATE, "maxByteLength", 0, MAX_SLOT_BYTES);
  return maxByteLength === TEXT_BOUND ? name : `${name}[${maxByteLength}]`;
}

/** Up to this length, a loop over ASCII is quicker than a call of the platform's coders. */
const SHORT_TEXT = 128;
/** Used again for each short text, as a new array costs more than the loop. */
const units: number[] = [];

function encodeText(text: string, slot: Slot, tag: string): void {
  if (encoder === undefined) {
    assertDefined("TextEncoder", `encode ${tag}`);
    encoder = new TextEncoder();
  }
  if (isShortAscii(text)) {
    const bytes = bytesOf(slot.resize(text.length));
    for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
    return;
  }
  const bytes = encoder.encode(text);
  bytesOf(slot.resize(bytes.length)).set(bytes);
}

function isShortAscii(text: string): boolean {
  const { length } = text;
  if (length > SHORT_TEXT) return false;
  for (let i = 0; i < length; i++) if (text.charCodeAt(i) > 127) return false;
  return true;
}

/** Returns a short text of ASCII; `undefined` if it is another one. */
function decodeShortAscii(bytes: Uint8Array): string | undefined {
  const { length } = bytes;
  if (length > SHORT_TEXT) return undefined;
  units.length = length;
  for (let i = 0; i < length; i++) {
    const unit = bytes[i]!;
    if (unit > 127) return undefined;
    units[i] = unit;
  }
  return String.fromCharCode(...units);
}

function decodeText(slot: Slot): string {
  if (decoder === undefined) {
    assertDefined("TextDecoder", "decode text");
    // A byte order mark is part of the string, like any other character
    decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  }
  const text = decodeShortAscii(bytesOf(slot));
  if (text !== undefined) return text;
  // Copied, as some browsers do not decode shared memory
  return decoder.decode(bytesOf(slot).slice());
}

/** Returns the bytes of a slot or a view. */
function bytesOf(
  { buffer, byteOffset, byteLength }: Slot | ArrayBufferView,
): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

function assertDefined(
  name: "TextEncoder" | "TextDecoder",
  action: string,
): void {
  if (typeof globalThis[name] === "function") return;
  throw new TypeError(
    `Cannot ${action} as ${name} is not defined: define it, or use a codec of numbers`,
  );
}
