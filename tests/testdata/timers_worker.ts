// Copyright 2026 the lazyinit authors. MIT license.
/// <reference lib="deno.worker" />

/*
 * Reports how long the timers are that go on: during an initializer that waits; after it,
 * while its wait goes on; when that has ended; and after a wait within an initializer.
 */

/** Those that go on, by id. */
const timers = new Map<number, { callback: () => void; delay: number }>();
let lastId = 0;

Object.assign(globalThis, {
  setTimeout(callback: () => void, delay = 0): number {
    timers.set(++lastId, { callback, delay });
    return lastId;
  },
  clearTimeout(id: number): void {
    timers.delete(id);
  },
});
const { MutexLazyInit, int32 } = await import("../../mod.ts");

function delays(): number[] {
  return [...timers.values()].map(({ delay }) => delay);
}

/** Has the timers go off that look for deadlocks; others are longer. */
function goOff(): void {
  for (const [id, { callback, delay }] of [...timers]) {
    if (delay > 10) continue;
    timers.delete(id);
    callback();
  }
}

const slow = new MutexLazyInit(int32);
const made = Promise.withResolvers<number>();
const making = slow.initAsync(() => made.promise);
const leave = Promise.withResolvers<void>();
let wait: Promise<unknown> | undefined;
const initializing = new MutexLazyInit(int32).initAsync(async () => {
  wait = slow.waitAsync();
  await leave.promise;
  return 1;
});
goOff();
const during = delays();
leave.resolve();
await initializing;
goOff();
const after = delays();
made.resolve(2);
await Promise.all([making, wait]);
const rest = delays();

// Those of a wait that ends within its initializer are stopped
const other = new MutexLazyInit(int32);
const next = Promise.withResolvers<number>();
const others = [
  other.initAsync(() => next.promise),
  new MutexLazyInit(int32).initAsync(() => other.waitAsync()),
];
next.resolve(3);
await Promise.all(others);
self.postMessage({ during, after, rest, atTheEnd: delays() });
