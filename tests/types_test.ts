// Copyright 2026 the lazyinit authors. MIT license.

/*
 * Most of this is tested by type-checking it: an `@ts-expect-error` over a line
 * without an error is an error itself. What must not run is in functions that
 * nobody calls.
 */

import { assertEquals, assertThrows } from "@std/assert";
import { assertType, type IsExact } from "@std/testing/types";
import {
  AlreadyInitializedError,
  type AsyncInitializer,
  type bigInt64,
  bool,
  type CellKind,
  type Codec,
  float64,
  type Initializer,
  type InitResult,
  int32,
  type Json,
  json,
  type JsonValue,
  LazyInit,
  type LazyInitHandle,
  type LazyInitOptions,
  MutexLazyInit,
  type Phase,
  string,
  struct,
  type StructValue,
  typedArray,
  type uint32,
} from "../mod.ts";

/** To be compared instead of the codec, as a `Codec<any>` would match every other. */
type ValueOf<C> = C extends Codec<infer T> ? T : never;

Deno.test("Codec has the type of its values", () => {
  assertType<IsExact<ValueOf<typeof bool>, boolean>>(true);
  assertType<IsExact<ValueOf<typeof int32>, number>>(true);
  assertType<IsExact<ValueOf<typeof uint32>, number>>(true);
  assertType<IsExact<ValueOf<typeof float64>, number>>(true);
  assertType<IsExact<ValueOf<typeof bigInt64>, bigint>>(true);
  assertType<IsExact<ValueOf<ReturnType<typeof string>>, string>>(true);
});

Deno.test("typedArray() infers its views from the constructor", () => {
  function _check() {
    const floats = typedArray(Float64Array, 1);
    assertType<IsExact<ValueOf<typeof floats>, Float64Array>>(true);
    const bytes = typedArray(Uint8ClampedArray, 1);
    assertType<IsExact<ValueOf<typeof bytes>, Uint8ClampedArray>>(true);
    const bigints = typedArray(BigUint64Array, 1);
    assertType<IsExact<ValueOf<typeof bigints>, BigUint64Array>>(true);
    const open = typedArray(Int16Array);
    assertType<IsExact<ValueOf<typeof open>, Int16Array>>(true);
    const bounded = typedArray(Int16Array, { maxLength: 1 });
    assertType<IsExact<ValueOf<typeof bounded>, Int16Array>>(true);
    const halves = typedArray(Float16Array);
    assertType<IsExact<ValueOf<typeof halves>, Float16Array>>(true);
  }
});

Deno.test("typedArray() takes constructors of typed arrays only", () => {
  function _check() {
    // @ts-expect-error shared memory cannot hold references
    typedArray(Array, 1);
    // @ts-expect-error a view, but of no elements
    typedArray(DataView, 1);
    // @ts-expect-error no view at all
    typedArray(SharedArrayBuffer, 1);
    // @ts-expect-error the length is no number
    typedArray(Uint8Array, "1");
    // @ts-expect-error the bound is no number
    typedArray(Uint8Array, { maxLength: "1" });
    // @ts-expect-error the bound is in elements
    typedArray(Uint8Array, { maxByteLength: 1 });
  }
});

Deno.test("json() takes what JSON can represent", () => {
  type Config = {
    port: number;
    hosts: readonly string[];
    tls?: boolean | null;
  };
  assertType<IsExact<ValueOf<ReturnType<typeof json<Config>>>, Config>>(true);
  assertType<IsExact<ValueOf<ReturnType<typeof json<null>>>, null>>(true);
  assertType<IsExact<ValueOf<ReturnType<typeof json<"a" | 1>>>, "a" | 1>>(true);
  const codec = json(1);
  assertType<IsExact<ValueOf<typeof codec>, JsonValue>>(true);
  const inferred: Codec<Config> = json();
  assertEquals(inferred.tag, "json");
  // What it may be is checked at run time alone
  const anything: Codec<unknown> = json();
  assertThrows(() => anything.encode(new Map(), null!), TypeError, "a Map");
  assertType<IsExact<ValueOf<ReturnType<typeof json<unknown>>>, unknown>>(true);
  const cell = new LazyInit(json());
  assertType<IsExact<typeof cell, LazyInit<JsonValue>>>(true);
});

Deno.test("json() takes interfaces, optional members, and types within themselves", () => {
  interface Tree {
    name: string;
    children: Tree[];
    parent?: Tree;
  }
  interface Config {
    port: number;
    hosts?: readonly string[];
    tls?: boolean | null | undefined;
    proxy: string | undefined;
    at: { pair: [number, string] }[];
  }
  const tree = json<Tree>();
  assertType<IsExact<ValueOf<typeof tree>, Tree>>(true);
  const configs = json<Record<string, Config>>(1);
  assertType<IsExact<ValueOf<typeof configs>, Record<string, Config>>>(true);
  assertType<IsExact<Json<JsonValue>, JsonValue>>(true);
});

Deno.test("json() of what JSON cannot represent is a type error", () => {
  class Point {
    x = 1;
    norm() {
      return this.x;
    }
  }
  interface When {
    when: Date;
  }
  interface Index {
    index?: Map<string, number>;
  }
  interface Handler {
    port: number;
    onRequest?: () => void;
  }
  function _check(point = new Point()) {
    // @ts-expect-error JSON has no functions
    json<() => void>();
    // @ts-expect-error nor classes
    json<typeof Point>();
    // @ts-expect-error a Map turns into {}
    json<Map<string, number>>(1);
    // @ts-expect-error so does a Set
    json<Set<number>>();
    // @ts-expect-error a Date turns into a string
    json<Date>(1);
    // @ts-expect-error a Date in an interface, too
    json<When>();
    // @ts-expect-error a Map in an interface, too
    json<Index>();
    // @ts-expect-error a function in an interface, too
    json<Handler>();
    // @ts-expect-error JSON has no bigints
    json<bigint>();
    // @ts-expect-error JSON has no undefined
    json<undefined>();
    // @ts-expect-error nor what a function returns that returns nothing
    json<void>();
    // @ts-expect-error JSON has no symbols
    json<symbol>();
    // @ts-expect-error a typed array turns into an object
    json<Float64Array>();
    // @ts-expect-error an instance turns into an object
    json<typeof point>();
    // @ts-expect-error a promise turns into {}
    json<Promise<number>>();
    // @ts-expect-error not always
    json<string | undefined>();
    // @ts-expect-error nor in an array, where it turns into null
    json<(string | undefined)[]>();
    // @ts-expect-error deep inside
    json<{ a: { b: bigint }[] }>();
    // @ts-expect-error a method
    json<{ a: number; f(): void }>();
    // @ts-expect-error an array of what JSON has not
    json<symbol[]>();
    // @ts-expect-error the bound is no number
    json("1");
    // @ts-expect-error the bound is no number
    string("1");
  }
});

Deno.test("struct() infers the type of its values", () => {
  const codec = struct({
    id: int32,
    name: string(8),
    at: struct({ x: float64 }),
    list: typedArray(Uint8Array, 2),
    config: json<{ port: number }>(16),
  });
  type Value = {
    readonly id: number;
    readonly name: string;
    readonly at: { readonly x: number };
    readonly list: Uint8Array;
    readonly config: { port: number };
  };
  type Found = ValueOf<typeof codec>;
  assertType<IsExact<Found, Value>>(true);
  assertType<
    IsExact<StructValue<{ a: Codec<bigint>; b: typeof bool }>, {
      readonly a: bigint;
      readonly b: boolean;
    }>
  >(true);

  function _check(cell: LazyInit<Found>, value: Found) {
    // @ts-expect-error what is read is frozen
    cell.value.id = 1;
    // @ts-expect-error all through
    cell.value.at.x = 1;
    // @ts-expect-error the type says so, whoever made the value
    value.name = "a";
    // A live view is not
    cell.value.list[0] = 1;

    const point = new LazyInit(struct({ x: float64, y: float64 }));
    // @ts-expect-error a field is missing
    point.initOnce({ x: 1 });
    // @ts-expect-error a field is of another type
    point.initOnce({ x: 1, y: "2" });
    // @ts-expect-error a field is unknown
    point.initOnce({ x: 1, y: 2, z: 3 });
    // @ts-expect-error a field's codec is none
    struct({ x: 8 });
    // @ts-expect-error not fields
    struct(null);
  }
});

Deno.test("Initializer of a view codec gets the slot, and of others nothing", () => {
  assertType<
    IsExact<
      Initializer<Float64Array>,
      (
        slot: Float64Array,
        allocate: (length: number) => Float64Array,
      ) => Float64Array | void
    >
  >(true);
  assertType<
    IsExact<
      Initializer<DataView>,
      (
        slot: DataView,
        allocate: (length: number) => DataView,
      ) => DataView | void
    >
  >(true);
  assertType<IsExact<Initializer<number>, () => number>>(true);
  // Not (() => true) | (() => false), which no ordinary function is
  assertType<IsExact<Initializer<boolean>, () => boolean>>(true);
  assertType<IsExact<Initializer<JsonValue>, () => JsonValue>>(true);
  assertType<IsExact<Initializer<string>, () => string>>(true);
  assertType<IsExact<Initializer<{ a: 1 }>, () => { a: 1 }>>(true);
  // An array is no view
  assertType<IsExact<Initializer<number[]>, () => number[]>>(true);
});

Deno.test("AsyncInitializer is an Initializer that may return a promise", () => {
  assertType<
    IsExact<
      AsyncInitializer<Float64Array>,
      (
        slot: Float64Array,
        allocate: (length: number) => Float64Array,
      ) => PromiseLike<Float64Array | void> | Float64Array | void
    >
  >(true);
  assertType<
    IsExact<AsyncInitializer<number>, () => PromiseLike<number> | number>
  >(true);
  assertType<
    IsExact<AsyncInitializer<boolean>, () => PromiseLike<boolean> | boolean>
  >(true);
  // Wherever a synchronous one will do, so that both can be given to the same call
  const synchronous: Initializer<Float64Array> = (slot) => slot.fill(1);
  const asynchronous: AsyncInitializer<Float64Array> = synchronous;
  const slot = new Float64Array(1);
  assertEquals(asynchronous(slot, () => slot), slot);
});

Deno.test("LazyInit and MutexLazyInit take first values that fit the codec only", () => {
  function _check() {
    const cell = new LazyInit(string(8), { value: "a" });
    assertType<IsExact<typeof cell, LazyInit<string>>>(true);
    const options: LazyInitOptions<string> = { value: "a" };
    new MutexLazyInit(string(8), options);
    const placed: LazyInitOptions = { name: "a" };
    new LazyInit(string(8), placed);
    // @ts-expect-error no string
    new LazyInit(string(8), { value: 1 });
    // @ts-expect-error no string
    new MutexLazyInit(string(8), { value: 1 });
    // @ts-expect-error options for a cell of strings
    new LazyInit(int32, options);
  }
});

Deno.test("LazyInit and MutexLazyInit take initializers that fit the codec only", () => {
  function _check() {
    const text = new LazyInit(string(8));
    const mutexText = new MutexLazyInit(string(8));
    text.callOnce(() => "a");
    mutexText.getOrInit(() => "a");
    // @ts-expect-error no string
    text.initOnce(1);
    // @ts-expect-error returns no string
    text.callOnce(() => 1);
    // @ts-expect-error returns no string
    mutexText.init(() => 1);
    // @ts-expect-error returns no string
    mutexText.tryInit(() => 1);
    // @ts-expect-error returns no string
    mutexText.getOrInit(() => 1);
    // @ts-expect-error returns no string
    mutexText.initAsync(() => 1);
    // @ts-expect-error resolves with no string
    mutexText.tryInitAsync(() => Promise.resolve(1));
    // @ts-expect-error returns no string
    mutexText.getOrInitAsync(() => 1);
    // @ts-expect-error may return nothing
    mutexText.getOrInit(() => {});
    // @ts-expect-error there is no slot to fill
    mutexText.getOrInit((slot: string) => slot);
    // @ts-expect-error nor one to allocate
    text.callOnce((_slot: unknown, allocate: (length: number) => string) =>
      allocate(1)
    );
    // @ts-expect-error the value is not an initializer
    mutexText.getOrInit("a");

    const view = new LazyInit(typedArray(Uint8Array, 1));
    const mutexView = new MutexLazyInit(typedArray(Uint8Array, 1));
    view.callOnce((slot) => {
      slot[0] = 1;
    });
    view.callOnce((slot) => slot.fill(1));
    view.callOnce((slot) => slot.set([1]));
    view.callOnce((_slot, allocate) => allocate(1));
    view.callOnce((_slot, allocate) => allocate(1).set([1]));
    view.callOnce(() => Uint8Array.of(1));
    // @ts-expect-error no Uint8Array
    view.initOnce([1]);
    // @ts-expect-error returns a view of another type
    view.callOnce(() => Float64Array.of(1));
    // @ts-expect-error takes a view of another type
    mutexView.init((slot: Float64Array) => void slot.fill(1));
    // @ts-expect-error returns an array
    mutexView.getOrInit(() => [1]);
  }
});

Deno.test("LazyInit.callOnce() and MutexLazyInit.init() given an async initializer are type errors", () => {
  function _check() {
    const promise = () => Promise.resolve(1);
    // @ts-expect-error a promise is no number
    new LazyInit(int32).callOnce(promise);
    // @ts-expect-error a promise is no number
    new LazyInit(int32).initOnce(promise());
    const cell = new MutexLazyInit(int32);
    // @ts-expect-error a promise is no number
    cell.init(promise);
    // @ts-expect-error a promise is no number
    cell.tryInit(promise);
    // @ts-expect-error a promise is no number
    cell.getOrInit(promise);
    cell.initAsync(promise);
    cell.tryInitAsync(promise);
    cell.getOrInitAsync(promise);

    const fill = (slot: Uint8Array) =>
      Promise.resolve().then(() => void slot.fill(1));
    // @ts-expect-error nor is it a view, though `void` takes much
    new LazyInit(typedArray(Uint8Array, 1)).callOnce(fill);
    const view = new MutexLazyInit(typedArray(Uint8Array, 1));
    // @ts-expect-error nor is it a view
    view.init(fill);
    // @ts-expect-error nor is it a view
    view.tryInit(fill);
    // @ts-expect-error nor is it a view
    view.getOrInit(fill);
    view.initAsync(fill);
    view.getOrInitAsync(() => Promise.resolve(Uint8Array.of(1)));
  }
});

Deno.test("LazyInit and MutexLazyInit return values that are read-only", () => {
  function _check(
    cell: LazyInit<Float64Array>,
    mutexCell: MutexLazyInit<Float64Array>,
  ) {
    // @ts-expect-error getMut() is there for that
    cell.get()![0] = 1;
    // @ts-expect-error getMut() is there for that
    cell.value[0] = 1;
    // @ts-expect-error getMut() is there for that
    cell.getUnchecked()[0] = 1;
    // @ts-expect-error getMut() is there for that
    cell.wait()[0] = 1;
    // @ts-expect-error getMut() is there for that
    cell.initOnce(Float64Array.of(1))[0] = 1;
    // @ts-expect-error getMut() is there for that
    cell.callOnce(() => {})![0] = 1;
    // @ts-expect-error getMut() is there for that
    mutexCell.get()![0] = 1;
    // @ts-expect-error getMut() is there for that
    mutexCell.value[0] = 1;
    // @ts-expect-error getMut() is there for that
    mutexCell.getUnchecked()[0] = 1;
    // @ts-expect-error getMut() is there for that
    mutexCell.wait()[0] = 1;
    // @ts-expect-error getMut() is there for that
    mutexCell.init(() => {})[0] = 1;
    // @ts-expect-error getMut() is there for that
    mutexCell.getOrInit(() => {})[0] = 1;
    cell.getMut()![0] = 1;
    mutexCell.getMut()![0] = 1;

    const config = new LazyInit(json<{ port: number }>(16));
    // @ts-expect-error what is read is frozen
    config.value.port = 1;
  }

  async function _checkAsync(
    cell: LazyInit<Float64Array>,
    mutexCell: MutexLazyInit<Float64Array>,
  ) {
    // @ts-expect-error getMut() is there for that
    (await cell.waitAsync())[0] = 1;
    // @ts-expect-error getMut() is there for that
    (await mutexCell.waitAsync())[0] = 1;
    // @ts-expect-error getMut() is there for that
    (await mutexCell.initAsync(() => {}))[0] = 1;
    // @ts-expect-error getMut() is there for that
    (await mutexCell.getOrInitAsync(() => {}))[0] = 1;
  }
});

Deno.test("LazyInit and MutexLazyInit return values of the codec's type", () => {
  const cell = new LazyInit(int32);
  const mutexCell = new MutexLazyInit(string(8));
  assertType<IsExact<typeof cell, LazyInit<number>>>(true);
  assertType<IsExact<typeof mutexCell, MutexLazyInit<string>>>(true);
  assertType<IsExact<ReturnType<typeof cell.get>, number | undefined>>(true);
  assertType<IsExact<typeof cell.value, number>>(true);
  assertType<IsExact<ReturnType<typeof cell.getUnchecked>, number>>(true);
  assertType<IsExact<ReturnType<typeof cell.initOnce>, number>>(true);
  assertType<
    IsExact<ReturnType<typeof cell.callOnce>, number | undefined>
  >(true);
  assertType<IsExact<ReturnType<typeof cell.wait>, number>>(true);
  assertType<
    IsExact<Awaited<ReturnType<typeof cell.waitAsync>>, number>
  >(true);
  type Text = typeof mutexCell;
  assertType<IsExact<ReturnType<Text["get"]>, string | undefined>>(true);
  assertType<IsExact<Text["value"], string>>(true);
  assertType<IsExact<ReturnType<Text["init"]>, string>>(true);
  assertType<IsExact<ReturnType<Text["tryInit"]>, InitResult<string>>>(true);
  assertType<IsExact<ReturnType<Text["getOrInit"]>, string>>(true);
  assertType<IsExact<Awaited<ReturnType<Text["initAsync"]>>, string>>(true);
  assertType<
    IsExact<Awaited<ReturnType<Text["tryInitAsync"]>>, InitResult<string>>
  >(true);
  assertType<
    IsExact<Awaited<ReturnType<Text["getOrInitAsync"]>>, string>
  >(true);
  assertType<IsExact<ReturnType<Text["reset"]>, boolean>>(true);
  assertType<IsExact<Awaited<ReturnType<Text["resetAsync"]>>, boolean>>(true);
  const phase = cell.phase;
  assertType<IsExact<typeof phase, Phase>>(true);
  assertType<
    IsExact<Phase, "uninitialized" | "initializing" | "initialized">
  >(true);
});

Deno.test("LazyInit.getMut() and MutexLazyInit.getMut() are for view codecs only", () => {
  const view = new LazyInit(typedArray(Float64Array, 1));
  const found = view.getMut();
  assertType<IsExact<typeof found, Float64Array | undefined>>(true);
  const mutexView = new MutexLazyInit(typedArray(Float64Array, 1));
  const mutexFound = mutexView.getMut();
  assertType<IsExact<typeof mutexFound, Float64Array | undefined>>(true);

  const message =
    "Cannot write to the value in place as its codec must be a view codec: current codec is ";
  // @ts-expect-error no view
  assertThrows(() => new LazyInit(int32).getMut(), TypeError, message);
  // @ts-expect-error no view
  assertThrows(() => new MutexLazyInit(int32).getMut(), TypeError, message);
  const point = struct({ at: typedArray(Float64Array, 2) });
  // @ts-expect-error no view, though it has one
  assertThrows(() => new LazyInit(point).getMut(), TypeError, message);
  // @ts-expect-error no view, though it has one
  assertThrows(() => new MutexLazyInit(point).getMut(), TypeError, message);
  const list = json<number[]>(8);
  // @ts-expect-error no view, though it has elements
  assertThrows(() => new LazyInit(list).getMut(), TypeError, message);
  // @ts-expect-error no view, though it has elements
  assertThrows(() => new MutexLazyInit(list).getMut(), TypeError, message);
  const initialized = new LazyInit(int32);
  initialized.initOnce(1);
  // @ts-expect-error no view, with a value neither
  assertThrows(() => initialized.getMut(), TypeError, `${message}int32`);
});

Deno.test("InitResult narrows by ok and reason", () => {
  const cell = new MutexLazyInit(int32);
  const outcomes: string[] = [];
  function tell(result: InitResult<number>) {
    // @ts-expect-error there may be none
    result.value;
    // @ts-expect-error there may be none
    result.error;
    if (result.ok) {
      assertType<
        IsExact<
          typeof result,
          { readonly ok: true; readonly value: number }
        >
      >(true);
      outcomes.push(`made ${result.value.toFixed(1)}`);
      // @ts-expect-error there is none
      result.reason;
      return;
    }
    assertType<
      IsExact<typeof result.reason, "already-init" | "during-init">
    >(true);
    if (result.reason === "already-init") {
      assertType<IsExact<typeof result.value, number>>(true);
      outcomes.push(`found ${result.value.toFixed(1)}`);
      // @ts-expect-error there is none
      result.error;
    } else {
      assertType<IsExact<typeof result.error, unknown>>(true);
      outcomes.push(`failed with ${result.error}`);
      // @ts-expect-error there is none
      result.value;
    }
  }
  tell(cell.tryInit(() => {
    throw "smoke";
  }));
  tell(cell.tryInit(() => 1));
  tell(cell.tryInit(() => 2));
  assertEquals(outcomes, ["failed with smoke", "made 1.0", "found 1.0"]);

  function _check(result: InitResult<Float64Array>) {
    if (result.ok) {
      // @ts-expect-error read-only, as everywhere
      result.value[0] = 1;
      // @ts-expect-error read-only itself
      result.ok = true;
    }
  }
});

Deno.test("LazyInit.from() and MutexLazyInit.from() infer the type of the value", () => {
  const cell = LazyInit.from(new LazyInit(bool).handle, bool);
  assertType<IsExact<typeof cell, LazyInit<boolean>>>(true);
  const codec = typedArray(Int8Array, 1);
  const mutexCell = MutexLazyInit.from(new MutexLazyInit(codec).handle, codec);
  assertType<IsExact<typeof mutexCell, MutexLazyInit<Int8Array>>>(true);

  function _check(
    handle: LazyInitHandle,
    typed: LazyInitHandle<number, "LazyInit">,
  ) {
    // One whose types were lost fits every cell
    LazyInit.from(handle, bool);
    MutexLazyInit.from(handle, bool);
    // @ts-expect-error a cell of the other class
    MutexLazyInit.from(typed, int32);
    // @ts-expect-error a cell of other values
    LazyInit.from(typed, bool);
    const copy = structuredClone(typed);
    assertType<IsExact<typeof copy, typeof typed>>(true);
    // @ts-expect-error the handle does not know the codec
    LazyInit.from(handle);
    // @ts-expect-error the memory alone says nothing
    LazyInit.from(handle.buffer, int32);
    // @ts-expect-error a cell is not its handle
    MutexLazyInit.from(new MutexLazyInit(int32), int32);
    // @ts-expect-error one class is not the other
    const _other: MutexLazyInit<number> = LazyInit.from(handle, int32);
    // A cell of numbers is one of unknown values, not the other way round
    const cells: [LazyInit<unknown>, MutexLazyInit<unknown>] = [
      LazyInit.from(handle, int32),
      MutexLazyInit.from(handle, int32),
    ];
    // @ts-expect-error its values may be anything
    const _numbers: LazyInit<number> = cells[0];
    // @ts-expect-error its values may be anything
    const _mutexNumbers: MutexLazyInit<number> = cells[1];
  }
});

Deno.test("LazyInit.handle and MutexLazyInit.handle can be cloned by their type", () => {
  const { handle } = new LazyInit(int32);
  assertType<IsExact<typeof handle, LazyInitHandle<number, "LazyInit">>>(true);
  const mutexHandle = new MutexLazyInit(int32).handle;
  assertType<
    IsExact<typeof mutexHandle, LazyInitHandle<number, "MutexLazyInit">>
  >(true);
  assertType<
    IsExact<Omit<typeof handle, "~value">, {
      readonly kind: "LazyInit";
      readonly buffer: SharedArrayBuffer;
      readonly byteOffset: number;
      readonly name: string;
      readonly tag: string;
      readonly byteLength: number;
    }>
  >(true);
  assertType<IsExact<CellKind, "LazyInit" | "MutexLazyInit" | "LazyInitMap">>(
    true,
  );
  assertEquals(structuredClone(handle).kind, "LazyInit");

  function _check() {
    // @ts-expect-error read-only
    handle.byteOffset = 8;
    // @ts-expect-error read-only
    handle.buffer = new SharedArrayBuffer(64);
    // @ts-expect-error read-only
    new LazyInit(int32).name = "a";
  }
});

Deno.test("LazyInit() and MutexLazyInit() take options of their own types only", () => {
  function _check(buffer: SharedArrayBuffer) {
    new LazyInit(int32, { name: "a", buffer, byteOffset: 8 });
    // @ts-expect-error no shared memory
    new LazyInit(int32, { buffer: new ArrayBuffer(64) });
    // @ts-expect-error no string
    new MutexLazyInit(int32, { name: 1 });
    // @ts-expect-error no option
    new MutexLazyInit(int32, { names: "a" });
    // @ts-expect-error no codec
    new LazyInit(Float64Array);
    // @ts-expect-error another codec than the type says
    new LazyInit<string>(int32);
    // @ts-expect-error blocking takes a timeout, not a signal
    new LazyInit(int32).wait({ signal: AbortSignal.abort() });
    // @ts-expect-error not blocking takes a signal, not a timeout
    new LazyInit(int32).waitAsync({ timeout: 1 });
  }
});

Deno.test("AlreadyInitializedError.value is of the type that is asked for", () => {
  const error = new AlreadyInitializedError<number>("m", 1);
  assertType<IsExact<typeof error.value, number | undefined>>(true);
  function _check(error: AlreadyInitializedError<Float64Array>) {
    // @ts-expect-error read-only, as everywhere
    error.value![0] = 1;
  }
});

Deno.test("MutexLazyInit.read() has the type of what the reader returns, and the value is read-only", () => {
  const cell = new MutexLazyInit(typedArray(Uint8Array));
  const length = cell.read((value) => value.length);
  assertType<IsExact<typeof length, number | undefined>>(true);
  assertEquals(length, undefined);

  function _check() {
    cell.read((value) => {
      // @ts-expect-error read-only, as everywhere
      value[0] = 1;
    });
    // @ts-expect-error no reader
    cell.read();
    // @ts-expect-error a value that cannot be reset needs no such call
    new LazyInit(int32).read((value: number) => value);
  }
});

Deno.test("from() takes a handle, not the cell, what is around the handle, or the handle of another value", () => {
  const cell = new LazyInit(int32);
  assertEquals(LazyInit.from(cell.handle, int32).name, "");

  function _check() {
    // @ts-expect-error the cell itself
    LazyInit.from(cell, int32);
    // @ts-expect-error an object around the handle
    LazyInit.from({ handle: cell.handle }, int32);
    // @ts-expect-error a cell of the other class
    MutexLazyInit.from(cell.handle, int32);
    // @ts-expect-error a cell of another value
    LazyInit.from(cell.handle, string());
  }
});

Deno.test("initializers of open views allocate, and return no promise in synchronous calls", () => {
  const cell = new MutexLazyInit(typedArray(Uint16Array));
  cell.init((slot, allocate) => {
    assertType<IsExact<typeof slot, Uint16Array>>(true);
    assertType<IsExact<typeof allocate, (length: number) => Uint16Array>>(true);
    return allocate(1);
  });
  assertEquals(cell.value.length, 1);

  function _check() {
    // @ts-expect-error a promise
    cell.getOrInit(() => Promise.resolve(new Uint16Array(1)));
    // @ts-expect-error a promise
    cell.getOrInit(async (_slot, allocate) => void await allocate(1));
    // @ts-expect-error a promise
    new LazyInit(int32).callOnce(() => Promise.resolve(1));
    // @ts-expect-error no length
    cell.init((_slot, allocate) => allocate("1"));
    cell.initAsync(async (_slot, allocate) => {
      await Promise.resolve();
      return allocate(1);
    });
    // @ts-expect-error JSON has no Map
    json<Map<string, number>>();
    // @ts-expect-error JSON has no Map, however deep
    json<{ users: Map<string, number>[] }>();
  }
});
