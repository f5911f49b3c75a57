// Copyright 2026 the lazyinit authors. MIT license.

/**
 * A pause of a worker, which stands for work that takes that long.
 *
 * @module
 */

/** Never notified. */
const word = new Int32Array(new SharedArrayBuffer(4));

/** Blocks the worker. */
export function sleep(milliseconds: number): void {
  Atomics.wait(word, 0, 0, milliseconds);
}
