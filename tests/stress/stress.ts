// Copyright 2026 the lazyinit authors. MIT license.

import { int32, LazyInit, Mutex, MutexLazyInit, struct } from "../../mod.ts";
import { pair } from "../_jobs.ts";

/*
 * Many workers do everything to the same cells at once, at random, and count in
 * shared memory what must add up.
 *
 * A value names its cell and its generation, so that whoever reads it can tell
 * whether it was made, by whom it may have been, and whether it is too old.
 */

/** Cells that are initialized, failed and reset all the time. */
export const MUTEX_CELLS = 4;
/** Cells that all workers race for once, one after the other. */
export const RACES = 50_000;

/** What is counted, in the order in which it is in the memory. */
export const TOTALS = [
  "rounds",
  "initializations",
  "failures",
  "resets",
  "aborts",
  "timeouts",
  "reads",
  "races won",
  "locks",
] as const;

/** What must never happen. */
export const VIOLATIONS = [
  "two initializers at once",
  "two successes in one generation",
  "torn values",
  "values that nobody has made",
  "values older than a reset",
  "races won twice",
  "other errors",
] as const;

export interface Options {
  readonly workers: number;
  /** How long to go on, in ms, … */
  readonly duration: number;
  /** … and at the most until everything has happened once; as long by default. */
  readonly limit?: number;
  readonly seed: number;
}

/** What workers share; made by the first, and attached to by all. */
export interface Shared {
  readonly memory: SharedArrayBuffer;
  readonly counters: SharedArrayBuffer;
}

export interface Report {
  readonly totals: Record<string, number>;
  readonly violations: Record<string, number>;
  /** What can be seen if nothing goes on any more. */
  readonly hang: string | undefined;
}

/** How long nothing may go on, in ms. */
const PATIENCE = 10_000;

/** Where in the counters is what. */
export const STOP = 0;
/** Counted without atomics, under the mutex that follows. */
export const COUNTER = 1;
export const MUTEX = 2;
export const FIRST_TOTAL = 8;
export const FIRST_VIOLATION = FIRST_TOTAL + TOTALS.length;
/** How many initializers run, for each cell. */
export const RUNNING = FIRST_VIOLATION + VIOLATIONS.length;
/** The last generation that has succeeded, plus 1, for each cell. */
export const SUCCEEDED = RUNNING + MUTEX_CELLS;
/** How often each race was won. */
export const WON = SUCCEEDED + MUTEX_CELLS;

const races = struct({ left: int32, right: int32 });
const MUTEX_BYTES = MutexLazyInit.byteLength(pair);
const RACE_BYTES = LazyInit.byteLength(races);
const FIRST_RACE = MUTEX_CELLS * MUTEX_BYTES;

/** Attaches to all that is shared, or makes it. */
export function attach(shared: Shared) {
  const { memory: buffer, counters } = shared;
  return {
    words: new Int32Array(counters),
    mutex: new Mutex(counters, MUTEX * 4),
    cells: Array.from(
      { length: MUTEX_CELLS },
      (_, i) =>
        new MutexLazyInit(pair, { buffer, byteOffset: i * MUTEX_BYTES }),
    ),
    race: (i: number) =>
      new LazyInit(races, {
        buffer,
        byteOffset: FIRST_RACE + i * RACE_BYTES,
      }),
  };
}

/** Runs workers until the time is up, or nothing goes on any more. */
export async function stress(
  { workers: count, duration, limit = duration, seed }: Options,
): Promise<Report> {
  const shared: Shared = {
    memory: new SharedArrayBuffer(FIRST_RACE + RACES * RACE_BYTES),
    counters: new SharedArrayBuffer((WON + RACES) * 4),
  };
  const { words, cells } = attach(shared);
  const url = new URL("./worker.ts", import.meta.url);
  const workers = Array.from(
    { length: count },
    () => new Worker(url, { type: "module" }),
  );
  const message = (worker: Worker) =>
    new Promise((resolve) => worker.onmessage = resolve);
  await Promise.all(workers.map(message));
  const done = Promise.all(workers.map(message));
  let ended = false;
  done.then(() => ended = true);
  const start = performance.now();
  workers.forEach((worker, index) =>
    worker.postMessage({ shared, index, seed: seed + index })
  );

  let hang: string | undefined;
  let rounds = -1;
  let since = start;
  while (!ended && hang === undefined) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    const now = performance.now();
    const time = now - start;
    const complete = TOTALS.every((_, i) =>
      Atomics.load(words, FIRST_TOTAL + i) > 0
    );
    if (time > limit || time > duration && complete) {
      Atomics.store(words, STOP, 1);
    }
    const progress = Atomics.load(words, FIRST_TOTAL);
    if (progress !== rounds) [rounds, since] = [progress, now];
    else if (now - since > PATIENCE) {
      hang = `phases: ${cells.map(({ phase }) => phase).join(", ")}`;
    }
  }
  for (const worker of workers) worker.terminate();

  const named = (names: readonly string[], first: number) =>
    Object.fromEntries(names.map((name, i) => [name, words[first + i]!]));
  const totals = named(TOTALS, FIRST_TOTAL);
  return {
    totals,
    violations: {
      ...named(VIOLATIONS, FIRST_VIOLATION),
      "lost counts": Math.abs(totals.locks! - words[COUNTER]!),
    },
    hang,
  };
}
