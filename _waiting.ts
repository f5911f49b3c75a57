// Copyright 2026 the lazyinit authors. MIT license.
// This module is browser compatible.

/*
 * How the tasks of an agent wait on a word without blocking the agent.
 *
 * An `Atomics.waitAsync` cannot be cancelled, and Node pays for each one that is given
 * up. So the tasks that sleep on one value of one word share a single one, without a
 * timeout. The last to leave ends it by notifying all, as one notification might go to
 * another agent; the other agents take that for a spurious wake-up.
 *
 * Tasks that wait for their turn to change a word stand in line. Only the first sleeps
 * on the word, so a failure wakes one task of each agent, not all of them.
 */

import { watchAgent } from "./_agent.ts";
import { throwIfAborted } from "./_checks.ts";
import { startTimer, stopTimer, type Timer } from "./_clock.ts";

/** How often a task looks at the word where there is no `Atomics.waitAsync`, in ms. */
const POLL_INTERVAL = 4;
/**
 * How often an agent checks which owner to watch, in ms: an owner may have ended
 * between taking a word and waking the earlier sleepers.
 */
const LOOK_INTERVAL = 1_000;

/** A word whose owner may have announced itself. */
export interface Watched {
  /** The owner, if it has. */
  announcedOwner(): number | undefined;
  /** Takes the word from its owner, which has ended. */
  recover(agentId: number): unknown;
  /** Wakes all waiters. */
  notifyAll(): void;
}

/** The tasks of this agent that sleep on one value of one word. */
class Dormitory {
  readonly #words: Int32Array;
  readonly #index: number;
  readonly #watched: Watched;
  readonly #sleepers = new Set<() => void>();
  readonly value: number;
  #owner: number | undefined;
  #stopWatching: () => void = () => {};

  constructor(
    words: Int32Array,
    index: number,
    value: number,
    watched: Watched,
  ) {
    this.#words = words;
    this.#index = index;
    this.#watched = watched;
    this.value = value;
  }

  /** Begins to sleep; returns whether the word still has the value. */
  open(): boolean {
    if (Atomics.waitAsync === undefined) {
      startTimer(() => this.wakeAll(), POLL_INTERVAL);
    } else {
      // Pairs with the notify of an agent that replaces the word
      const sleep = Atomics.waitAsync(this.#words, this.#index, this.value);
      if (!sleep.async) return false;
      sleep.value.then(() => this.wakeAll());
    }
    open.add(this);
    keepAwake();
    // After the sleep has begun, as an owner that announces itself later wakes it
    this.watch();
    return true;
  }

  /** Watches the owner that the word names now. */
  watch(): void {
    const owner = this.#watched.announcedOwner();
    if (owner === this.#owner) return;
    this.#stopWatching();
    this.#owner = owner;
    if (owner === undefined) return;
    this.#stopWatching = watchAgent(owner, () => {
      if (this.#watched.announcedOwner() === owner) {
        this.#watched.recover(owner);
      } // It has left and ended before it could wake anyone, or goes on unannounced
      else this.#watched.notifyAll();
    });
  }

  enter(wake: () => void): void {
    this.#sleepers.add(wake);
  }

  /** Makes a task leave before it is woken. */
  leave(wake: () => void): void {
    this.#sleepers.delete(wake);
    if (open.has(this)) this.closeIfEmpty();
  }

  /** Ends a sleep without tasks: the last has left, or failed to enter for lack of stack. */
  closeIfEmpty(): void {
    if (this.#sleepers.size > 0) return;
    this.#close();
    // Pairs with the wait of open()
    Atomics.notify(this.#words, this.#index);
  }

  wakeAll(): void {
    if (!open.has(this)) return;
    this.#close();
    for (const wake of this.#sleepers) wake();
  }

  #close(): void {
    const ofBuffer = dormitories.get(this.#words.buffer as SharedArrayBuffer);
    if (ofBuffer?.get(this.#index) === this) ofBuffer.delete(this.#index);
    open.delete(this);
    keepAwake();
    this.#stopWatching();
  }
}

/** By memory and word, to be shared. */
const dormitories = new WeakMap<SharedArrayBuffer, Map<number, Dormitory>>();
/** All groups in which a task sleeps. */
const open = new Set<Dormitory>();
let timer: Timer | undefined;

/** Keeps the event loop alive while a task sleeps, as a pending `waitAsync` does not. */
function keepAwake(): void {
  if (open.size === 0) {
    stopTimer(timer);
    timer = undefined;
  } else timer ??= startTimer(look, LOOK_INTERVAL);
}

function look(): void {
  timer = undefined;
  for (const dormitory of open) {
    dormitory.closeIfEmpty();
    if (open.has(dormitory)) dormitory.watch();
  }
  keepAwake();
}

function dormitoryFor(
  words: Int32Array,
  index: number,
  value: number,
  watched: Watched,
): Dormitory | undefined {
  const buffer = words.buffer as SharedArrayBuffer;
  let ofBuffer = dormitories.get(buffer);
  if (ofBuffer === undefined) dormitories.set(buffer, ofBuffer = new Map());
  const found = ofBuffer.get(index);
  if (found?.value === value) return found;
  // One with another value is about to be woken, as the word has changed
  const dormitory = new Dormitory(words, index, value, watched);
  if (!dormitory.open()) return undefined;
  ofBuffer.set(index, dormitory);
  return dormitory;
}

/**
 * Resolves when an agent notifies the word, immediately if the word is not `value`, and
 * occasionally, spuriously. Rejects with the reason of an aborted signal.
 */
export function sleepAsync(
  words: Int32Array,
  index: number,
  value: number,
  signal: AbortSignal | undefined,
  watched: Watched,
): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const dormitory = dormitoryFor(words, index, value, watched);
    if (dormitory === undefined) return resolve();
    const wake = () => {
      signal?.removeEventListener("abort", abort);
      resolve();
    };
    const abort = () => {
      dormitory.leave(wake);
      reject(signal!.reason);
    };
    signal?.addEventListener("abort", abort, { once: true });
    dormitory.enter(wake);
  });
}

/**
 * Wakes the tasks of this agent that sleep on the word now, after all were notified: a
 * notification reaches them in a later turn of the event loop.
 */
export function wakeTasks(words: Int32Array, index: number): void {
  const buffer = words.buffer as SharedArrayBuffer;
  dormitories.get(buffer)?.get(index)?.wakeAll();
}

/** The tasks of this agent that wait for their turn at a word, by memory and word. */
const lines = new WeakMap<SharedArrayBuffer, Map<number, Set<() => void>>>();

/** Whether tasks of this agent wait for their turn at the word. */
export function hasLine(words: Int32Array, index: number): boolean {
  return lines.get(words.buffer as SharedArrayBuffer)?.has(index) === true;
}

/**
 * Calls `body` when all earlier tasks of this agent have left the line of the word, and
 * leaves the line when the promise that `body` returns has settled.
 */
export async function inLine<R>(
  words: Int32Array,
  index: number,
  signal: AbortSignal | undefined,
  body: () => Promise<R>,
): Promise<R> {
  const buffer = words.buffer as SharedArrayBuffer;
  let ofBuffer = lines.get(buffer);
  if (ofBuffer === undefined) lines.set(buffer, ofBuffer = new Map());
  let line = ofBuffer.get(index);
  if (line === undefined) ofBuffer.set(index, line = new Set());
  let step = () => {};
  const turn = new Promise<void>((resolve) => step = resolve);
  // An aborted task leaves the line wherever it stands
  const abort = () => step();
  try {
    line.add(step);
    const [first] = line;
    if (first === step) step();
    signal?.addEventListener("abort", abort, { once: true });
    await turn;
    throwIfAborted(signal);
    return await body();
  } finally {
    // First, as what follows may fail at the end of the stack
    line.delete(step);
    const [next] = line;
    if (next === undefined) ofBuffer.delete(index);
    else next();
    signal?.removeEventListener("abort", abort);
  }
}
