// Copyright 2026 the lazyinit authors. MIT license.
// This module is browser compatible.

/**
 * How a value is laid out in shared memory.
 *
 * A codec says how many bytes a value may take, writes it there, and reads it
 * back in another agent. These are made of numbers, text and views; for anything
 * else, write a {@linkcode Codec} over the serializer of your choice.
 *
 * ```ts
 * import { LazyInit } from "@lazyinit/lazyinit";
 * import { float64, string, struct } from "@lazyinit/lazyinit/codec";
 * import { assertEquals } from "@std/assert";
 *
 * const city = struct({ name: string(64), latitude: float64, longitude: float64 });
 * const cell = new LazyInit(city);
 * cell.initOnce({ name: "Nairobi", latitude: -1.28, longitude: 36.82 });
 * assertEquals(cell.value.name, "Nairobi");
 * ```
 *
 * @module
 */

import { assertCodec, assertLength, show } from "./_checks.ts";
import { fromJson, toJson } from "./_json.ts";
import { alignToSlot, dataViewOf } from "./_memory.ts";

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
  /** The size of the slot, in bytes: the `byteLength` of its codec. */
  readonly byteLength: number;
}

/**
 * Lays a value of type `T` out in a slot of shared memory.
 *
 * The cell sees to it that `encode` runs in one agent at a time, on bytes that are
 * zero but for what a view codec's initializer has written, and that only
 * `getUnchecked()` decodes before it has returned. If `encode` throws, the slot is
 * zeroed again.
 *
 * @example A codec of one's own
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
 * @typeParam T The type of the value.
 */
export interface Codec<T> {
  /** Names the layout, e.g. `"float64[1024]"`; attaching with another tag is refused. */
  readonly tag: string;
  /** The capacity of the slot, in bytes. */
  readonly byteLength: number;
  /**
   * Whether `decode` returns a live view of the slot, valid even before the value
   * is written; initializers get that view to fill. `T` then is an `ArrayBufferView`.
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
   * In a `MutexLazyInit`, a reset by another agent may change the bytes meanwhile.
   * What was read then is thrown away, be it a value or an error, so this needs
   * no care except that it must return.
   *
   * @param slot Where to read it.
   * @returns The value.
   */
  decode(slot: Slot): T;
}

/**
 * A value that JSON can represent.
 *
 * An `interface` is not one for TypeScript, as it may be declared again with
 * more in it; use a `type`.
 *
 * @example Usage
 * ```ts
 * import { json, type JsonValue, LazyInit } from "@lazyinit/lazyinit";
 * import { assertEquals } from "@std/assert";
 *
 * const parsed: JsonValue = JSON.parse('{ "port": 80 }');
 * assertEquals(new LazyInit(json(64)).initOnce(parsed), { port: 80 });
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
  | BigUint64ArrayConstructor;

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
 * Makes the value of a cell, in the agent that calls it.
 *
 * For a view codec it gets the slot as a view to fill in place, as the kernel's
 * pinned initializers do; what it returns, if anything, is copied in. For every
 * other codec it returns the value. The slot is the initializer's until it returns,
 * or what it returned has resolved: it must not write there later.
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
  ? (slot: T) => T | void
  : () => T;

/**
 * Makes the value of a cell, now or later; otherwise as {@linkcode Initializer}.
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
export type AsyncInitializer<T> = [T] extends [ArrayBufferView]
  ? (slot: T) => PromiseLike<T | void> | T | void
  : () => PromiseLike<T> | T;

/** Bytes before the text of a string: its length. */
const LENGTH_PREFIX = 4;
const LITTLE_ENDIAN = true;

/** Reads which class of this package's realm or another a typed array is of. */
const typedArrayName = Object.getOwnPropertyDescriptor(
  Object.getPrototypeOf(Int8Array.prototype),
  Symbol.toStringTag,
)!.get!;

// Made when they are first used, as an AudioWorklet and jsdom lack them
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
 * An integer from -2^31 to 2^31 - 1 in 4 bytes; -0 turns into 0.
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
    assertInteger(value, "int32", -(2 ** 31), 2 ** 31 - 1);
    dataViewOf(slot.buffer).setInt32(slot.byteOffset, value, LITTLE_ENDIAN);
  },
  decode(slot) {
    return dataViewOf(slot.buffer).getInt32(slot.byteOffset, LITTLE_ENDIAN);
  },
};

/**
 * An integer from 0 to 2^32 - 1 in 4 bytes; -0 turns into 0.
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
    assertInteger(value, "uint32", 0, 2 ** 32 - 1);
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
      throw new RangeError(
        `Cannot encode bigInt64 as 'value' must be from -2^63 to 2^63 - 1: current value is ${value}`,
      );
    }
    dataViewOf(slot.buffer).setBigInt64(slot.byteOffset, value, LITTLE_ENDIAN);
  },
  decode(slot) {
    return dataViewOf(slot.buffer).getBigInt64(slot.byteOffset, LITTLE_ENDIAN);
  },
};

/**
 * Returns a codec of strings: 4 bytes for the length, then UTF-8.
 *
 * A string with half of a surrogate pair is refused, as UTF-8 has no form of it.
 *
 * @example Usage
 * ```ts
 * import { LazyInit, string } from "@lazyinit/lazyinit";
 * import { assertEquals, assertThrows } from "@std/assert";
 *
 * const cell = new LazyInit(string(4));
 * assertThrows(() => cell.initOnce("Zürich"), RangeError);
 * assertEquals(cell.initOnce("Köl"), "Köl");
 * ```
 *
 * @param maxByteLength The most that the text may take, in bytes of UTF-8, from 0
 * to 2^32 - 1.
 * @returns The codec.
 * @throws {TypeError} If `maxByteLength` is not a number.
 * @throws {RangeError} If `maxByteLength` is not an integer in that range.
 */
export function string(maxByteLength: number): Codec<string> {
  assertLength(maxByteLength, "maxByteLength");
  const tag = `string[${maxByteLength}]`;
  return {
    tag,
    byteLength: LENGTH_PREFIX + maxByteLength,
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
 * Returns a codec of JSON values: 4 bytes for the length, then JSON in UTF-8.
 *
 * Values that JSON would change or drop silently are refused: `undefined`,
 * functions, symbols, bigints, NaN and infinities, holes, cycles, and objects that
 * are not plain (a `Map`, a `Date`, an instance of a class, one with a `toJSON`
 * method, raw JSON). So are values nested more than 1,000 levels deep. Only -0 turns into 0, and properties that JSON does not look at are left
 * out: those that are not enumerable, have symbols for keys, or names in an array.
 * What is read back is frozen all through, though its type is read-only on the
 * first level only. `T` must be a `type`: an `interface` is no {@linkcode JsonValue}.
 *
 * @example Usage
 * ```ts
 * import { json, LazyInit } from "@lazyinit/lazyinit";
 * import { assertEquals } from "@std/assert";
 *
 * type Config = { port: number; hosts: string[] };
 * const cell = new LazyInit(json<Config>(1024));
 * cell.initOnce({ port: 8080, hosts: ["localhost"] });
 * assertEquals(cell.value.hosts, ["localhost"]);
 * assertEquals(Object.isFrozen(cell.value.hosts), true);
 * ```
 *
 * @typeParam T The type of the value; one that JSON cannot represent is a type error.
 * @param maxByteLength The most that the JSON text may take, in bytes of UTF-8,
 * from 0 to 2^32 - 1.
 * @returns The codec.
 * @throws {TypeError} If `maxByteLength` is not a number.
 * @throws {RangeError} If `maxByteLength` is not an integer in that range.
 */
export function json<T extends JsonValue>(maxByteLength: number): Codec<T> {
  assertLength(maxByteLength, "maxByteLength");
  const tag = `json[${maxByteLength}]`;
  return {
    tag,
    byteLength: LENGTH_PREFIX + maxByteLength,
    encode(value, slot) {
      encodeText(toJson(value, tag), slot, tag);
    },
    decode(slot) {
      return fromJson(decodeText(slot)) as T;
    },
  };
}

/**
 * Returns a codec of typed arrays of one length, read and written in place.
 *
 * Every agent gets a view of the same memory, without a copy. Numbers are in the
 * byte order of the machine.
 *
 * @example Usage
 * ```ts
 * import { LazyInit, typedArray } from "@lazyinit/lazyinit";
 * import { assertEquals } from "@std/assert";
 *
 * const cell = new LazyInit(typedArray(Float64Array, 3));
 * cell.callOnce((squares) => {
 *   for (let i = 0; i < squares.length; i++) squares[i] = i * i;
 * });
 * assertEquals([...cell.value], [0, 1, 4]);
 * ```
 *
 * @typeParam C The constructor of the typed array.
 * @param constructor The constructor of the typed array, e.g. `Float64Array`.
 * @param length How many elements it has, from 0 to 2^32 - 1.
 * @returns The codec.
 * @throws {TypeError} If `constructor` is that of no typed array or `length` no number.
 * @throws {RangeError} If `length` is not an integer in that range.
 */
export function typedArray<C extends TypedArrayConstructor>(
  constructor: C,
  length: number,
): Codec<C["prototype"]> {
  const name = elementsOf(constructor);
  if (name === undefined) {
    throw new TypeError(
      `Cannot create the codec as 'constructor' must be that of a typed array: current value is ${
        show(constructor)
      }`,
    );
  }
  assertLength(length, "length");
  // One signature for eleven constructors, which TypeScript cannot call as a union
  const View = constructor as unknown as new (
    buffer: SharedArrayBuffer,
    byteOffset: number,
    length: number,
  ) => C["prototype"];
  const tag = `${name.slice(0, -5).toLowerCase()}[${length}]`;
  return {
    tag,
    byteLength: length * constructor.BYTES_PER_ELEMENT,
    view: true,
    encode(value, slot) {
      if (typedArrayName.call(value) !== name) {
        throw new TypeError(
          `Cannot encode ${tag} as 'value' must be an instance of ${name}: current value is ${
            show(value)
          }`,
        );
      }
      if (value.length !== length) {
        throw new RangeError(
          `Cannot encode ${tag} as 'value' must have ${length} elements: it has ${value.length}`,
        );
      }
      new Uint8Array(slot.buffer, slot.byteOffset, slot.byteLength)
        .set(new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
    },
    decode(slot) {
      return new View(slot.buffer, slot.byteOffset, length);
    },
  };
}

/**
 * Returns a codec of objects with these fields, each at a multiple of 8 bytes.
 *
 * What is read back is frozen. A field with a view codec is a live view.
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
 */
export function struct<F extends Record<string, Codec<unknown>>>(
  fields: F,
): Codec<StructValue<F>> {
  if (typeof fields !== "object" || fields === null) {
    throw new TypeError(
      `Cannot create the codec as 'fields' must be an object of codecs: current value is ${
        show(fields)
      }`,
    );
  }
  let byteLength = 0;
  const layout = Object.entries(fields).map(([name, codec]) => {
    assertCodec(codec, `fields.${name}`);
    const field = { name, codec, byteOffset: byteLength };
    byteLength = alignToSlot(byteLength + codec.byteLength);
    return field;
  });
  const tag = `struct{${
    layout.map(({ name, codec }) => `${JSON.stringify(name)}:${codec.tag}`)
      .join(",")
  }}`;

  function fieldSlot({ codec, byteOffset }: typeof layout[number], slot: Slot) {
    return {
      buffer: slot.buffer,
      byteOffset: slot.byteOffset + byteOffset,
      byteLength: codec.byteLength,
    };
  }

  return {
    tag,
    byteLength,
    encode(value, slot) {
      assertType(value, "object", tag);
      for (const field of layout) {
        if (!(field.name in value)) {
          throw new TypeError(
            `Cannot encode ${tag} as 'value' must have the field '${field.name}': it has none of that name`,
          );
        }
        field.codec.encode(value[field.name], fieldSlot(field, slot));
      }
    },
    decode(slot) {
      return Object.freeze(Object.fromEntries(
        layout.map((field) => [
          field.name,
          field.codec.decode(fieldSlot(field, slot)),
        ]),
      )) as StructValue<F>;
    },
  };
}

/**
 * Returns the name of a class of typed arrays, of any realm: test runners replace some
 * of them by those of another one. A class that extends one of them has none.
 */
function elementsOf(constructor: unknown): string | undefined {
  if (
    typeof constructor !== "function" ||
    !Object.hasOwn(constructor, "BYTES_PER_ELEMENT")
  ) return undefined;
  return typedArrayName.call(Reflect.construct(constructor, []));
}

function assertType(value: unknown, type: string, tag: string): void {
  if (typeof value === type && value !== null) return;
  throw new TypeError(
    `Cannot encode ${tag} as 'value' must be ${
      type === "object" ? "an object" : `a ${type}`
    }: current value is ${show(value)}`,
  );
}

function assertInteger(
  value: unknown,
  tag: string,
  min: number,
  max: number,
): void {
  assertType(value, "number", tag);
  if (
    Number.isInteger(value) && value as number >= min && value as number <= max
  ) {
    return;
  }
  throw new RangeError(
    `Cannot encode ${tag} as 'value' must be an integer from ${min} to ${max}: current value is ${value}`,
  );
}

function encodeText(text: string, slot: Slot, tag: string): void {
  assertDefined("TextEncoder", `encode ${tag}`);
  encoder ??= new TextEncoder();
  const bytes = encoder.encode(text);
  const capacity = slot.byteLength - LENGTH_PREFIX;
  if (bytes.length > capacity) {
    throw new RangeError(
      `Cannot encode ${tag} as 'value' must take at most ${capacity} bytes: it takes ${bytes.length}`,
    );
  }
  dataViewOf(slot.buffer)
    .setUint32(slot.byteOffset, bytes.length, LITTLE_ENDIAN);
  new Uint8Array(slot.buffer, slot.byteOffset + LENGTH_PREFIX).set(bytes);
}

function decodeText(slot: Slot): string {
  const length = dataViewOf(slot.buffer)
    .getUint32(slot.byteOffset, LITTLE_ENDIAN);
  const capacity = slot.byteLength - LENGTH_PREFIX;
  if (length > capacity) {
    throw new RangeError(
      `Cannot decode text as its length must be at most ${capacity} bytes: current value is ${length}`,
    );
  }
  // Copied, as some browsers do not decode shared memory
  const bytes = new Uint8Array(length);
  bytes.set(
    new Uint8Array(slot.buffer, slot.byteOffset + LENGTH_PREFIX, length),
  );
  assertDefined("TextDecoder", "decode text");
  // A byte order mark is part of the string, as any character
  decoder ??= new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  return decoder.decode(bytes);
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
