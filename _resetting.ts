// Copyright 2026 the lazyinit authors. MIT license.
// This module is browser compatible.

/*
 * Resets that let the event loop run while they zero a large value.
 *
 * The agent owns the cell meanwhile, as in any reset, and word 5 of the header says how
 * many bytes are left: each slice zeroes the last of them and lowers the word. Code that
 * runs in between needs no other information. An agent that recovers the cell zeroes what
 * is left, and this one then finds that it no longer owns the cell.
 *
 * An agent that is about to block finishes its resets first: no turn of its event loop
 * comes while it sleeps, and the agent that it waits for may wait for one of the cells.
 */

import { whenFrameEnds } from "./_agent.ts";
import { startTimer, stopTimer, type Timer } from "./_clock.ts";
import { sharedByThread } from "./_thread.ts";

/** How many bytes a slice zeroes: less than 1 ms of work where memory is fast. */
export const SLICE_BYTES = 4 * 2 ** 20;

/** Those of all copies of this package in the thread, as functions that finish them. */
const unfinished = sharedByThread("resets", () => new Set<() => void>());

const RESOLVED = Promise.resolve();

/** Finishes the resets of this agent at once. */
export function finishResets(): void {
  for (const finish of unfinished) finish();
}

whenFrameEnds(finishResets);

/**
 * Calls `zeroSlice` in one turn of the event loop after the other, the first of them this
 * one, while it returns that there is more to zero. Calls `end` then, or earlier if the
 * agent is about to block: it zeroes the rest. If that fails for lack of stack, it is
 * called again later.
 *
 * @returns A promise of what `end` returns.
 */
export function zeroInTurns<R>(
  zeroSlice: () => boolean,
  end: () => R,
): Promise<R> {
  let resolve!: (result: R) => void;
  const promise = new Promise<R>((resolveIt) => resolve = resolveIt);
  let timer: Timer | undefined;
  const finish = () => {
    if (!unfinished.has(finish)) return;
    // First, as it may fail at the end of the stack, and is then called again
    const result = end();
    unfinished.delete(finish);
    stopTimer(timer);
    resolve(result);
  };
  const takeTurn = () => {
    try {
      while (zeroSlice()) {
        if (isHidden()) continue;
        // Deno loses a timer that is started at the end of the stack
        RESOLVED.then(awaitTurn);
        return;
      }
    } catch {
      // At the end of the stack: zeroing all at once is just as correct
    }
    finish();
  };
  const awaitTurn = () => {
    try {
      timer = startTimer(takeTurn, 0);
    } catch {
      // Without timers
      finish();
    }
  };
  unfinished.add(finish);
  // Not in the executor of the promise, which would take what fails for a rejection
  takeTurn();
  return promise;
}

/** Whether this is a page whose timers may be late by a minute, while others wait. */
function isHidden(): boolean {
  const { document } = globalThis as { document?: { hidden?: boolean } };
  return document?.hidden === true;
}
