// Copyright 2026 the lazyinit authors. MIT license.

/*
 * Whether a cell costs the same beside a million others in its buffer as alone.
 */

import { int32, LazyInit, MutexLazyInit } from "../mod.ts";
import { PlainField } from "./_peers.ts";
import {
  consume,
  expect,
  type Group,
  type Place,
  register,
  type Subject,
  type Suite,
} from "./_suite.ts";

/** How many cells are in one buffer. */
const COUNTS = [1, 1_000, 100_000, 1_000_000];
/** What the others are compared with. */
const BASELINE_COUNT = 1_000;
/** A run is about no fewer cells; if need be they are in several buffers. */
const LEAST_CELLS = 1_000;
const READS = 100_000;

const CELL_BYTES = LazyInit.byteLength(int32);

function roomFor(count: number): SharedArrayBuffer[] {
  return Array.from(
    { length: Math.ceil(LEAST_CELLS / count) },
    () => new SharedArrayBuffer(count * CELL_BYTES),
  );
}

/** Fills `cells`; each caller has its own `create`, and so a loop of its own in the end. */
function fill<C>(
  cells: C[],
  buffers: SharedArrayBuffer[],
  count: number,
  create: (place: Place) => C,
): void {
  for (const buffer of buffers) {
    for (let i = 0; i < count; i++) {
      cells.push(create({ buffer, byteOffset: i * CELL_BYTES }));
    }
  }
}

function makeAll<C>(count: number, create: (place: Place) => C): C[] {
  const cells: C[] = [];
  fill(cells, roomFor(count), count, create);
  return cells;
}

/** Subjects that do the same with different numbers of cells. */
function counts(
  operationsOf: (count: number) => number,
  subjectOf: (count: number) => Subject["run"],
): Subject[] {
  return COUNTS.map((count) => ({
    name: `${count.toLocaleString("en")} ${count === 1 ? "cell" : "cells"}`,
    baseline: count === BASELINE_COUNT,
    operations: operationsOf(count),
    run: subjectOf(count),
  }));
}

const cellsOf = (count: number) => Math.max(count, LEAST_CELLS);

function place<C>(create: (place: Place) => C): Subject[] {
  return counts(cellsOf, (count) => (timer) => {
    const buffers = roomFor(count);
    const cells: C[] = [];
    timer.start();
    fill(cells, buffers, count, create);
    timer.end();
    expect(cells.length, cellsOf(count));
  });
}

function initialize<C>(
  create: (place: Place) => C,
  initialize: (cell: C, value: number) => void,
): Subject[] {
  return counts(cellsOf, (count) => (timer) => {
    const cells = makeAll(count, create);
    timer.start();
    for (let i = 0; i < cells.length; i++) initialize(cells[i]!, i);
    timer.end();
  });
}

/** The same order in every run, as numbers from 0 to below `count`. */
function randomOrder(count: number): Int32Array {
  // A generator of Lehmer's: all numbers below a prime, in an order that looks random
  let state = 1;
  return Int32Array.from({ length: READS }, () => {
    state = state * 48_271 % 0x7fffffff;
    return state % count;
  });
}

function read<C>(
  create: (place: Place) => C,
  get: (cell: C) => number,
): Subject[] {
  return counts(() => READS, (count) => {
    const cells = makeAll(count, create);
    const order = randomOrder(count);
    return () => {
      let sum = 0;
      for (let i = 0; i < READS; i++) sum += get(cells[order[i]!]!);
      consume(sum);
    };
  });
}

const lazyInit = (place: Place) => new LazyInit(int32, place);
const mutexLazyInit = (place: Place) => new MutexLazyInit(int32, place);

function initializedLazyInit(place: Place): LazyInit<number> {
  const cell = lazyInit(place);
  cell.initOnce(place.byteOffset);
  return cell;
}

function initializedMutexLazyInit(place: Place): MutexLazyInit<number> {
  const cell = mutexLazyInit(place);
  cell.init(() => place.byteOffset);
  return cell;
}

function group(
  name: string,
  operation: string,
  rounds: number,
  create: Group["create"],
): Group {
  return { name, operation, operations: 1, rounds, warmUpRounds: 1, create };
}

const PLACE_ROUNDS = 3;
const READ_ROUNDS = 12;

export const suite: Suite = {
  name: "scale",
  groups: [
    group(
      "make plain objects",
      "cell",
      PLACE_ROUNDS,
      () => place(({ byteOffset }) => new PlainField(byteOffset)),
    ),
    group("place LazyInit cells", "cell", PLACE_ROUNDS, () => place(lazyInit)),
    group(
      "place MutexLazyInit cells",
      "cell",
      PLACE_ROUNDS,
      () => place(mutexLazyInit),
    ),
    group(
      "initialize LazyInit cells",
      "cell",
      PLACE_ROUNDS,
      () => initialize(lazyInit, (cell, value) => cell.initOnce(value)),
    ),
    group(
      "initialize MutexLazyInit cells",
      "cell",
      PLACE_ROUNDS,
      () => initialize(mutexLazyInit, (cell, value) => cell.init(() => value)),
    ),
    group(
      "read plain objects in random order",
      "cell",
      READ_ROUNDS,
      () =>
        read(
          ({ byteOffset }) => new PlainField(byteOffset),
          ({ value }) => value,
        ),
    ),
    group(
      "read LazyInit cells in random order",
      "cell",
      READ_ROUNDS,
      () => read(initializedLazyInit, (cell) => cell.get()!),
    ),
    group(
      "read MutexLazyInit cells in random order",
      "cell",
      READ_ROUNDS,
      () => read(initializedMutexLazyInit, (cell) => cell.get()!),
    ),
  ],
};

if (Deno.mainModule === import.meta.url) await register(suite);
