// Copyright 2026 the lazyinit authors. MIT license.

/*
 * Many workers do everything to the keys of one map at once, at random, and some of them
 * end in the middle: by themselves after some atomic operation, or terminated. What they
 * leave behind is recovered, and others take their places.
 *
 * A value names its key and the run that made it. Resets are counted for each key before
 * and after they happen. So a worker that finds another value than before can tell whether
 * a reset may have come in between.
 */

import {
  json,
  LazyInitMap,
  type LazyInitMapHandle,
  string,
} from "../../mod.ts";
import { Flag } from "../_flag.ts";
import type { Report } from "./stress.ts";

/** What is counted, in the order in which it is in the memory. */
export const KEYED_TOTALS = [
  "look-ups",
  "initializations",
  "failures",
  "resets",
  "deaths amid an operation",
  "terminations",
  "recoveries",
] as const;

/** What must never happen. */
export const KEYED_VIOLATIONS = [
  "torn values",
  "values replaced without a reset",
  "values that differ between agents",
  "keys without a value in the end",
  "other errors",
] as const;

export interface KeyedOptions {
  readonly workers: number;
  readonly keys: number;
  /** How long to go on, in ms, … */
  readonly duration: number;
  /** … and at the most until everything has happened once; as long by default. */
  readonly limit?: number;
  readonly seed: number;
}

/** The key, and the number of the run, again and again. */
export type KeyedValue = readonly [key: string, ...runs: number[]];

export const keyCodec = string();
export const valueCodec = json<KeyedValue>();

/** Where in the counters is what. */
export const STOP = 0;
export const RUNS = 1;
export const FIRST_TOTAL = 2;
export const FIRST_VIOLATION = FIRST_TOTAL + KEYED_TOTALS.length;
/** How many resets of each key have begun, and then how many have ended. */
export const RESETS = FIRST_VIOLATION + KEYED_VIOLATIONS.length;

/** What a worker is started with. */
export interface KeyedOrder {
  readonly handle: LazyInitMapHandle<string, KeyedValue>;
  readonly counters: SharedArrayBuffer;
  readonly keys: number;
  readonly seed: number;
  /** After how many atomic operations it ends, if it does so by itself. */
  readonly operations: number | undefined;
  /** Whether it may be recovered while it lives. */
  readonly mortal: boolean;
  /** Raised in the last moment of a worker that ends by itself. */
  readonly ended: SharedArrayBuffer;
}

export function keyOf(number: number): string {
  return `https://example.org/${number}`;
}

/** What a worker holds as long as it lives. */
export function lockOf(id: number): string {
  return `stress ${id}`;
}

/** Calls `body` with that lock; resolves with what it returns. */
export function hold(lock: string, body: () => unknown): Promise<unknown> {
  // deno-lint-ignore no-explicit-any -- Deno does not declare Web Locks
  return (navigator as any).locks.request(lock, body);
}

/** How long nothing may go on, in ms. */
const PATIENCE = 20_000;
/** How many workers are never ended. */
const STEADY = 2;

/** Runs workers until the time is up, or nothing goes on any more. */
export async function keyedStress(
  { workers: count, keys, duration, limit = duration, seed }: KeyedOptions,
): Promise<Report> {
  const map = new LazyInitMap(keyCodec, valueCodec, { maxSize: keys });
  const counters = new SharedArrayBuffer((RESETS + 2 * keys) * 4);
  const words = new Int32Array(counters);
  const url = new URL("./keyed_worker.ts", import.meta.url);
  let started = 0;

  function random(bound: number): number {
    seed = Math.imul(seed ^ seed >>> 15, 0x2c1b3c6d) + 0x9e3779b9 | 0;
    return (seed >>> 8) % bound;
  }

  const tally = (name: typeof KEYED_TOTALS[number]) =>
    Atomics.add(words, FIRST_TOTAL + KEYED_TOTALS.indexOf(name), 1);
  const violate = (name: typeof KEYED_VIOLATIONS[number]) =>
    Atomics.add(words, FIRST_VIOLATION + KEYED_VIOLATIONS.indexOf(name), 1);

  /** Runs one worker after the other in one place, until all stop; returns what the last one read. */
  async function fill(place: number): Promise<number | undefined> {
    for (;;) {
      const mortal = place >= STEADY;
      const endsItself = mortal && random(2) === 0;
      const ended = new Flag();
      const worker = new Worker(url, { type: "module" });
      const message = () =>
        new Promise<number>((resolve) =>
          worker.onmessage = ({ data }) => resolve(data)
        );
      const id = await message();
      const done = message();
      const order: KeyedOrder = {
        handle: map.handle,
        counters,
        keys,
        seed: seed + ++started,
        operations: endsItself ? 200 + random(20_000) : undefined,
        mortal,
        ended: ended.buffer,
      };
      worker.postMessage(order);
      const end = mortal
        ? endOf(worker, ended, endsItself)
        : new Promise<void>(() => {});
      const sum = await Promise.race([done, end]);
      if (typeof sum === "number") {
        worker.terminate();
        return sum;
      }
      // It may go on for a while after terminate()
      await hold(lockOf(id), () => {});
      if (map.recover(id)) tally("recoveries");
      if (Atomics.load(words, STOP) !== 0) return undefined;
    }
  }

  /** Resolves when a worker has ended by itself, or was terminated. */
  async function endOf(
    worker: Worker,
    ended: Flag,
    endsItself: boolean,
  ): Promise<void> {
    const end = performance.now() + 50 + random(400);
    const word = new Int32Array(ended.buffer);
    while (endsItself || performance.now() < end) {
      await new Promise((resolve) => setTimeout(resolve, 5));
      if (Atomics.load(word, 0) !== 0) {
        return void tally("deaths amid an operation");
      }
      // It finishes now
      if (!endsItself && Atomics.load(words, STOP) !== 0) {
        return await new Promise(() => {});
      }
    }
    worker.terminate();
    tally("terminations");
  }

  const start = performance.now();
  const places = Array.from({ length: count }, (_, place) => fill(place));
  let hang: string | undefined;
  let all: (number | undefined)[] | undefined;
  const settled = Promise.all(places).then((sums) => all = sums);
  let progress = -1;
  let since = start;
  while (all === undefined && hang === undefined) {
    await Promise.race([
      settled,
      new Promise((resolve) => setTimeout(resolve, 50)),
    ]);
    const now = performance.now();
    const complete = KEYED_TOTALS.every((_, i) =>
      Atomics.load(words, FIRST_TOTAL + i) > 0
    );
    if (now - start > limit || now - start > duration && complete) {
      Atomics.store(words, STOP, 1);
    }
    const lookUps = Atomics.load(words, FIRST_TOTAL);
    if (lookUps !== progress) [progress, since] = [lookUps, now];
    else if (now - since > PATIENCE) hang = `${map.size} keys have a value`;
  }
  if (hang === undefined) {
    const sum = sumOf(map, keys);
    for (const other of all!) {
      if (other !== undefined && other !== sum) {
        violate("values that differ between agents");
      }
    }
    if (map.size !== keys) violate("keys without a value in the end");
  }
  const named = (names: readonly string[], first: number) =>
    Object.fromEntries(names.map((name, i) => [name, words[first + i]!]));
  return {
    totals: named(KEYED_TOTALS, FIRST_TOTAL),
    violations: named(KEYED_VIOLATIONS, FIRST_VIOLATION),
    hang,
  };
}

/** Sums up the runs that the values of all keys come from. */
export function sumOf(
  map: LazyInitMap<string, KeyedValue>,
  keys: number,
): number {
  let sum = 0;
  for (let key = 0; key < keys; key++) {
    const run = map.get(keyOf(key))?.[1] ?? 0;
    sum = Math.imul(sum ^ run, 0x9e3779b1) + 1 | 0;
  }
  return sum;
}
