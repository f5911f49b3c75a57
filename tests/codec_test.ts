// Copyright 2026 the lazyinit authors. MIT license.

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertNotEquals,
  assertNotStrictEquals,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { runInNewContext } from "node:vm";
import {
  bigInt64,
  bool,
  type Codec,
  float64,
  int32,
  json,
  type JsonValue,
  type Slot,
  string,
  struct,
  typedArray,
  type TypedArrayConstructor,
  uint32,
} from "../codec.ts";
import {
  LazyInit,
  type LazyInitHandle,
  MutexLazyInit,
  OnceState,
} from "../mod.ts";
import { encodeOpen, fixedSlot } from "../_slot.ts";
import { bytesOf, encoded, roundTripped } from "./_codec_slots.ts";
import { run } from "./_commands.ts";
import fc from "fast-check";

const HEADER_BYTES = OnceState.byteLength;

/** One array a constructor, with the extremes of its elements. */
const TYPED_ARRAYS: [InstanceType<TypedArrayConstructor>, string, number][] = [
  [Int8Array.of(-128, 127), "int8[2]", 2],
  [Uint8Array.of(0, 255), "uint8[2]", 2],
  [Uint8ClampedArray.of(0, 255), "uint8clamped[2]", 2],
  [Int16Array.of(-(2 ** 15), 2 ** 15 - 1), "int16[2]", 4],
  [Uint16Array.of(0, 2 ** 16 - 1), "uint16[2]", 4],
  [Int32Array.of(-(2 ** 31), 2 ** 31 - 1), "int32[2]", 8],
  [Uint32Array.of(0, 2 ** 32 - 1), "uint32[2]", 8],
  [Float32Array.of(NaN, -0, Infinity, 2 ** -149), "float32[4]", 16],
  [Float64Array.of(NaN, -0, -Infinity, Number.MIN_VALUE), "float64[4]", 32],
  [BigInt64Array.of(-(2n ** 63n), 2n ** 63n - 1n), "bigint64[2]", 16],
  [BigUint64Array.of(0n, 2n ** 64n - 1n), "biguint64[2]", 16],
];

/** A codec of one's own, with a `Date` that JSON would refuse. */
const date: Codec<Date> = {
  tag: "date",
  byteLength: 8,
  encode: (value, slot) => float64.encode(value.getTime(), slot),
  decode: (slot) => new Date(float64.decode(slot)),
};

const { Float16Array } = globalThis as {
  Float16Array?: TypedArrayConstructor;
};
if (Float16Array !== undefined) {
  const array = new Float16Array(4);
  array.set([NaN, -0, Infinity, 2 ** -24] as never);
  TYPED_ARRAYS.push([array, "float16[4]", 8]);
}

function codecOf(array: InstanceType<TypedArrayConstructor>) {
  return typedArray(array.constructor as TypedArrayConstructor, array.length);
}

/** The cell as another agent has it: nothing is shared with `cell` but the memory. */
function attached<T>(cell: { handle: LazyInitHandle }, codec: Codec<T>) {
  return LazyInit.from(structuredClone(cell.handle), codec);
}

/** A live view of the slot and its padding, of a cell in memory of its own. */
function slotOf(cell: { handle: LazyInitHandle }): Uint8Array {
  return new Uint8Array(cell.handle.buffer, HEADER_BYTES);
}

function assertUntouched(
  cell: Pick<LazyInit<unknown>, "phase" | "get"> & { handle: LazyInitHandle },
) {
  assertEquals(cell.phase, "uninitialized");
  assertEquals(cell.get(), undefined);
  assertEquals([...slotOf(cell)], new Array(slotOf(cell).length).fill(0));
}

function assertRoundTrips<T>(codec: Codec<T>, values: T[]) {
  for (const value of values) {
    assertEquals<unknown>(roundTripped(codec, value), value);
  }
}

/** `bad` is of any type, as most refusals are of what does not type-check. */
function assertRefuses<T>(
  codec: Codec<T>,
  bad: unknown,
  good: T,
  ErrorClass: typeof Error,
  message: string,
) {
  assertThrows(() => encoded(codec, bad as T), ErrorClass, message);
  assertEquals<unknown>(roundTripped(codec, good), good);
}

Deno.test("bool round-trips", () => assertRoundTrips(bool, [true, false]));

Deno.test("int32 round-trips its extremes", () => {
  assertRoundTrips(int32, [-(2 ** 31), -1, 0, 1, 2 ** 31 - 1]);
});

Deno.test("uint32 round-trips its extremes", () => {
  assertRoundTrips(uint32, [0, 1, 2 ** 31, 2 ** 32 - 1]);
});

Deno.test("float64 round-trips every kind of number", () => {
  const { MAX_VALUE, MIN_VALUE } = Number;
  assertRoundTrips(float64, [0, -0, 0.1, MIN_VALUE, MAX_VALUE, -MAX_VALUE]);
  assertRoundTrips(float64, [NaN, Infinity, -Infinity, 2 ** 53 + 2]);
});

Deno.test("float64 keeps the sign of zero", () => {
  // Not left to assertEquals()
  assertStrictEquals(roundTripped(float64, -0), -0);
});

Deno.test("float64 reads memory that has grown since it was first used", () => {
  const size = LazyInit.byteLength(float64);
  const buffer = new SharedArrayBuffer(size, { maxByteLength: 2 * size });
  new LazyInit(float64, { buffer }).initOnce(1);
  buffer.grow(2 * size);
  const later = new LazyInit(float64, { buffer, byteOffset: size });
  assertEquals(later.initOnce(2), 2);
});

Deno.test("bigInt64 round-trips its extremes", () => {
  assertRoundTrips(bigInt64, [-(2n ** 63n), -1n, 0n, 2n ** 63n - 1n]);
});

Deno.test("string() round-trips text", () => {
  assertRoundTrips(string(32), [
    "",
    "\0",
    "Zürich",
    "👩‍🚀🦒",
    "\uFEFFwith a byte order mark",
    "\u{10FFFF}",
  ]);
});

Deno.test("string() takes text of exactly its capacity", () => {
  assertRoundTrips(string(0), [""]);
  assertRoundTrips(string(4), ["abcd", "aé!", "🦒"]);
});

Deno.test("string() refuses a value one byte past its capacity", () => {
  for (const value of ["abcde", "éa€", "🦒!"]) {
    const message = `string[4] as 'value' must take at most 4 bytes: it takes ${
      new TextEncoder().encode(value).length
    }`;
    assertRefuses(string(4), value, "abcd", RangeError, message);
  }
  const message = "string[0] as 'value' must take at most 0 bytes: it takes 1";
  assertRefuses(string(0), "a", "", RangeError, message);
});

Deno.test("string() refuses half of a surrogate pair", () => {
  for (const value of ["\uD83E", "\uDD92", "a\uD83E", "\uDD92\uD83E"]) {
    assertRefuses(
      string(8),
      value,
      "\uD83E\uDD92",
      TypeError,
      "Cannot encode string[8] as 'value' must be well-formed: it holds half of a surrogate pair",
    );
  }
});

for (const name of ["TextEncoder", "TextDecoder"]) {
  Deno.test(`string() and json() say so where ${name} is missing, and numbers need none`, async () => {
    const output = await run(Deno.execPath(), [
      "run",
      "--no-config",
      "tests/testdata/without_text_codec.ts",
      name,
    ]);
    const message = (action: string) =>
      `TypeError: Cannot ${action} as ${name} is not defined: define it, or use a codec of numbers`;
    assertEquals(
      output.split("\n"),
      name === "TextEncoder"
        ? ["42", message("encode string[4]"), message("encode json[4]")]
        : ["42", message("decode text"), message("decode text")],
    );
  });
}

Deno.test("json() round-trips JSON values", () => {
  assertRoundTrips<JsonValue>(json(128), [
    null,
    true,
    false,
    0,
    -1.5,
    Number.MAX_VALUE,
    Number.MIN_VALUE,
    "",
    "🦒",
    "\uFEFFwith a byte order mark",
    "half a pair: \uD83E",
    [],
    {},
    [[], {}, null],
    { list: [1, "two", { three: [3] }], none: null, "": 4 },
    // An own property, as an object literal cannot have it
    JSON.parse('{ "__proto__": { "polluted": true } }'),
  ]);
});

Deno.test("json() takes plain objects without a prototype or of another realm", () => {
  const bare = Object.assign(Object.create(null), { a: 1 });
  assertEquals<JsonValue>(roundTripped(json(), bare), { a: 1 });
  const bareList = Object.setPrototypeOf([1], null);
  assertEquals<JsonValue>(roundTripped(json(), bareList), [1]);
  const foreign = runInNewContext("({ a: [1] })");
  assertEquals<JsonValue>(roundTripped(json(), foreign), { a: [1] });
});

Deno.test("json() turns -0 into 0", () => {
  assertStrictEquals(roundTripped(json(), -0), 0);
});

Deno.test("json() takes text of exactly its capacity", () => {
  assertRoundTrips<JsonValue>(json(6), [[1, 22], "abcd", "🦒", null, 123456]);
});

Deno.test("json() refuses a value one byte past its capacity", () => {
  for (const value of [[1, 222], "abcde", "🦒!", 1234567]) {
    const message = "json[6] as 'value' must take at most 6 bytes: it takes 7";
    assertRefuses<JsonValue>(json(6), value, [1, 22], RangeError, message);
  }
});

Deno.test("json() refuses what JSON would change or drop", () => {
  class Point {
    x = 1;
  }
  const message = (text: string) =>
    `must be a JSON value: current value is ${text}`;
  for (
    const [value, text] of [
      [() => {}, "a function"],
      [Point, "a function"],
      [Symbol("s"), "Symbol(s)"],
      [1n, "1n"],
      [NaN, "NaN"],
      [Infinity, "Infinity"],
      [-Infinity, "-Infinity"],
      [new Map([["a", 1]]), "a Map"],
      [new Set([1]), "a Set"],
      [new Date(0), "a Date"],
      [new Point(), "a Point"],
      [new Number(1), "a Number"],
      [new Error("e"), "an Error"],
      [Promise.resolve(1), "a Promise"],
      [Float64Array.of(1), "a Float64Array"],
      [/a/, "a RegExp"],
    ] as const
  ) {
    const at = (path: string) =>
      `Cannot encode json[64] as '${path}' ${message(text)}`;
    const codec = json<JsonValue>(64);
    const good = { a: [1] };
    assertRefuses(codec, value, good, TypeError, at("value"));
    assertRefuses(codec, [0, value], good, TypeError, at("value[1]"));
    const nested = { ok: 1, a: [0, { b: value }] };
    assertRefuses(codec, nested, good, TypeError, at("value.a[1].b"));
  }
});

Deno.test("json() leaves out members that are undefined, and refuses undefined elsewhere", () => {
  const codec = json<{ a?: number | undefined; b: number[] }>();
  assertEquals(
    Object.entries(roundTripped(codec, { a: undefined, b: [] })),
    [["b", []]],
  );
  for (
    const [value, path] of [
      [undefined, "value"],
      [[undefined], "value[0]"],
      [{ b: [undefined] }, "value.b[0]"],
    ] as const
  ) {
    const message =
      `Cannot encode json as '${path}' must be a JSON value: current value is undefined`;
    assertRefuses(json(), value, [1], TypeError, message);
  }
});

Deno.test("json() refuses a hole in an array", () => {
  const holes = Object.assign([1], { 2: 3 });
  const message =
    "'value.a[1]' must be a JSON value: current value is undefined";
  assertRefuses(json(64), { a: holes }, [1], TypeError, message);
});

Deno.test("json() refuses what has a toJSON method, however it is hidden", () => {
  const toJSON = () => 1;
  for (
    const value of [
      { toJSON },
      Object.assign([1], { toJSON }),
      Object.defineProperty([1], "toJSON", { value: toJSON }),
      Object.defineProperty({ a: 1 }, "toJSON", { value: toJSON }),
    ]
  ) {
    const message = "'value.a' must be a JSON value";
    assertRefuses(json(64), { a: value }, 1, TypeError, message);
  }
});

Deno.test("json() refuses raw JSON, which may be any number", () => {
  const { rawJSON } = JSON as { rawJSON?: (text: string) => unknown };
  // In the Deno that runs this, so that the test cannot pass for want of it
  const value = { a: [rawJSON!("1e400")] };
  const message =
    "'value.a[0]' must be a JSON value: current value is raw JSON";
  assertRefuses(json(64), value, 1, TypeError, message);
});

Deno.test("json() writes what it has checked where a second look shows something else", () => {
  let looks = 0;
  const look = () => looks++ === 0 ? 1 : NaN;
  const hidden = { toJSON: () => NaN, a: 1 };
  const list = new Proxy([0], {
    get: (target, key) => key === "0" ? look() : Reflect.get(target, key),
  });
  const record = new Proxy(hidden, {
    get: (target, key) =>
      key === "toJSON" && looks++ === 0 ? undefined : Reflect.get(target, key),
    ownKeys: () => ["a"],
  });
  const cases: [unknown, unknown][] = [
    [{
      get a() {
        return look();
      },
    }, { a: 1 }],
    [Object.defineProperty([0], "0", { get: look }), [1]],
    [list, [1]],
    [record, { a: 1 }],
  ];
  for (const [value, written] of cases) {
    looks = 0;
    assertEquals<unknown>(roundTripped(json(), value as JsonValue), written);
  }
});

Deno.test("json() refuses an array whose length is no number of elements", () => {
  for (const length of [undefined, "1", -1, 0.5, new Date(0)]) {
    const value = new Proxy([1], {
      get: (target, key) =>
        key === "length" ? length : Reflect.get(target, key),
    });
    const message = "'value' must be a JSON value: its length is ";
    assertRefuses(json(64), value, [], TypeError, message);
  }
});

Deno.test("json() looks at each member once, in however large a value", () => {
  for (const count of [1_000, 100_000]) {
    let looks = 0;
    const counting = <T extends object>(value: T): T =>
      new Proxy(value, {
        get(target, key) {
          if (Object.hasOwn(target, key) && key !== "length") looks++;
          return Reflect.get(target, key);
        },
      });
    const numbers = Array.from({ length: count }, (_, index) => index / 2);
    encoded<JsonValue>(json(), counting(numbers));
    assertEquals(looks, count);

    looks = 0;
    const objects = numbers.map((at) => counting({ at, on: [at], off: null }));
    encoded<JsonValue>(json(), counting(objects));
    assertEquals(looks, 4 * count);
  }
});

Deno.test("json() ignores what all objects inherit", () => {
  const prototype = Object.prototype as Record<string, unknown>;
  prototype.helper = () => {};
  prototype.list = [1];
  try {
    assertEquals(
      JSON.stringify(roundTripped<JsonValue>(json(), { a: [{ b: 1 }] })),
      '{"a":[{"b":1}]}',
    );
  } finally {
    delete prototype.helper;
    delete prototype.list;
  }
});

Deno.test("json() keeps members that are named as what objects inherit", () => {
  for (
    const text of ['{"__proto__":{"a":[]}}', '{"constructor":{"name":[]}}']
  ) {
    assertEquals(
      JSON.stringify(roundTripped(json(), JSON.parse(text))),
      text,
    );
  }
});

Deno.test("json() takes 1000 levels, and refuses one more however little stack it would need", () => {
  const codec = json();
  for (
    const wrap of [(value: JsonValue) => [value], (a: JsonValue) => ({ a })]
  ) {
    const nested = (levels: number) => {
      let value: JsonValue = 1;
      for (let i = 0; i < levels; i++) value = wrap(value);
      return value;
    };
    for (const levels of [1_001, 14_800, 200_000]) {
      assertThrows(
        () => encoded(codec, nested(levels)),
        RangeError,
        "Cannot encode json as 'value' must be nested at most 1000 levels deep: it is nested deeper",
      );
    }
    const needs = (value: JsonValue) => {
      const slot = encoded(codec, value);
      // What is compiled on the way takes stack, too, but only the first time
      const frames = Array.from(
        { length: 5 },
        () => framesNeeded(() => codec.decode(slot)),
      );
      return Math.min(...frames);
    };
    // Were reading recursive, it would need a frame or more for each level
    const more = needs(nested(1_000)) - needs(nested(1));
    assert(more < 500, `${more} frames more`);
  }
});

/** How many frames must be left of the stack for `action` to succeed. */
function framesNeeded(action: () => void): number {
  let frames = 0;
  let done = false;
  function descend() {
    try {
      descend();
    } catch {
      // The stack has ended somewhere below
    }
    if (done) return;
    frames++;
    try {
      action();
      done = true;
    } catch {
      // Too little is left here
    }
  }
  descend();
  return frames;
}

Deno.test("json() refuses an instance of a class of arrays", () => {
  class List extends Array<number> {}
  const message = "'value' must be a JSON value: current value is a List";
  assertRefuses(json(64), List.of(1), 1, TypeError, message);
});

Deno.test("json() leaves out properties that JSON does not look at", () => {
  const value = Object.assign([1], { [Symbol("key")]: 2, name: 3 });
  assertEquals<JsonValue>(roundTripped(json(), value), [1]);
});

Deno.test("json() refuses a cycle", () => {
  const object: Record<string, unknown> = { a: 1 };
  object.self = object;
  const list: unknown[] = [];
  list.push({ deep: [list] });
  for (
    const [value, path] of [
      [object, "value.self"],
      [list, "value[0].deep[0]"],
      [{ a: [object] }, "value.a[0].self"],
    ] as const
  ) {
    const message = `'${path}' must be a JSON value: it closes a cycle`;
    assertRefuses(json(64), value, [1], TypeError, message);
  }
});

Deno.test("json() takes an object that is shared but in no cycle", () => {
  const shared = { x: [1] };
  assertRoundTrips<JsonValue>(json(128), [
    { a: shared, b: [shared, shared] },
    [shared.x, shared],
    [[shared.x], [shared.x]],
    Array(2).fill([shared]),
  ]);
});

Deno.test("json() freezes what is read all through, and not what was given", () => {
  const value = { list: [1, { deep: { er: [] } }], object: { a: {} } };
  const codec = json<typeof value>(128);
  function assertFrozen(value: unknown) {
    assert(Object.isFrozen(value), `${Deno.inspect(value)} is not frozen`);
    if (typeof value !== "object" || value === null) return;
    Object.values(value).forEach(assertFrozen);
  }
  const read = roundTripped(codec, value);
  assertFrozen(read);
  assertThrows(() => read.list.push(2), TypeError, "not extensible");
  assertEquals(Object.isFrozen(value), false);
  assertEquals(Object.isFrozen(value.object.a), false);
});

Deno.test("typedArray() round-trips the extremes of every kind of element", () => {
  for (const [array] of TYPED_ARRAYS) {
    const codec = codecOf(array);
    for (const either of [codec, typedArray(array.constructor as never)]) {
      const read = roundTripped(either, array);
      assertStrictEquals(read.constructor, array.constructor);
      assertEquals<unknown>([...read], [...array]);
      assertNotStrictEquals<unknown>(read, array);
    }
  }
});

Deno.test("typedArray() round-trips an array without elements", () => {
  for (const size of [0, {}, { maxLength: 0 }]) {
    const codec = typedArray(Float64Array, size);
    assertEquals(roundTripped(codec, new Float64Array(0)).length, 0);
  }
});

Deno.test("typedArray() takes constructors and values of another realm", () => {
  // As in Jest and in Vitest's vmThreads, which replace `Uint8Array` alone
  const Foreign: Uint8ArrayConstructor = runInNewContext("Uint8Array");
  assertNotStrictEquals<unknown>(Foreign, Uint8Array);
  const values = [
    runInNewContext("Uint8Array.of(1, 2, 3)"),
    Uint8Array.of(1, 2, 3),
  ];
  const wrong = runInNewContext("Int8Array.of(1, 2, 3)");
  for (const size of [3, {}]) {
    const local = typedArray(Uint8Array, size);
    for (const codec of [typedArray(Foreign, size), local]) {
      assertEquals(codec.tag, local.tag);
      for (const value of values) {
        assertEquals([...roundTripped(codec, value)], [1, 2, 3]);
        // Either codec reads what the other has written
        const read = local.decode(encoded(codec, value));
        assertInstanceOf(read, Uint8Array);
        assertEquals([...read], [1, 2, 3]);
      }
      assertThrows(() => encoded(codec, wrong), TypeError);
    }
  }
});

Deno.test("typedArray() copies only the part of memory that the value is a view of", () => {
  const all = Int16Array.of(1, 2, 3, 4);
  const shared = new Int16Array(new SharedArrayBuffer(8));
  shared.set(all);
  for (const array of [all, shared]) {
    for (const size of [2, {}]) {
      const codec = typedArray(Int16Array, size);
      assertEquals([...roundTripped(codec, array.subarray(1, 3))], [2, 3]);
    }
  }
});

Deno.test("typedArray() gives every instance the same memory", () => {
  const codec = typedArray(Float64Array, 2);
  const cell = new LazyInit(codec);
  const other = attached(cell, codec);
  cell.initOnce(Float64Array.of(1, 2));
  const view = cell.getMut()!;
  assertEquals([...other.value], [1, 2]);
  view[1] = 3;
  assertEquals([...other.value], [1, 3]);
  other.getMut()![0] = 4;
  assertEquals([...view], [4, 3]);
  assertStrictEquals(view.buffer, cell.handle.buffer);
  assertEquals(view.byteOffset, HEADER_BYTES);
  assertStrictEquals<unknown>(cell.getMut(), cell.get());
});

Deno.test("typedArray() refuses an array of another class", () => {
  const codecs: [Codec<Float64Array>, string][] = [
    [typedArray(Float64Array, 2), "float64[2]"],
    [typedArray(Float64Array), "float64[]"],
  ];
  for (
    const [value, text] of [
      [Float32Array.of(1, 2), "an object"],
      [new DataView(new ArrayBuffer(16)), "an object"],
      [Object.create(Float64Array.of(1, 2)), "an object"],
      [[1, 2], "an array"],
      [undefined, "undefined"],
      [null, "null"],
      [2, "2"],
    ] as const
  ) {
    for (const [codec, tag] of codecs) {
      assertRefuses(
        codec,
        value,
        Float64Array.of(1, 2),
        TypeError,
        `Cannot encode ${tag} as 'value' must be an instance of Float64Array: current value is ${text}`,
      );
    }
  }
  // Equal in everything but how they are written
  assertRefuses(
    typedArray(Uint8ClampedArray),
    Uint8Array.of(1),
    Uint8ClampedArray.of(1),
    TypeError,
    "must be an instance of Uint8ClampedArray",
  );
});

Deno.test("typedArray() refuses an array of another length", () => {
  for (const length of [0, 1, 3]) {
    assertRefuses(
      typedArray(Uint8Array, 2),
      new Uint8Array(length),
      Uint8Array.of(1, 2),
      RangeError,
      `Cannot encode uint8[2] as 'value' must have 2 elements: it has ${length}`,
    );
  }
});

Deno.test("typedArray() of any length takes as many elements as its bound, and no more", () => {
  assertRefuses(
    typedArray(Int16Array, { maxLength: 2 }),
    new Int16Array(3),
    Int16Array.of(1, 2),
    RangeError,
    "Cannot encode int16[..2] as 'value' must have at most 2 elements: it has 3",
  );
});

Deno.test("typedArray() of any length gives views of a fixed length over memory that grows", () => {
  const codec = typedArray(Float64Array);
  const place = {
    buffer: new SharedArrayBuffer(16, { maxByteLength: 64 }),
    byteOffset: 8,
  };
  const reserve = (byteLength: number) => {
    place.buffer.grow(place.byteOffset + byteLength);
    return place;
  };
  const written = encodeOpen(codec, Float64Array.of(1, 2, 3), place, reserve);
  const view = codec.decode(fixedSlot(place, written));
  assertStrictEquals(view.buffer, place.buffer);
  assertEquals(view.byteOffset, 8);
  place.buffer.grow(64);
  assertEquals([...view], [1, 2, 3]);

  // A part of the slot itself survives what becomes of the slot
  const shorter = encodeOpen(codec, view.subarray(1), place, () => {
    new Uint8Array(place.buffer).fill(0);
    return place;
  });
  assertEquals([...codec.decode(fixedSlot(place, shorter))], [2, 3]);
});

Deno.test("typedArray() of any length refuses to read half an element", () => {
  const slot = fixedSlot(
    { buffer: new SharedArrayBuffer(8), byteOffset: 0 },
    6,
  );
  assertThrows(
    () => typedArray(Float32Array).decode(slot),
    RangeError,
    "Cannot decode float32[] as its length must be a multiple of 4 bytes: current value is 6",
  );
});

Deno.test("struct() round-trips its fields, structs among them", () => {
  const codec = struct({
    flag: bool,
    'a "quoted" name': string(5),
    at: struct({ x: float64, y: float64 }),
    options: json<{ n: number[] }>(32),
    id: bigInt64,
    when: date,
    none: struct({}),
  });
  assertRoundTrips(codec, [{
    flag: true,
    'a "quoted" name': "12345",
    at: { x: -0, y: NaN },
    options: { n: [1, 2] },
    id: -(2n ** 63n),
    when: new Date(1),
    none: {},
  }]);
});

Deno.test("struct() freezes what is read, structs in it too", () => {
  const codec = struct({ a: int32, b: struct({ c: int32 }) });
  const value = { a: 1, b: { c: 2 } };
  const read = roundTripped(codec, value);
  assert(Object.isFrozen(read));
  assert(Object.isFrozen(read.b));
  assertEquals(Object.isFrozen(value), false);
});

Deno.test("struct() has a live view for a typedArray() field", () => {
  const codec = struct({ n: bool, list: typedArray(Uint16Array, 3), m: bool });
  const list = Uint16Array.of(1, 2, 3);
  const cell = new LazyInit(codec);
  const read = cell.initOnce({ n: true, list, m: true });
  const other = attached(cell, codec).value;
  assertInstanceOf(other.list, Uint16Array);
  assertEquals(other, { n: true, list, m: true });
  read.list[1] = 9;
  assertEquals([...other.list], [1, 9, 3]);
  assertEquals([...list], [1, 2, 3]);
});

Deno.test("struct() gives each field a slot of its own, at a multiple of 8", () => {
  const slots: [number, number][] = [];
  const spy = (byteLength: number): Codec<null> => ({
    tag: `spy[${byteLength}]`,
    byteLength,
    encode: (_value, { byteOffset, byteLength }) =>
      void slots.push([byteOffset, byteLength]),
    decode: () => null,
  });
  const codec = struct({ a: spy(1), b: spy(9), c: struct({ d: spy(8) }) });
  const { byteOffset } = encoded(codec, { a: null, b: null, c: { d: null } });
  assertEquals(slots, [[byteOffset, 1], [byteOffset + 8, 9], [
    byteOffset + 24,
    8,
  ]]);
});

Deno.test("struct() refuses what its fields refuse, whole", () => {
  // The good first field has been written when the second is refused
  const codec = struct({ id: int32, name: string(4), at: struct({ x: bool }) });
  const good = { id: -1, name: "abcd", at: { x: true } };
  for (
    const [bad, ErrorClass, message] of [
      [
        { id: -1, name: "abcde", at: good.at },
        RangeError,
        "at most 4 bytes: it takes 5",
      ],
      [
        { id: -1, name: "a" },
        TypeError,
        "must have the field 'at': it has none of that name",
      ],
      [
        { id: -1, at: good.at },
        TypeError,
        "must have the field 'name': it has none of that name",
      ],
      [
        { ...good, at: { x: 0 } },
        TypeError,
        "bool as 'value' must be a boolean: current value is 0",
      ],
      [{ ...good, id: 0.5 }, RangeError, "int32 as 'value' must be an integer"],
      [
        {},
        TypeError,
        "must have the field 'id': it has none of that name",
      ],
    ] as const
  ) {
    assertRefuses(codec, bad, good, ErrorClass, message);
  }
});

Deno.test("Codec.encode() refuses a value of another type", () => {
  const point = struct({ x: float64 });
  const cases: [Codec<unknown>, unknown, string, unknown[]][] = [
    [bool, true, "a boolean", [0, 1, "true", null, undefined, {}]],
    [int32, 1, "a number", ["1", 1n, null, undefined, true, [1]]],
    [uint32, 1, "a number", ["1", 1n, null, undefined, true, [1]]],
    [float64, 1, "a number", ["1", 1n, null, undefined, true, [1]]],
    [bigInt64, 1n, "a bigint", [1, "1", null, undefined, true]],
    [string(8), "a", "a string", [1, null, undefined, ["a"], Object("a")]],
    [point, { x: 1 }, "an object", [null, undefined, 1, "x", () => ({ x: 1 })]],
  ];
  for (const [codec, good, type, values] of cases) {
    for (const value of values) {
      const message =
        `Cannot encode ${codec.tag} as 'value' must be ${type}: current value is `;
      assertRefuses(codec, value, good, TypeError, message);
    }
  }
});

Deno.test("Codec.encode() refuses a number out of its range", () => {
  const cases: [Codec<unknown>, unknown, string, unknown[]][] = [
    [
      int32,
      -1,
      "an integer from -2147483648 to 2147483647",
      [2 ** 31, -(2 ** 31) - 1, 1.5, NaN, Infinity, -Infinity],
    ],
    [
      uint32,
      1,
      "an integer from 0 to 4294967295",
      [2 ** 32, -1, 1.5, NaN, Infinity, -Infinity],
    ],
    [
      bigInt64,
      -1n,
      "from -2^63 to 2^63 - 1",
      [2n ** 63n, -(2n ** 63n) - 1n, 2n ** 64n],
    ],
  ];
  for (const [codec, good, range, values] of cases) {
    for (const value of values) {
      const message =
        `Cannot encode ${codec.tag} as 'value' must be ${range}: current value is ${value}`;
      assertRefuses(codec, value, good, RangeError, message);
    }
  }
});

Deno.test("Codec.encode() writes little-endian bytes", () => {
  const cases: [Codec<unknown>, unknown, number[]][] = [
    [bool, true, [1]],
    [int32, -2, [0xfe, 0xff, 0xff, 0xff]],
    [uint32, 0x01020304, [4, 3, 2, 1]],
    [float64, 1, [0, 0, 0, 0, 0, 0, 0xf0, 0x3f]],
    [bigInt64, -2n, [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]],
    [bigInt64, 0x0102030405060708n, [8, 7, 6, 5, 4, 3, 2, 1]],
    [string(), "é!", [0xc3, 0xa9, 0x21]],
    [json(), ["é"], [0x5b, 0x22, 0xc3, 0xa9, 0x22, 0x5d]],
    [
      struct({ a: bool, b: int32, c: uint32 }),
      { a: true, b: -1, c: 258 },
      // deno-fmt-ignore
      [
        1, 0, 0, 0, 0, 0, 0, 0,
        0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0,
        2, 1, 0, 0, 0, 0, 0, 0,
      ],
    ],
    [
      struct({ a: string(), b: uint32, c: string(), d: string() }),
      { a: "abcdefghi", b: 258, c: "", d: "j" },
      // deno-fmt-ignore
      [
        // The places of a, c and d
        32, 0, 0, 0, 9, 0, 0, 0,
        48, 0, 0, 0, 0, 0, 0, 0,
        48, 0, 0, 0, 1, 0, 0, 0,
        2, 1, 0, 0, 0, 0, 0, 0,
        97, 98, 99, 100, 101, 102, 103, 104,
        105, 0, 0, 0, 0, 0, 0, 0,
        106,
      ],
    ],
  ];
  for (const [codec, value, bytes] of cases) {
    assertEquals([...bytesOf(encoded(codec, value))], bytes);
  }
});

Deno.test("Codec.decode() refuses bytes that are not UTF-8", () => {
  for (const codec of [string(), json()]) {
    const slot = encoded<string>(codec as Codec<string>, "abcd");
    bytesOf(slot)[1] = 0xff;
    assertThrows(() => codec.decode(slot), TypeError, "not valid");
  }
});

Deno.test("struct() refuses to read an open field that is not within it", () => {
  const codec = struct({ a: string(), b: float64 });
  const value = { a: "abcdefghi", b: 1 };
  for (
    const [offset, length] of [
      [16, 10],
      [24, 2],
      [32, 0],
      [20, 1],
      [8, 1],
      [0, 1],
      [2 ** 32 - 8, 1],
      [16, 2 ** 32 - 1],
    ] as const
  ) {
    const slot = encoded(codec, value);
    const view = new DataView(slot.buffer, slot.byteOffset);
    view.setUint32(0, offset, true);
    view.setUint32(4, length, true);
    assertThrows(
      () => codec.decode(slot),
      RangeError,
      `Cannot decode string as the field 'a' must be at a multiple of 8 from byte 16 to 25: it takes ${length} bytes at byte ${offset}`,
    );
  }
  const cut = fixedSlot(encoded(codec, value), 15);
  assertThrows(
    () => codec.decode(cut),
    RangeError,
    "as its length must be at least 16 bytes: current value is 15",
  );
});

Deno.test("struct() refuses what takes more than its bound, which is at most 4 GiB - 8", () => {
  const large = typedArray(Uint8Array, { maxLength: 2 ** 32 - 8 });
  const codec = struct({ a: large, b: large });
  assertEquals(codec.byteLength, 2 ** 32 - 8);
  assertThrows(
    () => struct({ a: string(), b: typedArray(Float64Array, 2 ** 29) }),
    RangeError,
    "Cannot create the codec as the fixed fields of 'fields' must take at most 4294967288 bytes: they take 4294967304",
  );
  const greedy: Codec<number> = {
    tag: "greedy",
    open: true,
    byteLength: 16,
    encode: (value, slot) => void slot.resize(value),
    decode: (slot) => slot.byteLength,
  };
  // The places of a and b come first
  assertEquals(struct({ a: greedy, b: greedy }).byteLength, 16 + 32);
  assertRefuses(
    struct({ a: greedy, b: struct({ c: greedy }) }),
    { a: 16, b: { c: 17 } },
    { a: 15, b: { c: 16 } },
    RangeError,
    "Cannot encode greedy as 'value' must take at most 16 bytes: it takes 17",
  );
});

Deno.test("Slot.resize() keeps what both lengths have, and zeroes what it adds", () => {
  const codec: Codec<null> = {
    tag: "twice",
    open: true,
    byteLength: 64,
    encode(_value, slot) {
      bytesOf(slot.resize(4)).fill(1);
      slot.resize(2);
      // By the slot that was returned or by the first one
      assertEquals([...bytesOf(slot.resize(2).resize(6))], [1, 1, 0, 0, 0, 0]);
    },
    decode: (slot) => (assertEquals(slot.byteLength, 6), null),
  };
  roundTripped(codec, null);
  roundTripped(struct({ a: string(), b: codec }), { a: "a", b: null });
});

Deno.test("Slot.resize() refuses what is no length, and to be called at another time", () => {
  const ended: Slot[] = [];
  const codec: Codec<number> = {
    tag: "mine",
    open: true,
    byteLength: 8,
    encode: (value, slot) => void ended.push(slot, slot.resize(value)),
    decode: (slot) => slot.byteLength,
  };
  for (const open of [codec, struct({ a: codec })] as Codec<unknown>[]) {
    const attempt = (value: unknown) => () =>
      encoded(open, open === codec ? value : { a: value });
    for (const value of [-1, 0.5, NaN, Infinity, 2 ** 53]) {
      assertThrows(
        attempt(value),
        RangeError,
        `Cannot resize the slot of mine as 'byteLength' must be an integer from 0 to 8: current value is ${value}`,
      );
    }
    for (
      const [value, text] of [["8", '"8"'], [8n, "8n"], [
        undefined,
        "undefined",
      ]]
    ) {
      assertThrows(
        attempt(value),
        TypeError,
        `Cannot resize the slot of mine as 'byteLength' must be a number: current value is ${text}`,
      );
    }
    assertThrows(
      attempt(9),
      RangeError,
      "Cannot encode mine as 'value' must take at most 8 bytes: it takes 9",
    );
    ended.length = 0;
    attempt(8)();
    assertEquals(ended.length, 2);
    for (const slot of [...ended, encoded(int32, 1), encoded(codec, 1)]) {
      assertThrows(
        () => slot.resize(4),
        TypeError,
        "Cannot resize the slot as its codec must be open and encoding a value: it is fixed, or encoding has ended",
      );
    }
  }
});

Deno.test("Codec that is open and never resizes its slot is refused", () => {
  const codec: Codec<null> = {
    tag: "lazy",
    open: true,
    byteLength: 8,
    encode() {},
    decode: () => null,
  };
  for (
    const attempt of [
      () => encoded(codec, null),
      () => encoded(struct({ a: codec }), { a: null }),
    ]
  ) {
    assertThrows(
      attempt,
      TypeError,
      "Cannot encode lazy as an open codec must give its slot a length: its 'encode' has not called 'slot.resize()'",
    );
  }
});

Deno.test("Codec.tag, Codec.byteLength and Codec.open tell the layout", () => {
  const point = struct({ x: float64, y: float64 });
  const fixed: [Codec<unknown>, string, number][] = [
    [bool, "bool", 1],
    [int32, "int32", 4],
    [uint32, "uint32", 4],
    [float64, "float64", 8],
    [bigInt64, "bigInt64", 8],
    [typedArray(Float64Array, 1024), "float64[1024]", 8192],
    [typedArray(Uint8Array, 0), "uint8[0]", 0],
    [typedArray(Float64Array, 2 ** 32 - 1), "float64[4294967295]", 2 ** 35 - 8],
    [struct({}), "struct{}", 0],
    [point, 'struct{"x":float64,"y":float64}', 16],
    [struct({ a: bool, c: point }), `struct{"a":bool,"c":${point.tag}}`, 24],
    ...TYPED_ARRAYS.map(([array, tag, byteLength]) =>
      [codecOf(array), tag, byteLength] as [Codec<unknown>, string, number]
    ),
  ];
  const open: typeof fixed = [
    [string(), "string", 2 ** 26],
    [string(0), "string[0]", 0],
    [string(5), "string[5]", 5],
    [string(2 ** 32 - 8), "string[4294967288]", 2 ** 32 - 8],
    [json(), "json", 2 ** 26],
    [json(5), "json[5]", 5],
    [typedArray(Float64Array), "float64[]", 2 ** 30],
    [typedArray(Uint8Array, {}), "uint8[]", 2 ** 30],
    [typedArray(Uint8Array, { maxLength: 0 }), "uint8[..0]", 0],
    [typedArray(Int16Array, { maxLength: 3 }), "int16[..3]", 6],
    [
      typedArray(BigInt64Array, { maxLength: 2 ** 29 - 1 }),
      "bigint64[..536870911]",
      2 ** 32 - 8,
    ],
    [
      struct({ a: bool, b: string(5), c: point }),
      `struct{"a":bool,"b":string[5],"c":${point.tag}}`,
      8 + 24 + 8,
    ],
    [
      struct({ a: struct({ b: string(9) }), c: json(1) }),
      'struct{"a":struct{"b":string[9]},"c":json[1]}',
      16 + (8 + 16) + 8,
    ],
  ];
  for (const [cases, isOpen] of [[fixed, false], [open, true]] as const) {
    for (const [codec, tag, byteLength] of cases) {
      assertEquals(codec.tag, tag);
      assertEquals(codec.byteLength, byteLength);
      assertEquals(codec.open ?? false, isOpen, tag);
    }
  }
  const tags = [...fixed, ...open].map(([{ tag }]) => tag);
  assertEquals(new Set(tags).size, tags.length);
});

Deno.test("string(), json() and typedArray() are the same for a default bound that is given", () => {
  assertEquals(string(2 ** 26).tag, string().tag);
  assertEquals(json(2 ** 26).tag, json().tag);
  const options = { maxLength: 2 ** 27 };
  assertEquals(
    typedArray(Float64Array, options).tag,
    typedArray(Float64Array).tag,
  );
});

Deno.test("string(), json() and typedArray() have smaller default bounds where memory cannot grow", async () => {
  const output = await run(Deno.execPath(), [
    "run",
    "--no-config",
    "tests/testdata/without_growable_memory.ts",
  ]);
  assertEquals(JSON.parse(output), {
    string: 2 ** 20,
    json: 2 ** 20,
    "float64[]": 2 ** 24,
  });
});

Deno.test("Codec.tag tells structs apart by the names and the order of their fields", () => {
  const { tag } = struct({ a: int32, b: int32 });
  assertNotEquals(tag, struct({ b: int32, a: int32 }).tag);
  assertNotEquals(tag, struct({ 'a":int32,"b': int32 }).tag);
});

Deno.test("Codec.view is true for typedArray() alone", () => {
  assertEquals(typedArray(Int8Array, 1).view, true);
  assertEquals(typedArray(Int8Array).view, true);
  const values = [bool, int32, uint32, float64, bigInt64, string(1), json(1)];
  const list = struct({ list: typedArray(Int8Array, 1) });
  for (const codec of [...values, list]) assert(!codec.view, codec.tag);
});

Deno.test("string(), json() and typedArray() refuse a bad length", () => {
  const functions: [string, number, (length: number) => Codec<unknown>][] = [
    ["maxByteLength", 2 ** 32 - 8, string],
    ["maxByteLength", 2 ** 32 - 8, json],
    [
      "maxLength",
      2 ** 31 - 4,
      (maxLength) => typedArray(Int16Array, { maxLength }),
    ],
  ];
  for (const [name, max, make] of functions) {
    for (const value of [-1, NaN, 1.5, max + 1, 2 ** 53, Infinity, -Infinity]) {
      assertThrows(
        () => make(value),
        RangeError,
        `Cannot create the codec as '${name}' must be an integer from 0 to ${max}: current value is ${value}`,
      );
    }
  }
  const fixed = (length: number) => typedArray(Uint8Array, length);
  for (const value of [-1, NaN, 1.5, 2 ** 32, Infinity, -Infinity]) {
    assertThrows(
      () => fixed(value),
      RangeError,
      `Cannot create the codec as 'length' must be an integer from 0 to 2^32 - 1: current value is ${value}`,
    );
  }
  for (const [name, , make] of [...functions, ["length", 0, fixed] as const]) {
    for (
      const [value, text] of [
        ["4", '"4"'],
        [4n, "4n"],
        [null, "null"],
        [true, "true"],
        [() => 4, "a function"],
      ] as const
    ) {
      assertThrows(
        () => make(value as unknown as number),
        TypeError,
        `Cannot create the codec as '${name}' must be a number: current value is ${text}`,
      );
    }
  }
});

Deno.test("typedArray() refuses what is no constructor of typed arrays", () => {
  class Mine extends Float64Array {}
  for (
    const [value, text] of [
      [Array, "a function"],
      [DataView, "a function"],
      [Object.getPrototypeOf(Int8Array), "a function"],
      [Mine, "a function"],
      [() => {}, "a function"],
      [new Int8Array(1), "an object"],
      ["Int8Array", '"Int8Array"'],
      [null, "null"],
      [undefined, "undefined"],
    ]
  ) {
    assertThrows(
      () => typedArray(value, 1),
      TypeError,
      `Cannot create the codec as 'constructor' must be that of a typed array: current value is ${text}`,
    );
  }
});

Deno.test("struct() refuses what is no object of codecs", () => {
  type Fields = Record<string, Codec<unknown>>;
  for (const fields of [null, undefined, "ab", 1, () => {}] as unknown[]) {
    assertThrows(
      () => struct(fields as Fields),
      TypeError,
      "Cannot create the codec as 'fields' must be an object of codecs: current value is ",
    );
  }
  for (
    const codec of [
      {},
      null,
      undefined,
      int32.decode,
      { ...int32, tag: 1 },
      { ...int32, byteLength: -1 },
      { ...int32, byteLength: 1.5 },
      { ...int32, encode: undefined },
      { ...int32, decode: undefined },
    ] as unknown[]
  ) {
    assertThrows(
      () => struct({ good: int32, a: codec } as Fields),
      TypeError,
      "Cannot use the codec as 'fields.a' must have 'tag', 'byteLength', 'encode' and 'decode': current value is ",
    );
  }
});

Deno.test("LazyInit.get() and MutexLazyInit.get() return the same reference every time", () => {
  const cases: [Codec<unknown>, unknown][] = [
    [json(16), { a: 1 }],
    [struct({ a: int32 }), { a: 1 }],
    [typedArray(Int8Array, 1), Int8Array.of(1)],
    [date, new Date(0)],
  ];
  for (const [codec, value] of cases) {
    const cell = new LazyInit(codec);
    const mutexCell = new MutexLazyInit(codec);
    const made = cell.initOnce(value);
    const mutexMade = mutexCell.init(() => value);
    assertNotStrictEquals(made, value);
    assertNotStrictEquals(mutexMade, value);
    const other = attached(cell, codec);
    const mutexOther = MutexLazyInit.from(mutexCell.handle, codec);
    for (
      const [reader, first] of [
        [cell, made],
        [mutexCell, mutexMade],
        [other, other.get()],
        [mutexOther, mutexOther.get()],
      ] as const
    ) {
      assertEquals(first, value);
      assertStrictEquals(reader.get(), first);
      assertStrictEquals(reader.value, first);
      assertStrictEquals(reader.getUnchecked(), first);
    }
  }
});

Deno.test("Codec may be one's own", async () => {
  const value = new Date("2026-05-01T12:00:00Z");
  assertRoundTrips(date, [value, new Date(NaN)]);
  const cell = new MutexLazyInit(date);
  assertEquals(await cell.initAsync(() => Promise.resolve(value)), value);
  assertEquals(MutexLazyInit.from(cell.handle, date).get(), value);
});

Deno.test("Codec of one's own gets the slot of the cell", () => {
  const slots: Slot[] = [];
  const spy: Codec<null> = {
    tag: "spy",
    byteLength: 3,
    encode: (_value, slot) => void slots.push(slot),
    decode: (slot) => (slots.push(slot), null),
  };
  const buffer = new SharedArrayBuffer(8 + LazyInit.byteLength(spy));
  new LazyInit(spy, { buffer, byteOffset: 8 }).initOnce(null);
  assertEquals(slots.length, 2);
  for (const slot of slots) {
    assertStrictEquals(slot.buffer, buffer);
    assertEquals(slot.byteOffset, 8 + HEADER_BYTES);
    assertEquals(slot.byteLength, 3);
    assertThrows(() => slot.resize(3), TypeError, "its codec must be open");
  }
});

Deno.test("Codec of one's own may have a view", () => {
  const record: Codec<DataView> = {
    tag: "record",
    byteLength: 12,
    view: true,
    encode() {
      throw new Error("The initializer fills the view in place");
    },
    decode: (slot) => new DataView(slot.buffer, slot.byteOffset, 12),
  };
  const cell = new LazyInit(record);
  cell.callOnce((view) => view.setFloat64(4, 0.5));
  assertEquals(attached(cell, record).value.getFloat64(4), 0.5);
  cell.getMut()!.setFloat64(4, 1.5);
  assertEquals(attached(cell, record).value.getFloat64(4), 1.5);
});

Deno.test("Codec of one's own rolls the cell back when encode() or decode() throws", async () => {
  const error = new Error("out of ink");
  for (const method of ["encode", "decode"] as const) {
    let broken = true;
    const codec: Codec<number> = {
      ...float64,
      tag: "flaky",
      encode(value, slot) {
        float64.encode(value, slot);
        if (broken && method === "encode") throw error;
      },
      decode(slot) {
        if (broken && method === "decode") throw error;
        return float64.decode(slot);
      },
    };
    const cell = new LazyInit(codec);
    const mutexCell = new MutexLazyInit(codec);
    for (
      const attempt of [
        () => cell.initOnce(NaN),
        () => cell.callOnce(() => NaN),
        () => mutexCell.init(() => NaN),
        () => mutexCell.getOrInit(() => NaN),
      ]
    ) {
      assertStrictEquals(assertThrows(attempt, Error, "out of ink"), error);
      assertUntouched(cell);
      assertUntouched(mutexCell);
    }
    const rejected = await assertRejects(
      () => mutexCell.initAsync(() => NaN),
      Error,
      "out of ink",
    );
    assertStrictEquals(rejected, error);
    assertUntouched(mutexCell);
    assertEquals(mutexCell.tryInit(() => NaN), {
      ok: false,
      reason: "during-init",
      error,
    });
    broken = false;
    assertEquals(cell.initOnce(1), 1);
    assertEquals(attached(cell, codec).get(), 1);
    assertEquals(mutexCell.init(() => 2), 2);
  }
});

Deno.test("Codec of one's own is refused by cells if it lacks something", () => {
  for (const Cell of [LazyInit, MutexLazyInit]) {
    for (
      const codec of [
        null,
        { ...date, tag: undefined },
        { ...date, byteLength: NaN },
        { ...date, encode: null },
        { ...date, decode: null },
      ] as unknown[]
    ) {
      assertThrows(
        () => new Cell(codec as Codec<Date>),
        TypeError,
        "Cannot use the codec as 'codec' must have 'tag', 'byteLength', 'encode' and 'decode'",
      );
    }
  }
});

Deno.test("Initializer of a view codec fills the slot, or returns a copy or the slot", async () => {
  const codec = typedArray(Int32Array, 2);
  const initializers: ((slot: Int32Array) => Int32Array | void)[] = [
    (slot) => slot.set([1, 2]),
    (slot) => slot.map((_, i) => i + 1),
    () => Int32Array.of(1, 2),
    (slot) => {
      slot[0] = 1;
      slot[1] = 2;
      return slot;
    },
    // What is returned wins over what was filled in
    (slot) => {
      slot.fill(7);
      return Int32Array.of(1, 2);
    },
    // The same bytes through a view that is not the slot
    (slot) => {
      slot.set([1, 2]);
      return slot.subarray();
    },
  ];
  for (const initializer of initializers) {
    let given: Int32Array | undefined;
    let returned: Int32Array | void = undefined;
    const spy = (slot: Int32Array) => {
      assertEquals([...slot], [0, 0]);
      given = slot;
      return returned = initializer(slot);
    };
    const cell = new LazyInit(codec);
    const cells = [new MutexLazyInit(codec), new MutexLazyInit(codec)] as const;
    for (
      const [make, read] of [
        [() => cell.callOnce(spy), () => cell.get()],
        [() => cells[0].init(spy), () => cells[0].get()],
        [
          () => cells[1].initAsync((slot) => Promise.resolve(spy(slot))),
          () => cells[1].get(),
        ],
      ] as const
    ) {
      const made = await make();
      assertEquals([...made!], [1, 2]);
      if ((returned ?? given) === given) assertStrictEquals(made, given);
      assertStrictEquals(made!.buffer, given!.buffer);
      assertEquals(made!.byteOffset, given!.byteOffset);
      assertStrictEquals(read(), made);
    }
    assertEquals([...attached(cell, codec).value], [1, 2]);
  }
});

Deno.test("Initializer of a view codec leaves nothing behind when it fails", async () => {
  const codec = typedArray(Uint8Array, 2);
  const cases = [
    [new Uint8Array(3), RangeError, "'value' must have 2 elements: it has 3"],
    [new Int8Array(2), TypeError, "'value' must be an instance of Uint8Array"],
    [
      null,
      TypeError,
      "'value' must be an instance of Uint8Array: current value is null",
    ],
  ] as const;
  for (const [bad, ErrorClass, message] of cases) {
    const initializer = (slot: Uint8Array) => {
      slot.fill(0xff);
      return bad as unknown as Uint8Array;
    };
    const cell = new LazyInit(codec);
    assertThrows(() => cell.callOnce(initializer), ErrorClass, message);
    assertUntouched(cell);
    assertEquals([...cell.initOnce(Uint8Array.of(1, 2))], [1, 2]);

    const other = new MutexLazyInit(codec);
    assertThrows(() => other.init(initializer), ErrorClass, message);
    assertUntouched(other);
    await assertRejects(
      () => other.initAsync(initializer),
      ErrorClass,
      message,
    );
    assertUntouched(other);
    assertEquals([...other.init((slot) => slot.fill(3))], [3, 3]);
  }
});

Deno.test("Initializer of a value codec returns the value, and a bad one is refused", async () => {
  const message = "int32 as 'value' must be an integer";
  const cell = new LazyInit(int32);
  assertThrows(() => cell.callOnce(() => 0.5), RangeError, message);
  assertUntouched(cell);
  assertEquals(cell.callOnce(() => -1), -1);
  assertEquals(attached(cell, int32).get(), -1);

  const other = new MutexLazyInit(int32);
  assertThrows(() => other.init(() => 0.5), RangeError, message);
  await assertRejects(() => other.initAsync(() => 0.5), RangeError, message);
  assertUntouched(other);
  assertEquals(await other.initAsync(() => Promise.resolve(-1)), -1);
});

/** A codec of any kind, fixed or open, and a value that it takes. */
const { anyCase } = fc.letrec<{ anyCase: [Codec<unknown>, unknown] }>((
  tie,
) => ({
  anyCase: fc.oneof(
    { depthSize: "medium", withCrossShrink: true },
    caseOf(bool, fc.boolean()),
    caseOf(int32, fc.integer()),
    caseOf(uint32, fc.nat()),
    caseOf(float64, fc.double()),
    caseOf(bigInt64, fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })),
    caseOf(string(), fc.string({ unit: "grapheme" })),
    caseOf(string(400), fc.string({ unit: "grapheme", maxLength: 5 })),
    caseOf(json(), anyJson()),
    caseOf(typedArray(Uint8Array), fc.uint8Array()),
    caseOf(typedArray(Float64Array), fc.float64Array()),
    caseOf(
      typedArray(Int16Array, { maxLength: 5 }),
      fc.int16Array({ maxLength: 5 }),
    ),
    caseOf(
      typedArray(Int32Array, 2),
      fc.int32Array({ minLength: 2, maxLength: 2 }),
    ),
    fc.dictionary(fc.string(), tie("anyCase"), {
      maxKeys: 5,
      noNullPrototype: true,
    })
      .map((fields): [Codec<unknown>, unknown] => {
        const entries = Object.entries(fields);
        return [
          struct(
            Object.fromEntries(entries.map(([name, [codec]]) => [name, codec])),
          ),
          Object.fromEntries(entries.map(([name, [, value]]) => [name, value])),
        ];
      }),
  ),
}));

function caseOf<T>(
  codec: Codec<T>,
  values: fc.Arbitrary<unknown>,
): fc.Arbitrary<[Codec<unknown>, unknown]> {
  return fc.tuple(fc.constant(codec as Codec<unknown>), values);
}

/** What JSON gives back as it was: without -0. */
function anyJson(): fc.Arbitrary<unknown> {
  return fc.jsonValue({ stringUnit: "grapheme" }).map((value) =>
    JSON.parse(JSON.stringify(value))
  );
}

Deno.test("Codec of any kind round-trips random values, however structs are nested", () => {
  fc.assert(
    fc.property(anyCase, ([codec, value]) => {
      const slot = encoded(codec, value);
      assert(slot.byteLength <= codec.byteLength);
      assertEquals(codec.decode(slot), value);
    }),
    { numRuns: 1_000 },
  );
});

Deno.test("Codec of any kind refuses one byte less than a random value takes", () => {
  fc.assert(fc.property(
    fc.string({ unit: "grapheme", minLength: 1 }),
    anyJson(),
    fc.float64Array({ minLength: 1 }),
    (text, value, array) => {
      const codecs: [(max: number) => Codec<unknown>, unknown, string][] = [
        [string, text, "bytes"],
        [json, value, "bytes"],
        [
          (maxLength) => typedArray(Float64Array, { maxLength }),
          array,
          "elements",
        ],
        [
          (max) => struct({ a: string(max), b: struct({ c: bool }) }),
          { a: text, b: { c: true } },
          "bytes",
        ],
      ];
      const utf8Length = (text: string) =>
        new TextEncoder().encode(text).length;
      const lengths = [
        utf8Length(text),
        utf8Length(JSON.stringify(value)),
        array.length,
        utf8Length(text),
      ];
      codecs.forEach(([make, value, unit], i) => {
        const length = lengths[i]!;
        assertEquals(roundTripped(make(length), value), value);
        assertThrows(
          () => encoded(make(length - 1), value),
          RangeError,
          `at most ${length - 1} ${unit}: it ${
            unit === "bytes" ? "takes" : "has"
          } ${length}`,
        );
      });
    },
  ));
});
