// Copyright 2026 the lazyinit authors. MIT license.

/*
 * What it costs to read a value that is initialized.
 *
 * One iteration is READS reads, by turns from two cells: from one cell only, the
 * engine would read once and keep the result. All subjects are read by the same
 * loop over the same kind of pair, each in a function of its own, so that no call
 * site sees more than one kind.
 */

import { int32, LazyInit, MutexLazyInit } from "../mod.ts";

const READS = 1_000;
const INITIALIZED = 2;

/** A field, which no value in shared memory can beat. */
class PlainField {
  readonly value: number;
  constructor(value: number) {
    this.value = value;
  }
}

/** What a cell would be without its cache: ask the shared flag, then read. */
class AtomicFlag {
  readonly #words = new Int32Array(new SharedArrayBuffer(4));
  readonly #value: number;
  constructor(value: number) {
    this.#value = value;
    Atomics.store(this.#words, 0, INITIALIZED);
  }
  get(): number | undefined {
    return Atomics.load(this.#words, 0) === INITIALIZED
      ? this.#value
      : undefined;
  }
}

/** The usual one-time initialization within one thread. */
function once<T>(initializer: () => T): () => T {
  let done = false;
  let value: T | undefined;
  return () => {
    if (!done) {
      value = initializer();
      done = true;
    }
    return value as T;
  };
}

function pairOf<T>(create: (value: number) => T): [T, T] {
  return [create(1), create(2)];
}

function lazyInit(value: number): LazyInit<number> {
  const cell = new LazyInit(int32);
  cell.initOnce(value);
  return cell;
}

function mutexLazyInit(value: number): MutexLazyInit<number> {
  const cell = new MutexLazyInit(int32);
  cell.init(() => value);
  return cell;
}

const GROUP = `read an initialized int32, ${READS} times`;

/** Exported, so that the reads are not optimized away. */
export let sink = 0;

const plainFields = pairOf((value) => new PlainField(value));
const atomicFlags = pairOf((value) => new AtomicFlag(value));
const onces = pairOf((value) => once(() => value));
const lazyInits = pairOf(lazyInit);
const mutexLazyInits = pairOf(mutexLazyInit);

Deno.bench({
  name: "Atomics.load + field",
  group: GROUP,
  baseline: true,
  fn() {
    for (let i = 0; i < READS; i++) sink += atomicFlags[i & 1]!.get()!;
  },
});

Deno.bench({
  name: "plain field",
  group: GROUP,
  fn() {
    for (let i = 0; i < READS; i++) sink += plainFields[i & 1]!.value;
  },
});

Deno.bench({
  name: "once() closure",
  group: GROUP,
  fn() {
    for (let i = 0; i < READS; i++) sink += onces[i & 1]!();
  },
});

Deno.bench({
  name: "LazyInit.get()",
  group: GROUP,
  fn() {
    for (let i = 0; i < READS; i++) sink += lazyInits[i & 1]!.get()!;
  },
});

Deno.bench({
  name: "LazyInit.value",
  group: GROUP,
  fn() {
    for (let i = 0; i < READS; i++) sink += lazyInits[i & 1]!.value;
  },
});

Deno.bench({
  name: "MutexLazyInit.get()",
  group: GROUP,
  fn() {
    for (let i = 0; i < READS; i++) sink += mutexLazyInits[i & 1]!.get()!;
  },
});

Deno.bench({
  name: "MutexLazyInit.value",
  group: GROUP,
  fn() {
    for (let i = 0; i < READS; i++) sink += mutexLazyInits[i & 1]!.value;
  },
});

const never = () => {
  throw new Error("The cells are initialized");
};

Deno.bench({
  name: "MutexLazyInit.getOrInit()",
  group: GROUP,
  fn() {
    for (let i = 0; i < READS; i++) {
      sink += mutexLazyInits[i & 1]!.getOrInit(never);
    }
  },
});
