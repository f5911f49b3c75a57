// Copyright 2026 the lazyinit authors. MIT license.

import type { LazyInitHandle } from "../../mod.ts";

const STATE_WAITERS = 1 << 2;
/** The word of a mutex; a `LazyInit` counts its generations there, which never come so far. */
const MUTEX_WAITERS = 1 << 31;

/** Returns whether somebody sleeps on one of the words of a cell. */
export function isAwaited({ buffer, byteOffset }: LazyInitHandle): boolean {
  const words = new Int32Array(buffer, byteOffset, 2);
  return (Atomics.load(words, 0) & STATE_WAITERS) !== 0 ||
    (Atomics.load(words, 1) & MUTEX_WAITERS) !== 0;
}

/** Spins until somebody sleeps on one of the words of a cell. */
export function untilAwaited(handle: LazyInitHandle): void {
  while (!isAwaited(handle));
}
