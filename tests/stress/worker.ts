// Copyright 2026 the lazyinit authors. MIT license.
/// <reference lib="deno.worker" />

import { OnceState } from "../../mod.ts";
import { type Pair, pairOf } from "../_jobs.ts";
import {
  attach,
  COUNTER,
  FIRST_TOTAL,
  FIRST_VIOLATION,
  MUTEX_CELLS,
  RACES,
  RUNNING,
  type Shared,
  STOP,
  SUCCEEDED,
  TOTALS,
  VIOLATIONS,
  WON,
} from "./stress.ts";

class Failure extends Error {}

async function run(shared: Shared, seed: number): Promise<void> {
  const { words, mutex, cells, race } = attach(shared);
  const states = cells.map(({ handle: { buffer, byteOffset } }) =>
    new OnceState(buffer, byteOffset)
  );
  let races = 0;

  const count = (name: typeof TOTALS[number]) =>
    Atomics.add(words, FIRST_TOTAL + TOTALS.indexOf(name), 1);
  const violate = (name: typeof VIOLATIONS[number]) =>
    Atomics.add(words, FIRST_VIOLATION + VIOLATIONS.indexOf(name), 1);

  /** Returns an integer from 0 to `limit` - 1, the same ones for the same seed. */
  function random(limit: number): number {
    seed = Math.imul(seed ^ seed >>> 15, 0x2c1b3c6d) + 0x9e3779b9 | 0;
    return (seed >>> 8) % limit;
  }

  /** Makes a value that names its cell and generation, or fails. */
  function make(i: number): Pair {
    if (Atomics.add(words, RUNNING + i, 1) !== 0) {
      violate("two initializers at once");
    }
    const fails = random(5) === 0;
    const next = states[i]!.generation + 1;
    if (
      !fails && Atomics.exchange(words, SUCCEEDED + i, next) >= next
    ) violate("two successes in one generation");
    Atomics.sub(words, RUNNING + i, 1);
    count(fails ? "failures" : "initializations");
    if (fails) throw new Failure();
    return pairOf(next * MUTEX_CELLS + i);
  }

  function makeLater(i: number): Promise<Pair> {
    // The next initializer must not begin meanwhile
    Atomics.add(words, RUNNING + i, 1);
    return Promise.resolve().then(() => {
      Atomics.sub(words, RUNNING + i, 1);
      return make(i);
    });
  }

  function look(
    i: number,
    value: Readonly<Pair> | undefined,
    oldest = 0,
  ): void {
    count("reads");
    if (value === undefined) return;
    const { left, right, padding } = value;
    if (left !== right || padding !== pairOf(left).padding) {
      violate("torn values");
    }
    const next = Math.floor(left / MUTEX_CELLS);
    if (
      left % MUTEX_CELLS !== i || next < 1 ||
      next > Atomics.load(words, SUCCEEDED + i)
    ) violate("values that nobody has made");
    if (next <= oldest) violate("values older than a reset");
  }

  const actions: ((i: number) => unknown)[] = [
    (i) => look(i, cells[i]!.getOrInit(() => make(i))),
    (i) => look(i, cells[i]!.getOrInit(() => make(i))),
    async (i) => look(i, await cells[i]!.getOrInitAsync(() => makeLater(i))),
    async (i) => look(i, await cells[i]!.getOrInitAsync(() => make(i))),
    (i) => {
      const result = cells[i]!.tryInit(() => make(i), { timeout: 1 });
      if (result.ok || result.reason === "already-init") look(i, result.value);
    },
    (i) => {
      for (let read = 0; read < 50; read++) look(i, cells[i]!.get());
    },
    (i) => reset(i, cells[i]!.reset()),
    async (i) => reset(i, await cells[i]!.resetAsync()),
    (i) => look(i, cells[i]!.wait({ timeout: 1 })),
    async (i) => {
      const controller = new AbortController();
      const waiting = cells[i]!.getOrInitAsync(() => makeLater(i), controller);
      controller.abort();
      try {
        look(i, await waiting);
      } finally {
        // The initializer of an owner that was aborted goes on for some microtasks
        await new Promise((resolve) => setTimeout(resolve));
      }
    },
    () => {
      using token = mutex.lockIfAvailable(random(2));
      if (token) increment();
    },
    () => {
      using _token = mutex.lock();
      increment();
    },
    async () => {
      using _token = await mutex.lockAsync();
      increment();
    },
    () => {
      for (let round = 0; round < 20 && races < RACES; round++) {
        const value = { left: races, right: races };
        if (race(races).callOnce(() => value) !== undefined) {
          count("races won");
          if (Atomics.add(words, WON + races, 1) > 0) {
            violate("races won twice");
          }
        }
        const { left, right } = race(races).wait();
        if (left !== races || right !== races) violate("torn values");
        races++;
      }
    },
  ];

  function increment(): void {
    count("locks");
    words[COUNTER]!++;
  }

  function reset(i: number, wasInitialized: boolean): void {
    if (!wasInitialized) return;
    count("resets");
    // Nothing that was made before the generation in which the cell is now
    const { generation } = states[i]!;
    look(i, cells[i]!.get(), generation);
  }

  while (Atomics.load(words, STOP) === 0) {
    try {
      await actions[random(actions.length)]!(random(MUTEX_CELLS));
    } catch (error) {
      const { name } = error as Error;
      if (name === "TimeoutError") count("timeouts");
      else if (name === "AbortError") count("aborts");
      else if (!(error instanceof Failure)) violate("other errors");
    }
    count("rounds");
  }
}

self.onmessage = async ({ data }) => {
  await run(data.shared, data.seed);
  self.postMessage("done");
};
self.postMessage("ready");
