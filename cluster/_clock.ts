// Copyright 2026 the lazyinit authors. MIT license.

/** A cell's only source of time and of random numbers. A simulation substitutes its own. */
export interface Clock {
  /** Milliseconds that never go back, of this process alone. */
  now(): number;
  /** Calls `callback` after so many milliseconds, or later. */
  setTimeout(callback: () => void, milliseconds: number): unknown;
  /** Ends what `setTimeout` has returned. */
  clearTimeout(timer: unknown): void;
  /** A number from 0 to 1, without 1. */
  random(): number;
  /** 64 bits that no other call of any process returns. */
  nonce(): bigint;
}

// Taken once, as test runners replace them later
const { performance, setTimeout, clearTimeout, crypto } = globalThis;
const { random } = Math;

/** The clock of the platform. */
export const platformClock: Clock = {
  now: () => performance.now(),
  setTimeout: (callback, milliseconds) => setTimeout(callback, milliseconds),
  clearTimeout: (timer) => clearTimeout(timer as ReturnType<typeof setTimeout>),
  random: () => random(),
  nonce: () => crypto.getRandomValues(new BigUint64Array(1))[0]!,
};

let clock = platformClock;

/** The clock of the cells that are constructed from now on. */
export function currentClock(): Clock {
  return clock;
}

/** Gives the cells that are constructed from now on another clock. */
export function useClock(replacement: Clock): void {
  clock = replacement;
}
