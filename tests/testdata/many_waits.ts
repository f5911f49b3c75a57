// Copyright 2026 the lazyinit authors. MIT license.

/*
 * Begins many asynchronous waits, has all of them end, and prints what they took and what
 * they have left behind. The process ends when nothing is left that keeps it alive.
 */

import process from "node:process";

const COUNT = Number(process.argv[2]);

/** The timers that go on, and the sleeps. */
const timers = new Set<unknown>();
const sleeps = new Set<object>();
let sleepsBegun = 0;

const { setTimeout, clearTimeout } = globalThis;
const { waitAsync } = Atomics;
Object.assign(globalThis, {
  setTimeout(callback: () => void, delay: number): unknown {
    const timer = setTimeout(() => {
      timers.delete(timer);
      callback();
    }, delay);
    timers.add(timer);
    return timer;
  },
  clearTimeout(timer: never): void {
    timers.delete(timer);
    clearTimeout(timer);
  },
});
Object.assign(Atomics, {
  waitAsync(...args: Parameters<typeof waitAsync>) {
    const sleep = waitAsync(...args);
    if (!sleep.async) return sleep;
    sleepsBegun++;
    sleeps.add(sleep);
    sleep.value.then(() => sleeps.delete(sleep));
    return sleep;
  },
});
const { int32, Mutex, MutexLazyInit } = await import("../../mod.ts");

/** Resolves with how many of the promises have been rejected. */
async function rejected(promises: Promise<unknown>[]): Promise<number> {
  const results = await Promise.allSettled(promises);
  return results.filter(({ status }) => status === "rejected").length;
}

/** Returns what `body` has begun and left behind. */
async function taken(body: () => Promise<number>) {
  sleepsBegun = 0;
  const rejected = await body();
  // The last sleep ends in a turn of its own
  for (let turn = 0; turn < 100 && sleeps.size > 0; turn++) {
    await new Promise((resolve) => setTimeout(resolve));
  }
  return { rejected, sleepsBegun, sleeps: sleeps.size, timers: timers.size };
}

async function repeat(
  wait: (signal: AbortSignal) => Promise<unknown>,
  end: (abort: () => void) => unknown,
): Promise<number> {
  // One for each wait, as a signal takes long to lose one of many listeners
  const controllers = Array.from(
    { length: COUNT },
    () => new AbortController(),
  );
  const results = rejected(controllers.map(({ signal }) => wait(signal)));
  // They sleep by then
  await new Promise((resolve) => setTimeout(resolve));
  await end(() => {
    for (const controller of controllers) controller.abort();
  });
  return await results;
}

const results: Record<string, unknown> = {};
results.aborted = await taken(() => {
  const cell = new MutexLazyInit(int32);
  return repeat(
    (signal) => cell.waitAsync({ signal }),
    (abort) => abort(),
  );
});
results["aborted one by one"] = await taken(async () => {
  const cell = new MutexLazyInit(int32);
  let count = 0;
  for (let i = 0; i < COUNT / 100; i++) {
    const controller = new AbortController();
    const wait = cell.waitAsync(controller);
    controller.abort();
    count += await rejected([wait]);
  }
  return count;
});
results.woken = await taken(() => {
  const cell = new MutexLazyInit(int32);
  return repeat(() => cell.waitAsync(), () => cell.init(() => 1));
});
results["wait for a lock"] = await taken(() => {
  const mutex = new Mutex();
  const token = mutex.lock();
  return repeat(
    (signal) => mutex.lockAsync({ signal }),
    (abort) => {
      abort();
      token.unlock();
    },
  );
});
results["fail one after the other"] = await taken(() => {
  const cell = new MutexLazyInit(int32);
  const { promise, reject } = Promise.withResolvers<number>();
  return repeat(
    () => cell.getOrInitAsync(() => promise),
    () => reject(new Error("On purpose")),
  );
});
process.stdout.write(JSON.stringify(results));
