// Copyright 2026 the lazyinit authors. MIT license.

/*
 * What the platform offers to the modules, as tests change it. The modules may keep
 * what they find when they load, so import this before them.
 */

import type { Phase } from "../mod.ts";

/** What the platform itself does, for helpers that must not be changed. */
export const { wait } = Atomics;

const { compareExchange, notify } = Atomics;

/** The functions of `Atomics` that tests replace, as the modules call them. */
interface Replaceable {
  compareExchange(
    words: Int32Array,
    index: number,
    expected: number,
    replacement: number,
  ): number;
  notify(words: Int32Array, index: number, count?: number): number;
  wait(
    words: Int32Array,
    index: number,
    value: number,
    timeout?: number,
  ): "ok" | "not-equal" | "timed-out";
}

/** What the modules find in `Atomics`: a test may replace it at any time. */
export const replaceable: Replaceable = { compareExchange, notify, wait };

Object.assign(Atomics, {
  compareExchange: ((...args) =>
    replaceable.compareExchange(
      ...args,
    )) satisfies Replaceable["compareExchange"],
  notify: ((...args) =>
    replaceable.notify(...args)) satisfies Replaceable["notify"],
  wait: ((...args) => replaceable.wait(...args)) satisfies Replaceable["wait"],
});

/** Runs `body` as on a browser's main thread, where `Atomics.wait` always throws. */
export function withoutBlocking(body: () => void): void {
  const { wait } = replaceable;
  replaceable.wait = () => {
    throw new TypeError("Atomics.wait cannot be called in this context");
  };
  try {
    body();
  } finally {
    replaceable.wait = wait;
  }
}

/** Runs `body` as in a browser that has no `Atomics.waitAsync`. */
export async function withoutWaitAsync(
  body: () => Promise<void>,
): Promise<void> {
  const { waitAsync } = Atomics;
  delete (Atomics as Partial<typeof Atomics>).waitAsync;
  try {
    await body();
  } finally {
    Atomics.waitAsync = waitAsync;
  }
}

/**
 * Calls `then` once, after this agent has changed a word of `buffer` by a
 * compare-exchange that succeeds: it has taken the cell there, and done nothing else.
 */
export function onceTaken(buffer: ArrayBufferLike, then: () => void): void {
  const { compareExchange } = replaceable;
  replaceable.compareExchange = (words, index, expected, replacement) => {
    const found = compareExchange(words, index, expected, replacement);
    if (
      words.buffer === buffer && found === expected && expected !== replacement
    ) {
      replaceable.compareExchange = compareExchange;
      then();
    }
    return found;
  };
}

/** Returns the phases in which a cell is whenever `body` zeroes bytes. */
export function phasesWhileZeroing(
  cell: { readonly phase: Phase },
  body: () => void,
): Phase[] {
  const phases: Phase[] = [];
  const { fill } = Uint8Array.prototype;
  Uint8Array.prototype.fill = function (...args) {
    phases.push(cell.phase);
    return fill.apply(this, args) as typeof this;
  };
  try {
    body();
  } finally {
    Uint8Array.prototype.fill = fill;
  }
  return phases;
}
