// Copyright 2026 the lazyinit authors. MIT license.
// This module is browser compatible.

/*
 * The clock and the timers, taken when the module loads: test runners replace the
 * global ones later, and a wait that reads a stopped clock never times out.
 * Some agents, such as an AudioWorklet, have neither: the import does not fail there.
 */

const { performance, setTimeout, clearTimeout } = globalThis as Partial<
  typeof globalThis
>;

/** The time in ms since some moment that stays the same for the life of the agent. */
export const now: () => number = performance === undefined
  ? Date.now
  : performance.now.bind(performance);

/** What stops a timer: a number in browsers and Deno, an object in Node and Bun. */
export type Timer = ReturnType<typeof globalThis.setTimeout>;

/** Returns a timer that calls `callback` once, `delay` ms from now. */
export function startTimer(callback: () => void, delay: number): Timer {
  if (setTimeout === undefined) {
    throw new TypeError(
      "Cannot wait with a timer as setTimeout is not defined in this agent",
    );
  }
  return setTimeout(callback, delay);
}

/** Stops a timer, if it has not gone off yet. */
export function stopTimer(timer: Timer | undefined): void {
  clearTimeout?.(timer);
}
