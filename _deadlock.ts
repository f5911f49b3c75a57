// Copyright 2026 the lazyinit authors. MIT license.
// This module is browser compatible.

import { label } from "./_checks.ts";
import {
  currentRuns,
  type Run,
  type RunningCell,
  type RunningWait,
  unfinishedRuns,
} from "./_running.ts";
import { DeadlockError } from "./errors.ts";

/*
 * How initializers that wait for each other's cells find out.
 *
 * Every run of an initializer that waits for other cells draws a probe, a random
 * number, and writes it into the header of the cell that it is initializing. It looks
 * into the headers of the cells that it waits for, again and again, and passes the
 * greatest probe that it finds there on to its own cell if that is greater than its
 * own. So probes travel from the one who is waited for to the one who waits, and only
 * along waits that go on while they do. In a cycle the greatest comes back to where it
 * was drawn; in the absence of one none does.
 *
 * Which waits are those of a run: each that was begun within it, be it awaited or
 * not, as nothing tells; and each by which its agent blocks, be it within or not.
 *
 * Ten bits may be alike by chance, and what a cell says may be outdated. So who sees
 * its probe again draws a new one of the next level, greater than all of the levels
 * below; only the one that returns on the last level is believed. A probe counts
 * down the cells that it passes, so that no old one circles for ever.
 *
 * Who waits for several cells may pass on a probe from beside the cycle, and that one
 * comes round to nobody. So all are drawn anew now and then, until one from the cycle
 * is the greatest.
 *
 * An agent looks in quick succession when it has begun to wait, and while a probe
 * comes round; if nothing comes of it, at leisure.
 */

/** How long an agent sleeps between two looks, in ms, … */
const QUICK_INTERVAL = 1;
const INTERVAL = 10;
/** … after how many in quick succession. */
const QUICK_LOOKS = 32;
/** How often an agent looks at leisure until a probe is drawn anew, on average. */
const LIFETIME = 128;
/** Where a probe begins in the word of a run: its level, its number, its hops. */
const PROBE_SHIFT = 16;
const ID_MASK = (1 << PROBE_SHIFT) - 1;
const NONCE_BITS = 10;
const HOPS_BITS = 4;
const MAX_HOPS = (1 << HOPS_BITS) - 1;
const LAST_LEVEL = 3;

/** The looks since a wait was begun or a probe came round. */
let idleLooks = 0;
/** The asynchronous waits that go on, and what looks for them. */
let sleepers = 0;
let timer: ReturnType<typeof setTimeout> | undefined;

/** A wait for a cell, which may be that of initializers of other cells. */
class Wait implements RunningWait {
  readonly target: RunningCell;
  readonly runs: readonly Run[];
  readonly fail: (error: unknown) => void;

  constructor(
    target: RunningCell,
    runs: readonly Run[],
    fail: (error: unknown) => void,
  ) {
    this.target = target;
    this.runs = runs;
    this.fail = fail;
    for (const run of runs) {
      run.waits ??= new Set();
      if (run.waits.size === 0) run.probe = drawProbe(0);
      run.waits.add(this);
    }
    idleLooks = 0;
  }

  end(): void {
    for (const run of this.runs) {
      run.waits!.delete(this);
      if (run.waits!.size === 0) write(run, 0);
    }
  }
}

/**
 * Has `block` block this agent again and again, for so many ms at the most, until it
 * returns something.
 *
 * @throws {DeadlockError} If that would be for ever.
 */
export function blockLooking<R>(
  target: RunningCell,
  block: (timeout: number) => R | undefined,
): R {
  const runs = unfinishedRuns();
  if (runs.length === 0) return blockAlone(block);
  const errors: unknown[] = [];
  const wait = new Wait(target, runs, (error) => errors.push(error));
  try {
    for (;;) {
      const result = block(interval());
      if (result !== undefined) return result;
      look();
      if (errors.length > 0) throw errors[0];
    }
  } finally {
    wait.end();
  }
}

/** With as little as possible between waking up and the result, as many may wake at once. */
function blockAlone<R>(block: (timeout: number) => R | undefined): R {
  for (;;) {
    const result = block(Infinity);
    if (result !== undefined) return result;
  }
}

/**
 * Sleeps in `sleep` without blocking the agent, and rejects with a
 * {@linkcode DeadlockError} if that would be for ever.
 */
export async function sleepLooking(
  target: RunningCell,
  signal: AbortSignal | undefined,
  sleep: (options: { signal?: AbortSignal }) => Promise<void>,
): Promise<void> {
  const runs = currentRuns();
  if (runs.length === 0) return await sleep(signal ? { signal } : {});
  const deadlock = new AbortController();
  const wait = new Wait(target, runs, (error) => deadlock.abort(error));
  if (sleepers++ === 0) lookLater();
  try {
    await sleep({
      signal: signal
        ? AbortSignal.any([signal, deadlock.signal])
        : deadlock.signal,
    });
  } finally {
    wait.end();
    if (--sleepers === 0) clearTimeout(timer);
  }
}

function lookLater(): void {
  timer = setTimeout(() => {
    look();
    lookLater();
  }, interval());
}

function interval(): number {
  return idleLooks < QUICK_LOOKS ? QUICK_INTERVAL : INTERVAL;
}

/** Passes on what can be seen now, for all runs of this agent that wait. */
function look(): void {
  idleLooks++;
  for (const run of unfinishedRuns()) {
    if (run.waits !== undefined && run.waits.size > 0) lookFor(run, run.waits);
  }
}

function lookFor(run: Run, waits: Iterable<RunningWait>): void {
  let greatest = 0;
  for (const wait of waits) {
    const seen = probeOf(wait);
    if (seen >>> HOPS_BITS === run.probe) comeRound(run, wait);
    else if ((seen & MAX_HOPS) > 0) greatest = Math.max(greatest, seen);
  }
  if (idleLooks > QUICK_LOOKS && Math.random() * LIFETIME < 1) {
    run.probe = drawProbe(0);
  }
  write(run, Math.max(greatest - 1, run.probe << HOPS_BITS | MAX_HOPS));
}

/** The probe, with its hops, that the cell shows which is waited for; 0 if it shows none. */
function probeOf({ target: { state }, fail }: RunningWait): number {
  try {
    return state.phase === "initializing" ? state.run >>> PROBE_SHIFT : 0;
  } catch (error) {
    // The memory has been overwritten
    fail(error);
    return 0;
  }
}

function comeRound(run: Run, wait: RunningWait): void {
  const level = run.probe >>> NONCE_BITS;
  if (level === LAST_LEVEL) wait.fail(deadlock(run, wait));
  // What else the run waits for may show the probe of this level, too
  run.probe = drawProbe(level === LAST_LEVEL ? 0 : level + 1);
  idleLooks = 0;
}

function write(run: Run, probe: number): void {
  const word = probe << PROBE_SHIFT | run.word & ID_MASK;
  if (word === run.word) return;
  // It fails if the cell has been taken from the run
  if (!run.cell.state.replaceRun(run.word, word)) return;
  run.word = word;
  // A probe is passed on that has come round before
  if (probe >>> HOPS_BITS + NONCE_BITS > 0) idleLooks = 0;
}

/** The wait is for a cell whose initializer waits for the one that `run` initializes. */
function deadlock(run: Run, { target, runs }: RunningWait): DeadlockError {
  const held = runs.filter((inner) => isWithin(inner, run));
  return new DeadlockError(
    `Cannot wait for ${
      labelOf(target)
    } as its initializer waits, itself or through others, for ${
      labelOf(run.cell)
    }, which this agent is initializing: initialize cells in one order everywhere`,
    [...held.map(({ cell }) => cell), target].map(({ name }) => name),
  );
}

function isWithin(inner: Run | undefined, outer: Run): boolean {
  return inner !== undefined &&
    (inner === outer || isWithin(inner.outer, outer));
}

function labelOf({ kind, name }: RunningCell): string {
  return label(kind, name);
}

function drawProbe(level: number): number {
  const nonce = 1 + Math.floor(Math.random() * ((1 << NONCE_BITS) - 1));
  return level << NONCE_BITS | nonce;
}
