// Copyright 2026 the lazyinit authors. MIT license.
// This module is browser compatible.

import { label } from "./_checks.ts";
import { currentRuns, type Run, type RunningCell } from "./_running.ts";
import { DeadlockError } from "./errors.ts";

/*
 * How initializers that wait for each other's cells find out.
 *
 * Every run of an initializer that waits for another cell draws a probe, a random
 * number, and writes it into the headers of the cells that it is initializing. It
 * looks into the header of the cell that it waits for, again and again, and passes a
 * probe that it finds there on to its own cells if that is greater than its own. So
 * probes travel from the one who is waited for to the one who waits, and only along
 * waits that go on while they do. In a cycle the greatest comes back to where it was
 * drawn; in the absence of one none does.
 *
 * Ten bits may be alike by chance, and what a cell says may be outdated. So who sees
 * its probe again draws a new one of the next level, greater than all of the levels
 * below; only the one that returns on the last level is believed. A probe counts
 * down the cells that it passes, so that no old one circles for ever.
 */

/** How long a run that waits sleeps between two looks, in ms. */
const INTERVAL = 10;
/** Where a probe begins in the word of a run: its level, its number, its hops. */
const PROBE_SHIFT = 16;
const ID_MASK = (1 << PROBE_SHIFT) - 1;
const NONCE_BITS = 10;
const HOPS_BITS = 4;
const MAX_HOPS = (1 << HOPS_BITS) - 1;
const LAST_LEVEL = 3;

/** A wait for a cell, which may be that of initializers of other cells. */
export class Wait {
  readonly #target: RunningCell;
  /** The runs that wait; none if the caller is within no initializer. */
  readonly #runs: Run[] = currentRuns();
  #level = 0;
  #probe = this.#runs.length > 0 ? drawProbe(0) : 0;

  constructor(target: RunningCell) {
    this.#target = target;
  }

  /** How long to sleep at the most before the next {@linkcode look}, in ms. */
  get interval(): number {
    return this.#runs.length > 0 ? INTERVAL : Infinity;
  }

  /**
   * Passes the greatest probe on.
   *
   * @throws {DeadlockError} If its own has come round on the last level.
   */
  look(): void {
    if (this.#runs.length === 0) return;
    const { state } = this.#target;
    const seen = state.phase === "initializing" ? state.run >>> PROBE_SHIFT : 0;
    const probe = seen >>> HOPS_BITS;
    if (probe === this.#probe) {
      if (this.#level === LAST_LEVEL) throw this.#deadlock();
      this.#level += 1;
      this.#probe = drawProbe(this.#level);
    }
    const passesOn = probe > this.#probe && (seen & MAX_HOPS) > 0;
    this.#write(passesOn ? seen - 1 : this.#probe << HOPS_BITS | MAX_HOPS);
  }

  end(): void {
    this.#write(0);
  }

  #write(probe: number): void {
    for (const run of this.#runs) {
      const word = probe << PROBE_SHIFT | run.word & ID_MASK;
      // It fails if the cell has been taken from the run
      if (run.cell.state.replaceRun(run.word, word)) run.word = word;
    }
  }

  #deadlock(): DeadlockError {
    const held = this.#runs.map(({ cell }) => cell);
    return new DeadlockError(
      `Cannot wait for ${
        labelOf(this.#target)
      } as its initializer waits, itself or through others, for ${
        held.map(labelOf).join(" or ")
      }, which this one is initializing: initialize cells in one order everywhere`,
      [...held, this.#target].map(({ name }) => name),
    );
  }
}

/** Sleeps in `sleep` without blocking the agent, and rejects if that would be for ever. */
export async function sleepLooking(
  target: RunningCell,
  signal: AbortSignal | undefined,
  sleep: (options: { signal?: AbortSignal }) => Promise<void>,
): Promise<void> {
  const wait = new Wait(target);
  if (wait.interval === Infinity) return await sleep(signal ? { signal } : {});
  const deadlock = new AbortController();
  const timer = setInterval(() => {
    try {
      wait.look();
    } catch (error) {
      deadlock.abort(error);
    }
  }, wait.interval);
  try {
    wait.look();
    await sleep({
      signal: signal
        ? AbortSignal.any([signal, deadlock.signal])
        : deadlock.signal,
    });
  } finally {
    clearInterval(timer);
    wait.end();
  }
}

function labelOf({ kind, name }: RunningCell): string {
  return label(kind, name);
}

function drawProbe(level: number): number {
  const nonce = 1 + Math.floor(Math.random() * ((1 << NONCE_BITS) - 1));
  return level << NONCE_BITS | nonce;
}
