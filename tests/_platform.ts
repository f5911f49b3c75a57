// Copyright 2026 the lazyinit authors. MIT license.

import type { Phase } from "../mod.ts";

/** Runs `body` as on a browser's main thread, where `Atomics.wait` always throws. */
export function withoutBlocking(body: () => void): void {
  const { wait } = Atomics;
  Atomics.wait = () => {
    throw new TypeError("Atomics.wait cannot be called in this context");
  };
  try {
    body();
  } finally {
    Atomics.wait = wait;
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
