// Copyright 2026 the lazyinit authors. MIT license.

/*
 * Counts the timers of this agent. The modules keep what they find when they load, so
 * import this before them.
 */

const { setTimeout, clearTimeout } = globalThis;
const pending = new Set<number>();

globalThis.setTimeout = ((callback: () => void, delay?: number) => {
  const timer = setTimeout(() => {
    pending.delete(timer);
    callback();
  }, delay);
  pending.add(timer);
  return timer;
}) as typeof globalThis.setTimeout;

globalThis.clearTimeout = (timer) => {
  pending.delete(timer as number);
  clearTimeout(timer);
};

/** How many timers are to go off. */
export function pendingTimers(): number {
  return pending.size;
}
