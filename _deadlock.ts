// Copyright 2026 the lazyinit authors. MIT license.
// This module is browser compatible.

import { drawNonce } from "./_agent.ts";
import { startTimer, stopTimer, type Timer } from "./_clock.ts";
import {
  isRunOf,
  PROBE_WORD,
  type Run,
  runIdOf,
  type RunningCell,
  unfinishedRuns,
} from "./_running.ts";
import { sharedByThread } from "./_thread.ts";
import { DeadlockError } from "./errors.ts";

/*
 * Word 4 of a cell's header: how initializers find out that they wait for each other's
 * cells.
 *
 * WAITS. Each wait that was begun within a run belongs to that run, whether the run awaits
 * it or not, as the platform does not say. A wait that blocks the agent belongs to all of
 * its runs.
 *
 * IN ONE AGENT a wait that closes a cycle is refused immediately: the agent knows the
 * waits of all of its runs, and the cells that it owns say which run they wait for.
 *
 * ACROSS AGENTS a run that waits shows in the header of its own cell how deep it waits:
 * 1 more than the deepest of the cells that it waits for, where a cell whose
 * initializer does not wait counts as 0. Each agent looks again and again, and in a
 * cycle the depths grow without end. A run that is 15 deep or more shows a probe
 * instead: a number that it has drawn, its nonce. It passes on the greatest probe that
 * it finds in the headers of the cells that it waits for, if that is greater than its
 * own. So probes travel from the run that is waited for to the run that waits. In a cycle,
 * the greatest returns to the run that has drawn it; without a cycle, none does. Waits
 * outside of the cycle, however many, do not matter, as they are not as deep.
 *
 * A probe that returns may be outdated: a wait that passed it on may have ended. So the run
 * draws a second nonce, greater than all first ones, and believes that one if it returns by
 * the same wait. A run shows nothing that it has learned by a wait that has ended.
 *
 * A probe counts the cells that it may still pass, so that no old probe circles for ever.
 * For this reason, no cycle of more than 16 runs is found. Runs occasionally draw new
 * nonces, as a greater nonce may come from outside the cycle: from a longer cycle or chain,
 * which may be as deep.
 *
 * The word: 0 if the run does not wait, 1 to 15 if it is that deep, else a probe: bits 0-3
 * the cells that it may pass, bits 4-31 the nonce, of which bit 31 says that it is a second
 * one. As unsigned numbers, deeper is greater.
 *
 * Only the owner of the cell writes the word. An owner that is declared dead after it has
 * checked that it owns the cell, but before it writes, takes back what it has written.
 *
 * An agent looks in quick succession just after it has begun to wait, and while what it
 * shows changes. Otherwise it looks at leisure.
 */

/** How long an agent sleeps between two looks, in ms, … */
const QUICK_INTERVAL = 1;
const INTERVAL = 10;
/** … after how many in quick succession. */
const QUICK_LOOKS = 32;
/** How many looks at leisure a nonce lasts, on average. */
const LIFETIME = 256;
const MAX_DEPTH = 15;
const HOPS_MASK = 15;
const NONCE_SHIFT = 4;
const SECOND = 1 << 31;

/** What a run that waits knows. */
class Waiter {
  readonly run: Run;
  /** All at once. */
  readonly waits = new Set<Wait>();
  /** By which wait the run has what it shows. */
  source: Wait | undefined;
  /** Its probe, with all hops. */
  probe = drawProbe(0);
  /** By which wait the first nonce returned. */
  suspect: Wait | undefined;

  constructor(run: Run) {
    this.run = run;
  }
}

/** Those of all copies of this package in the thread, by the ids of their runs. */
const waiters = sharedByThread("waiters", () => new Map<number, Waiter>());

/** The looks since a wait was begun or something changed. */
let idleLooks = 0;
/** What looks for the waits that do not block. */
let timer: Timer | undefined;

/** A wait for a cell, which may be that of initializers of other cells. */
class Wait {
  readonly target: RunningCell;
  /** The runs that cannot go on before it ends. */
  readonly runs: readonly Run[];
  readonly #fail: (error: unknown) => void;
  /** Set before {@linkcode Wait.end} is called, which may fail at the end of the stack. */
  isOver = false;

  constructor(
    target: RunningCell,
    runs: readonly Run[],
    fail: (error: unknown) => void,
  ) {
    this.target = target;
    this.runs = runs;
    this.#fail = fail;
  }

  begin(): void {
    for (const run of this.runs) {
      let waiter = waiters.get(run.id);
      if (waiter === undefined) {
        waiters.set(run.id, waiter = new Waiter(run));
      }
      waiter.waits.add(this);
    }
    idleLooks = 0;
  }

  /** Ends it for the search, even if the agent is blocked in another one. */
  fail(error: unknown): void {
    this.isOver = true;
    this.end();
    this.#fail(error);
  }

  end(): void {
    for (const { id } of this.runs) {
      const waiter = waiters.get(id);
      if (waiter === undefined) continue;
      waiter.waits.delete(this);
      if (waiter.waits.size === 0) waiters.delete(id);
      else if (waiter.source !== this) continue;
      show(waiter, 0, undefined);
    }
    if (waiters.size > 0 || timer === undefined) return;
    stopTimer(timer);
    timer = undefined;
  }
}

/**
 * Calls `block`, which blocks this agent for at most so many ms, until it returns
 * something.
 *
 * @throws {DeadlockError} If that would be for ever.
 */
export function blockLooking<R>(
  target: RunningCell,
  block: (timeout: number) => R | undefined,
): R {
  const runs = unfinishedRuns();
  let failure: { error: unknown } | undefined;
  const wait = new Wait(target, runs, (error) => failure = { error });
  try {
    wait.begin();
    for (;;) {
      // With little between waking up and the result, as many agents may wake together
      const result = block(runs.length === 0 ? Infinity : interval());
      if (result !== undefined) return result;
      look();
      if (failure !== undefined) throw failure.error;
    }
  } finally {
    wait.isOver = true;
    wait.end();
  }
}

/**
 * Sleeps in `sleep`, which does not block the agent, on behalf of a call within `runs`.
 * Rejects with a {@linkcode DeadlockError} if that would be for ever.
 */
export async function sleepLooking<R>(
  target: RunningCell,
  runs: readonly Run[],
  signal: AbortSignal | undefined,
  sleep: (signal: AbortSignal | undefined) => Promise<R>,
): Promise<R> {
  const unfinished = runs.filter(({ finished }) => !finished);
  if (unfinished.length === 0) return await sleep(signal);
  const closed = findCycle(target, unfinished);
  if (closed !== undefined) throw deadlock(closed, target, unfinished);
  const controller = new AbortController();
  // Not by AbortSignal.any(), as the signal may be of another realm
  const abort = () => controller.abort(signal!.reason);
  const wait = new Wait(target, unfinished, (error) => controller.abort(error));
  try {
    signal?.addEventListener("abort", abort);
    wait.begin();
    timer ??= startTimer(lookLater, interval());
    return await sleep(controller.signal);
  } finally {
    wait.isOver = true;
    wait.end();
    signal?.removeEventListener("abort", abort);
  }
}

function lookLater(): void {
  look();
  // Once the runs have finished there is nothing left to look for, even if their waits go
  // on
  timer = waiters.size > 0 ? startTimer(lookLater, interval()) : undefined;
}

function interval(): number {
  return idleLooks < QUICK_LOOKS ? QUICK_INTERVAL : INTERVAL;
}

/** Returns which of the runs the initializer of the cell waits for, within this agent. */
function findCycle(target: RunningCell, runs: readonly Run[]): Run | undefined {
  const cells = new Set([target]);
  // Those that are added meanwhile come last
  for (const cell of cells) {
    if (!cell.ownedByThisAgent) continue;
    const closed = runs.find((run) => isRunOf(run, cell));
    if (closed !== undefined) return closed;
    const waiter = waiters.get(runIdOf(cell));
    if (waiter === undefined || !isRunOf(waiter.run, cell)) continue;
    for (const wait of waiter.waits) if (!wait.isOver) cells.add(wait.target);
  }
  return undefined;
}

/** Shows what can be seen now, for all runs of this agent that wait. */
function look(): void {
  idleLooks++;
  for (const [id, waiter] of waiters) {
    if (isOwner(waiter.run)) lookFor(waiter);
    else waiters.delete(id);
  }
}

/** Whether the run goes on and its agent still owns its cell: no other takes part. */
function isOwner({ finished, cell, generation }: Run): boolean {
  return !finished && cell!.owns(generation);
}

function lookFor(waiter: Waiter): void {
  let greatest = -1;
  let source: Wait | undefined;
  let returned: Wait | undefined;
  for (const wait of waiter.waits) {
    if (wait.isOver) {
      wait.end();
      continue;
    }
    const shown = shownFor(wait);
    const isOwn = (shown ^ waiter.probe) >>> NONCE_SHIFT === 0;
    if (isOwn) returned ??= wait;
    const passable = isSpent(shown) ? MAX_DEPTH : shown;
    if (passable <= greatest) continue;
    greatest = passable;
    source = wait;
  }
  if (returned !== undefined && returned === waiter.suspect) {
    draw(waiter, undefined);
    const { run } = waiter;
    return returned.fail(deadlock(run, returned.target, returned.runs));
  }
  if (returned !== undefined) draw(waiter, returned);
  else if (greatest >= MAX_DEPTH && isTimeToDraw()) draw(waiter, undefined);
  const word = greatest < MAX_DEPTH
    ? greatest + 1
    : Math.max(greatest - 1, waiter.probe);
  if (show(waiter, word, source)) idleLooks = 0;
}

/** What the awaited cell shows: 0 if no initializer runs or waits, -1 if that cannot be read. */
function shownFor(wait: Wait): number {
  try {
    const { phase, words, index } = wait.target;
    if (phase !== "initializing") return 0;
    // Pairs with the CAS of show() in other agents
    return Atomics.load(words, index + PROBE_WORD) >>> 0;
  } catch (error) {
    // The memory has been overwritten
    wait.fail(error);
    return -1;
  }
}

/** Shows `word` for the run, if its agent owns the cell; returns whether it is new. */
function show(
  waiter: Waiter,
  word: number,
  source: Wait | undefined,
): boolean {
  waiter.source = source;
  const { run } = waiter;
  if (!isOwner(run)) return false;
  const { words, index } = run.cell!;
  const found = Atomics.load(words, index + PROBE_WORD);
  if (found === (word | 0)) return false;
  // Pairs with the load of shownFor() in other agents
  Atomics.compareExchange(words, index + PROBE_WORD, found, word);
  // The cell may have been taken from this agent in between
  if (!isOwner(run)) {
    // Pairs with the same in the agent that owns it now
    Atomics.compareExchange(words, index + PROBE_WORD, word, 0);
  }
  return true;
}

/** Draws a first nonce, or a second one if the first returned by the wait `suspect`. */
function draw(waiter: Waiter, suspect: Wait | undefined): void {
  waiter.suspect = suspect;
  waiter.probe = drawProbe(suspect === undefined ? 0 : SECOND);
}

function drawProbe(second: number): number {
  // The nonce is odd, as it must not be 0
  return (drawNonce() >>> 1 | second | 1 << NONCE_SHIFT | HOPS_MASK) >>> 0;
}

function isTimeToDraw(): boolean {
  return idleLooks > QUICK_LOOKS && drawNonce() % LIFETIME === 0;
}

/** Whether it is a probe that must not pass any more cells. */
function isSpent(shown: number): boolean {
  return shown > MAX_DEPTH && (shown & HOPS_MASK) === 0;
}

/** The call within `runs` would wait for the cell, whose initializer waits for `run`. */
function deadlock(
  run: Run,
  target: RunningCell,
  runs: readonly Run[],
): DeadlockError {
  const held = runs.filter((inner) => isPartOf(inner, run));
  const cells = [...held.map(({ cell }) => cell!), target];
  return new DeadlockError(
    `Cannot wait for ${target.label} as its initializer waits, itself or through others, for ${
      run.cell!.label
    }, which this agent is initializing: initialize cells in one order everywhere`,
    cells.map(({ name }) => name),
  );
}

function isPartOf(inner: Run | undefined, outer: Run): boolean {
  return inner !== undefined && !inner.finished &&
    (inner === outer || isPartOf(inner.outer, outer));
}
