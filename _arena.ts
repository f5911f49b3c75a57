// Copyright 2026 the lazyinit authors. MIT license.
// This module is browser compatible.

import { alignToSlot, growTo, wordIndex, wordsOf } from "./_memory.ts";

/** The unit of {@linkcode Arena}, in bytes, so that 32 bits reach 32 GiB. */
export const UNIT = 8;
/** Memory grows by multiples of this, in bytes, so that views are seldom made anew. */
const GROWTH = 2 ** 20;

/**
 * A part of shared memory that is given out from its beginning on, without a lock, and
 * never taken back.
 *
 * One word says how many units are given out: all-zero memory means none. What is given
 * out is zero, and belongs to the caller alone until it lets other agents know.
 */
export class Arena {
  readonly buffer: SharedArrayBuffer;
  /** Which word it is. */
  readonly #index: number;
  /** Where the first byte is that it may give out, … */
  readonly start: number;
  /** … and the first that it may not. */
  readonly end: number;
  /** The memory as far as it reached when that was last asked. */
  #words: Int32Array<SharedArrayBuffer>;
  /** What errors say that the bound is. */
  readonly #bound: string;

  constructor(
    buffer: SharedArrayBuffer,
    index: number,
    start: number,
    end: number,
    bound: string,
  ) {
    this.buffer = buffer;
    this.#words = wordsOf(buffer);
    this.#index = index;
    this.start = start;
    this.end = end;
    this.#bound = bound;
  }

  /** Gives out so many bytes, and returns where they begin, in bytes, a multiple of 8. */
  reserve(byteLength: number): number {
    const words = this.#words;
    const units = alignToSlot(byteLength) / UNIT;
    // Pairs with the CAS below
    let used = Atomics.load(words, this.#index) >>> 0;
    for (;;) {
      const byteOffset = this.start + used * UNIT;
      this.#growTo(byteOffset + units * UNIT);
      // M1: pairs with itself in other agents
      const found = Atomics.compareExchange(
        words,
        this.#index,
        used,
        used + units,
      ) >>> 0;
      if (found === used) return byteOffset;
      used = found;
    }
  }

  /** Before the bytes are given out, so that a refusal of the platform leaks none. */
  #growTo(byteLength: number): void {
    if (byteLength > this.end) {
      throw new RangeError(
        `Cannot store more in the memory as it must have at most ${this.#bound}: ${
          byteLength - this.end
        } bytes are missing`,
      );
    }
    // Asking the buffer costs more than all the rest
    if (wordIndex(byteLength) <= this.#words.length) return;
    const rounded = Math.ceil(byteLength / GROWTH) * GROWTH;
    if (byteLength > this.buffer.byteLength) {
      growTo(this.buffer, Math.min(this.end, rounded));
    }
  }

  /** Returns the words of the memory, if those up to `end` are there and are not another's. */
  wordsTo(end: number): Int32Array<SharedArrayBuffer> | undefined {
    // Asking the buffer costs more than all the rest of a look-up
    if (end > this.#words.length) this.#words = wordsOf(this.buffer);
    return end <= this.#words.length && end <= wordIndex(this.end)
      ? this.#words
      : undefined;
  }
}
