// Copyright 2026 the lazyinit authors. MIT license.
// This module is browser compatible.

/*
 * The protocol of a cell: who may touch which bytes when. Not a lock-free
 * container, and not a queue: no fairness is promised, only progress.
 *
 * THE FOUR WORDS (32 bits each, then the slot)
 *
 *   word 0  state   bits 0-1 phase, bit 2 waiters, bits 3-31 generation
 *                   LazyInit, while it is initializing: bit 3 announced,
 *                   bits 4-31 the owner's agent id, in place of the generation
 *   word 1  owner   MutexLazyInit: the Mutex, bits 0-27 the holder's agent id,
 *                   bit 28 announced, bits 29-30 how often it was taken from its
 *                   holder, bit 31 waiters
 *                   LazyInit: the generation, which word 0 may have no room for
 *   word 2  layout  hash of the cell's layout, 0 = unclaimed
 *   word 3  run     while it is initializing: bits 0-15 which of its initializers
 *                   the owner runs, bits 16-31 the probe that finds deadlocks
 *
 * All-zero memory must mean unclaimed, uninitialized, unlocked: it is what
 * SharedArrayBuffer and WebAssembly.Memory start from, so placing a cell needs
 * no store that another agent could see half done.
 *
 * THE STATE (CAS = Atomics.compareExchange)
 *
 *                  begin(): CAS                 publish(): CAS, notify all
 *   uninitialized ──────────────▶ initializing ─────────────────▶ initialized
 *     ▲  ▲  ▲                       │  │  ▲ │                          │
 *     │  │  └───────────────────────┘  │  └─┘ takeOver(): CAS          │
 *     │  │   rollback(): CAS, notify   │  (LazyInit: another owner)    │
 *     │  └─────────────────────────────┘                               │
 *     │      revoke(): CAS, generation + 1, notify all                 │
 *     └────────────────────────────────────────────────────────────────┘
 *         reset(): CAS, generation + 1, notify all (MutexLazyInit, under its mutex)
 *
 *   In a MutexLazyInit, revoke() also takes a cell that is uninitialized or initialized
 *   to the next generation, in which it stays what it is.
 *
 *   uninitialized  nobody reads the slot; only reset() and recover() zero it, and
 *                  that under the mutex
 *   initializing   the agent that won begin() or takeOver() reads and writes it
 *   initialized    every agent reads it, nobody writes it
 *
 * INVARIANTS
 *
 *   I1  An agent writes the slot if and only if it won begin() and the state still
 *       names that run, or it won takeOver(), or it holds the mutex after its own
 *       reset() or revoke().
 *   I2  The phase is "initialized" if and only if the slot holds a whole value.
 *   I3  Outside of I1's writers the slot of an uninitialized cell is all zero.
 *   I4  The generation grows if and only if an initialized cell is reset, or a cell
 *       is taken from an agent that was declared dead; so two equal state words in
 *       phase "initialized" mean the same value, and an agent from which the cell was
 *       taken finds no state word that it has loaded before.
 *   I5  An agent sleeps on a word only while the waiters bit is set in that word,
 *       or the agent that cleared the bit is about to notify everyone, or has ended
 *       before it could: recover() notifies even if there is nothing to recover.
 *   I6  A mutex word names its holder if and only if the mutex is held.
 *   I7  In a MutexLazyInit, begin(), reset() and revoke() go by a state word that was
 *       loaded before the mutex was found to be held by this agent, publish() and
 *       rollback() by that of begin(); and who takes the mutex from its holder does not
 *       free it before its revoke(). So the CAS of a holder that was declared dead
 *       comes before that one, which undoes it, or fails (I4). In a LazyInit,
 *       winning begin() or takeOver() entitles to the rest.
 *   I8  A word says "announced" only while its owner holds its Web Lock or has ended.
 *
 * NO LOST WAKE-UP (I5). A sleeper sets the waiters bit with a CAS on the word
 * that it has judged, then sleeps with wait(word, that word with the bit). Whoever
 * replaces a word that has the bit notifies all; only begin() and takeOver(), which
 * end nobody's wait, keep the bit instead. If the replacement comes before the CAS,
 * the CAS fails; between CAS and wait, wait answers "not-equal"; after it, notify
 * finds the sleeper. Nothing is ever handed to one waiter alone: notify wakes
 * all, so a waiter that was aborted, timed out, or sits in an agent that is busy
 * cannot swallow a wake-up that somebody else needed.
 *
 * MEMORY MODEL. Atomics are sequentially consistent, and one that reads what
 * another wrote synchronizes with it. The plain accesses, and why each is sound:
 *
 *   slot, written while initializing     before the CAS of publish() in program
 *     order, and read after a load that saw "initialized": ordered, no race.
 *   slot, zeroed after reset()           may race with a decode that began while
 *     the cell was initialized. decode is therefore followed by confirm(), a CAS of
 *     the word with itself. If it finds the old word, reset()'s CAS comes later in the
 *     order of that word's read-modify-writes, each of which synchronizes with the
 *     next: the reads happen before the zeroes and cannot see them. A plain load in
 *     place of that CAS would not do: it orders nothing that comes before it.
 *   slot, zeroed by recover()            races with nobody if the owner has ended,
 *     as whoever says so has learnt it after the owner's last write.
 *   state word, read by MutexLazyInit.get()   a stale word is one from before a
 *     reset that nothing orders before the read, so the old value is a legal answer.
 *   header and slot, read before they are claimed   only to see that all is zero; if
 *     not, a load of the layout word tells whether an agent has just claimed it.
 *   slot, read by getUnchecked() or written through getMut()   the caller's business.
 *   generation word of LazyInit, read by publish() and rollback()   written by revoke()
 *     only, before a CAS that begin() has read; if it is written later, their CAS fails.
 *   run word, written after begin()      whoever reads what was there before takes it
 *     for a probe, which none is that has not come round several times.
 *
 * THE TEMPTING WRONG VERSION sets "initialized" by the CAS that claims the cell
 * and writes the value next. A reader between the two sees the flag, and memory
 * that was never written; an initializer that throws there leaves it so for ever.
 *
 * A CRASH leaves: uninitialized, a cell as good as new; initializing, a cell that
 * stays so and names the owner in word 0 or 1; initialized, a cell that every agent can
 * read; a held mutex, one that stays held by that id. recover() undoes the second and
 * the last. It first replaces the word that names the agent, so that one of several
 * agents that recover does the work, and if that one ends, too, is named in turn. An
 * agent that was declared dead and lives fails at its next CAS (I4, I6, I7), be it to
 * begin, publish, reset, unlock or recover; the plain writes that it makes before are
 * the one thing that nothing can stop.
 *
 * THE GENERATION WRAPS after 2^29 resets. An agent would have to keep a cached value
 * unread, or an initializer run on, for exactly that many to take one for the other. How
 * often a mutex was taken from its holder wraps after 4: a token that has lost its lock
 * would have to be kept for so many to unlock one that its agent has got by another object.
 */

/**
 * The primitives that both kinds of cell are made of: a three-phase state word,
 * a mutex in one word, and what an agent knows about itself.
 *
 * ```ts
 * import { Mutex } from "@lazyinit/lazyinit/atomics";
 * import { assertEquals } from "@std/assert";
 *
 * const mutex = new Mutex();
 * {
 *   using token = mutex.lock();
 *   assertEquals(token.locked, true);
 * }
 * assertEquals(mutex.lockIfAvailable()?.unlock(), true);
 * ```
 *
 * @module
 */

import {
  canAnnounce,
  holdAgentLock,
  holdsAgentLock,
  watchAgentDuring,
} from "./_announcement.ts";
import {
  assertAgentId,
  assertFunction,
  assertRange,
  assertShared,
  assertTimeout,
  cannotBlock,
  signalOf,
} from "./_checks.ts";
import { allocate, wordIndex, wordsOf } from "./_memory.ts";
import { LayoutMismatchError, OwnerLostError } from "./errors.ts";

/**
 * How far the initialization of a cell has come.
 *
 * @example Usage
 * ```ts
 * import { OnceState, type Phase } from "@lazyinit/lazyinit/atomics";
 * import { assertEquals } from "@std/assert";
 *
 * const LIGHTS: Record<Phase, string> = {
 *   uninitialized: "red",
 *   initializing: "yellow",
 *   initialized: "green",
 * };
 * assertEquals(LIGHTS[new OnceState().phase], "red");
 * ```
 */
export type Phase = "uninitialized" | "initializing" | "initialized";

/** No value, and nobody is making one. */
const UNINITIALIZED = 0;
/** One agent owns the slot and is making the value. */
const INITIALIZING = 1;
/** The slot holds the value. */
const INITIALIZED = 2;
const PHASE_MASK = 3;
/** Somebody may sleep on the state word. */
const STATE_WAITERS = 1 << 2;
const GENERATION_SHIFT = 3;

/** In a cell that names its owner here, the owner has announced itself. */
const STATE_ANNOUNCED = 1 << 3;
const STATE_OWNER_SHIFT = 4;

/** Nobody holds the mutex, and it was never taken from anybody. */
const UNLOCKED = 0;
const OWNER_MASK = (1 << 28) - 1;
/** The holder of the mutex has announced itself. */
const MUTEX_ANNOUNCED = 1 << 28;
/** How often the mutex was taken from its holder: it tells a lost lock from a later one. */
const MUTEX_LOSSES = 3 << 29;
const MUTEX_LOSS = 1 << 29;
/** Somebody may sleep on the mutex word. */
const MUTEX_WAITERS = 1 << 31;

const OWNER_WORD = 1;
const GENERATION_WORD = 1;
const LAYOUT_WORD = 2;
const RUN_WORD = 3;

/**
 * How long one sleep of an asynchronous wait lasts at the most, in ms: it bounds
 * the life of a `waitAsync` whose waiter has gone, as that cannot be cancelled.
 */
const MAX_SLEEP = 60_000;
/** How often an asynchronous wait looks where there is no `Atomics.waitAsync`, in ms. */
const POLL_INTERVAL = 4;

/** One id for the whole agent, even if it loads two copies of this module. */
const AGENT_ID = Symbol.for("@lazyinit/lazyinit agent id");
const globals = globalThis as { [AGENT_ID]?: number };
const thisAgent = globals[AGENT_ID] ??=
  // 28 bits fit beside the other bits of a state word; 0 is nobody
  crypto.getRandomValues(new Uint32Array(1))[0]! >>> 4 || 1;

/** What this agent writes into the words of mutexes that it locks. */
let holder = thisAgent;
/** What this agent writes into the state of cells that name their owner there. */
let claimant = thisAgent << STATE_OWNER_SHIFT | INITIALIZING;
let announcement: Promise<void> | undefined;

/** Equal to no value that {@linkcode canBlock} waits for, so that it never sleeps. */
const probe = globalThis.SharedArrayBuffer &&
  new Int32Array(new SharedArrayBuffer(4));

/**
 * Returns the id of this agent (main thread or worker).
 *
 * It is drawn at random from 1 to 2^28 - 1 when the agent first loads this
 * package: agents have nothing in common from which they could number
 * themselves. Among 16 agents two are alike once in two million programs.
 *
 * @example Usage
 * ```ts
 * import { agentId } from "@lazyinit/lazyinit/atomics";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(agentId(), agentId());
 * ```
 *
 * @returns A positive integer, constant for the life of the agent.
 */
export function agentId(): number {
  return thisAgent;
}

/**
 * Returns whether this agent may block, that is call `Atomics.wait`.
 *
 * Workers may; so may the main threads of Deno, Node and Bun; a browser's main
 * thread may not. Never blocks itself.
 *
 * @example Usage
 * ```ts
 * import { canBlock, Mutex } from "@lazyinit/lazyinit/atomics";
 * import { assertEquals } from "@std/assert";
 *
 * const mutex = new Mutex();
 * const token = canBlock() ? mutex.lock() : await mutex.lockAsync();
 * assertEquals(token.unlock(), true);
 * ```
 *
 * @returns Whether a synchronous wait is possible here.
 */
export function canBlock(): boolean {
  try {
    // Pairs with nothing: the value never matches, so only the permission is asked for
    return Atomics.wait(probe, 0, 1, 0) === "not-equal";
  } catch {
    return false;
  }
}

/**
 * Announces to the other agents that this one lives, as long as it does.
 *
 * It holds a Web Lock that is named after its {@linkcode agentId} and that the
 * platform frees when the agent ends, however that comes about. Whoever waits
 * asynchronously for what this agent locks or begins to initialize from then on
 * notices its end and recovers it. A mutex that it has locked before is left out
 * until {@linkcode Mutex.markAnnounced} is called. Without an announcement, it takes
 * a call of `recover()`.
 *
 * It concerns agents whose locks the platform frees when they end: workers in Deno from
 * 2.9.0 on, workers and pages in browsers, as a page may be a frame in another one.
 * Elsewhere, and on Deno's main thread, with which its workers end anyway, the promise
 * resolves and nothing is announced. In Deno, a worker that has announced itself stays
 * alive until it is terminated or closes itself. A browser does not keep a page that has
 * announced itself for the way back (bfcache).
 *
 * Asynchronous initializers need no call: they are announced while they run, from
 * the moment on when the lock is granted, a turn of the event loop after they begin.
 * One that ends its agent sooner is noticed only if that has announced itself.
 *
 * Does not block. Call it when the worker starts: after asynchronous initializers,
 * the lock may be granted only when agents that have waited for those, and are
 * blocked by now, go on. The originals have nothing of the kind, as their threads
 * cannot end in the middle.
 *
 * @example Usage
 * ```ts
 * import { announceAgent, Mutex } from "@lazyinit/lazyinit/atomics";
 * import { assertEquals } from "@std/assert";
 *
 * // At the beginning of a worker
 * await announceAgent();
 *
 * // If the worker ends now, whoever waits by lockAsync() gets the mutex
 * using token = new Mutex().lock();
 * assertEquals(token.locked, true);
 * ```
 *
 * @returns A promise that resolves when the agent has been announced. It rejects if
 * the platform refuses the lock, as browsers do in an opaque origin; a later call
 * asks again.
 */
export function announceAgent(): Promise<void> {
  if (!canAnnounce) return Promise.resolve();
  return announcement ??= new Promise((resolve, reject) => {
    holdAgentLock(thisAgent, () => {
      holder |= MUTEX_ANNOUNCED;
      claimant |= STATE_ANNOUNCED;
      resolve();
    }, (error) => {
      // The next call asks anew
      announcement = undefined;
      reject(error);
    });
  });
}

function isAnnounced(): boolean {
  return (holder & MUTEX_ANNOUNCED) !== 0;
}

/**
 * Options of {@linkcode OnceState}.
 *
 * @example Usage
 * ```ts
 * import { OnceState, type OnceStateOptions } from "@lazyinit/lazyinit/atomics";
 * import { assertEquals } from "@std/assert";
 *
 * const options: OnceStateOptions = { namesOwner: true };
 * const state = new OnceState(new SharedArrayBuffer(16), 0, options);
 * state.begin();
 * assertEquals(state.ownedByThisAgent, true);
 * ```
 */
export interface OnceStateOptions {
  /**
   * Whether the state word itself names the agent that is initializing, for a
   * cell that has no mutex to tell. All agents must agree. `false` by default.
   */
  namesOwner?: boolean;
}

/**
 * Options of the asynchronous waits of {@linkcode Mutex} and {@linkcode OnceState}.
 *
 * @example Usage
 * ```ts
 * import { type AtomicsWaitAsyncOptions, Mutex } from "@lazyinit/lazyinit/atomics";
 * import { assertRejects } from "@std/assert";
 *
 * const mutex = new Mutex();
 * using _token = mutex.lock();
 * const options: AtomicsWaitAsyncOptions = { signal: AbortSignal.timeout(10) };
 * await assertRejects(() => mutex.lockAsync(options), DOMException);
 * ```
 */
export interface AtomicsWaitAsyncOptions {
  /** Ends the wait: the promise rejects with the signal's reason. */
  signal?: AbortSignal;
}

/**
 * The state word of a cell with its three phases, and the words beside it.
 *
 * Everything that a cell does to its header passes through here. The methods
 * check that a transition is legal, not that the caller is entitled to it:
 * {@linkcode OnceState.begin} elects one agent, and only that one may go on to
 * publish or roll back.
 *
 * @example Usage
 * ```ts
 * import { OnceState } from "@lazyinit/lazyinit/atomics";
 * import { assertEquals } from "@std/assert";
 *
 * const state = new OnceState();
 * if (state.begin()) {
 *   // write the value into memory that is shared, too
 *   state.publish();
 * }
 * assertEquals(state.phase, "initialized");
 * ```
 */
export class OnceState {
  /**
   * The size of the header, in bytes; it is aligned to 8.
   *
   * @example Usage
   * ```ts
   * import { OnceState } from "@lazyinit/lazyinit/atomics";
   * import { assertEquals } from "@std/assert";
   *
   * const buffer = new SharedArrayBuffer(2 * OnceState.byteLength);
   * const second = new OnceState(buffer, OnceState.byteLength);
   * assertEquals(second.byteOffset, 16);
   * ```
   */
  static readonly byteLength = 16;
  /**
   * Where in the header the owner word is, which may be a {@linkcode Mutex}, in bytes.
   *
   * @example Usage
   * ```ts
   * import { Mutex, OnceState } from "@lazyinit/lazyinit/atomics";
   * import { assertEquals } from "@std/assert";
   *
   * const state = new OnceState();
   * const mutex = new Mutex(state.buffer, OnceState.mutexOffset);
   * assertEquals(mutex.byteOffset, 4);
   * ```
   */
  static readonly mutexOffset = 4;

  /**
   * The memory that the header is in.
   *
   * @example Usage
   * ```ts
   * import { OnceState } from "@lazyinit/lazyinit/atomics";
   * import { assertEquals } from "@std/assert";
   *
   * const state = new OnceState();
   * state.begin();
   * // In another agent, to which the buffer was posted
   * assertEquals(new OnceState(state.buffer).phase, "initializing");
   * ```
   */
  readonly buffer: SharedArrayBuffer;
  /**
   * Where the header is in its buffer, in bytes.
   *
   * @example Usage
   * ```ts
   * import { OnceState } from "@lazyinit/lazyinit/atomics";
   * import { assertEquals } from "@std/assert";
   *
   * const state = new OnceState(new SharedArrayBuffer(64), 32);
   * assertEquals(state.byteOffset, 32);
   * ```
   */
  readonly byteOffset: number;
  readonly #words: Int32Array;
  readonly #index: number;
  readonly #namesOwner: boolean;
  #begun = 0;

  /**
   * Constructs a new instance over zeroed memory or over a header that exists.
   *
   * @param buffer The memory; 16 bytes of its own by default.
   * @param byteOffset Where the header begins, in bytes, a multiple of 8.
   * @param options What the words mean.
   * @throws {TypeError} If `buffer` is not a `SharedArrayBuffer`.
   * @throws {RangeError} If the header does not lie within the buffer or is misaligned.
   */
  constructor(
    buffer: SharedArrayBuffer = allocate(OnceState.byteLength),
    byteOffset: number = 0,
    options: OnceStateOptions = {},
  ) {
    assertShared(buffer);
    assertRange(buffer, byteOffset, OnceState.byteLength, 8);
    this.buffer = buffer;
    this.byteOffset = byteOffset;
    this.#words = wordsOf(buffer);
    this.#index = wordIndex(byteOffset);
    this.#namesOwner = options.namesOwner === true;
  }

  /**
   * The phase that the cell is in now. Never blocks.
   *
   * @example Usage
   * ```ts
   * import { OnceState } from "@lazyinit/lazyinit/atomics";
   * import { assertEquals } from "@std/assert";
   *
   * assertEquals(new OnceState().phase, "uninitialized");
   * ```
   *
   * @returns The phase.
   * @throws {LayoutMismatchError} If the word is none that a cell writes.
   */
  get phase(): Phase {
    return phaseOf(this.load());
  }

  /**
   * How many times the cell has been reset or taken from an owner that was declared
   * dead, modulo 2^29. Never blocks.
   *
   * @example Usage
   * ```ts
   * import { OnceState } from "@lazyinit/lazyinit/atomics";
   * import { assertEquals } from "@std/assert";
   *
   * const state = new OnceState();
   * state.begin();
   * state.publish();
   * state.reset();
   * assertEquals(state.generation, 1);
   * ```
   *
   * @returns The number of resets and recoveries.
   */
  get generation(): number {
    const word = this.load();
    return this.#namesOwner && phaseOf(word) === "initializing"
      // Pairs with the CAS of revoke()
      ? Atomics.load(this.#words, this.#index + GENERATION_WORD)
      : word >>> GENERATION_SHIFT;
  }

  /**
   * Returns the state word, to be judged by {@linkcode phaseOf} and to be waited
   * on. Never blocks.
   *
   * @example Usage
   * ```ts
   * import { OnceState, phaseOf } from "@lazyinit/lazyinit/atomics";
   * import { assertEquals } from "@std/assert";
   *
   * assertEquals(phaseOf(new OnceState().load()), "uninitialized");
   * ```
   *
   * @returns The word.
   */
  load(): number {
    // Pairs with the CAS of publish(): what was written before it can be read after this
    return Atomics.load(this.#words, this.#index);
  }

  /**
   * Returns whether the state word still is `word`, and orders every read before
   * this call ahead of the reset that would change it: the end of a seqlock's
   * read. Never blocks.
   *
   * @example Usage
   * ```ts
   * import { OnceState } from "@lazyinit/lazyinit/atomics";
   * import { assertEquals } from "@std/assert";
   *
   * const state = new OnceState();
   * const word = state.load();
   * assertEquals(state.confirm(word), true);
   * state.begin();
   * assertEquals(state.confirm(word), false);
   * ```
   *
   * @param word What {@linkcode OnceState.load} returned before the reads.
   * @returns Whether what was read in between is consistent.
   */
  confirm(word: number): boolean {
    // Pairs with the CAS of reset(): a load would not order the reads before it
    return Atomics.compareExchange(this.#words, this.#index, word, word) ===
      word;
  }

  /**
   * Claims the header for a layout. Idempotent, never blocks.
   *
   * @example Usage
   * ```ts
   * import { OnceState } from "@lazyinit/lazyinit/atomics";
   * import { assertEquals } from "@std/assert";
   *
   * const state = new OnceState();
   * assertEquals(state.layout, 0);
   * assertEquals(state.claim(7), true);
   * assertEquals(state.claim(8), false);
   * assertEquals(state.layout, 7);
   * ```
   *
   * @param layout The layout's hash, a 32-bit integer other than 0.
   * @returns Whether the header now is of that layout; if not, it is of another.
   */
  claim(layout: number): boolean {
    // Pairs with itself in the other agents: the first one decides
    const found = Atomics.compareExchange(
      this.#words,
      this.#index + LAYOUT_WORD,
      0,
      layout,
    );
    return found === 0 || found === (layout | 0);
  }

  /**
   * The layout that the header was claimed for, 0 if it was not. Never blocks.
   *
   * @example Usage
   * ```ts
   * import { OnceState } from "@lazyinit/lazyinit/atomics";
   * import { assertEquals } from "@std/assert";
   *
   * assertEquals(new OnceState().layout, 0);
   * ```
   *
   * @returns The layout's hash, a 32-bit integer.
   */
  get layout(): number {
    // Pairs with the CAS of claim()
    return Atomics.load(this.#words, this.#index + LAYOUT_WORD);
  }

  /**
   * Goes from uninitialized to initializing. Never blocks.
   *
   * @example Usage
   * ```ts
   * import { OnceState } from "@lazyinit/lazyinit/atomics";
   * import { assertEquals } from "@std/assert";
   *
   * const state = new OnceState();
   * assertEquals(state.begin(), true);
   * assertEquals(state.begin(), false);
   * ```
   *
   * @param word What {@linkcode OnceState.load} returned: in a later generation the
   * cell is left as it is. By default, that of now.
   * @returns Whether this call did so, and its agent now owns the slot; if not, the
   * cell is or was initialized or being initialized.
   * @throws {LayoutMismatchError} If the word is none that a cell writes.
   */
  begin(word?: number): boolean {
    const claim = this.#namesOwner ? claimant : INITIALIZING;
    // I1: pairs with the CAS of rollback(), reset(), revoke() and the other begin()s:
    // one wins. Tried first with the word of fresh memory, where it is the only operation;
    // no generation comes before that one
    const begun =
      Atomics.compareExchange(this.#words, this.#index, 0, claim) === 0;
    if (!begun) return this.#beginAnew(word);
    this.#begun = claim;
    return true;
  }

  /** Cold: the cell has waiters or a generation already, or is not uninitialized. */
  #beginAnew(word: number = this.load()): boolean {
    if (phaseOf(word) !== "uninitialized") return false;
    const claim = this.#namesOwner
      ? claimant
      : word & ~STATE_WAITERS | INITIALIZING;
    for (;;) {
      const waiters = word & STATE_WAITERS;
      // I1, I4 and I5: one wins, in its own generation, and the waiters bit stays as it is
      const found = Atomics.compareExchange(
        this.#words,
        this.#index,
        word,
        claim | waiters,
      );
      if (found === word) {
        this.#begun = claim;
        // Pairs with waitAsync(): who waits since before there was an owner may watch it now
        if (waiters !== 0 && isAnnounced()) this.wakeAll();
        return true;
      }
      if ((found ^ word) !== STATE_WAITERS) return false;
      word = found;
    }
  }

  /**
   * The state word, but for its waiters, that the last successful
   * {@linkcode OnceState.begin} of this object has written: by it a run is told from
   * a later one. Never blocks.
   *
   * @example Usage
   * ```ts
   * import { OnceState } from "@lazyinit/lazyinit/atomics";
   * import { assertEquals } from "@std/assert";
   *
   * const state = new OnceState();
   * state.begin();
   * assertEquals(state.owns(state.begun), true);
   * ```
   *
   * @returns The word; 0 if this object has never begun.
   */
  get begun(): number {
    return this.#begun;
  }

  /**
   * Returns whether the run that has begun with `begun` still owns the slot, that
   * is, whether nobody has declared its agent dead. Never blocks.
   *
   * @example Usage
   * ```ts
   * import { OnceState } from "@lazyinit/lazyinit/atomics";
   * import { assertEquals } from "@std/assert";
   *
   * const state = new OnceState();
   * state.begin();
   * const { begun } = state;
   * state.revoke();
   * assertEquals(state.owns(begun), false);
   * ```
   *
   * @param begun What {@linkcode OnceState.begun} was after the run's `begin()`.
   * @returns Whether that run may go on to publish or roll back.
   */
  owns(begun: number): boolean {
    return (this.load() & ~STATE_WAITERS) === begun;
  }

  /**
   * Goes from initializing to initialized and wakes all waiters. For the agent
   * that won {@linkcode OnceState.begin}, after it has written the whole value.
   * Never blocks.
   *
   * @example Usage
   * ```ts
   * import { OnceState } from "@lazyinit/lazyinit/atomics";
   * import { assertEquals } from "@std/assert";
   *
   * const state = new OnceState();
   * state.begin();
   * state.publish();
   * assertEquals(state.phase, "initialized");
   * ```
   *
   * @param begun Which run publishes; that of the last `begin()` of this object by
   * default.
   * @returns The state word, by which a cached value can be recognized.
   * @throws {OwnerLostError} If the run's agent was declared dead meanwhile.
   * @throws {Error} If this object has not begun.
   * @throws {LayoutMismatchError} If the word is none that a cell writes.
   */
  publish(begun: number = this.#begun): number {
    // I2: the value is whole, and its writes come before the CAS
    return this.#leave(begun, INITIALIZED);
  }

  /**
   * Goes from initializing back to uninitialized and wakes all waiters. For the
   * agent that won {@linkcode OnceState.begin}, after it has zeroed the slot.
   * Never blocks.
   *
   * @example Usage
   * ```ts
   * import { OnceState } from "@lazyinit/lazyinit/atomics";
   * import { assertEquals } from "@std/assert";
   *
   * const state = new OnceState();
   * state.begin();
   * state.rollback();
   * assertEquals(state.phase, "uninitialized");
   * ```
   *
   * @param begun Which run rolls back; that of the last `begin()` of this object by
   * default.
   * @throws {OwnerLostError} If the run's agent was declared dead meanwhile.
   * @throws {Error} If this object has not begun.
   * @throws {LayoutMismatchError} If the word is none that a cell writes.
   */
  rollback(begun: number = this.#begun): void {
    // I3: the slot is zero again, and its writes come before the CAS
    this.#leave(begun, UNINITIALIZED);
  }

  #leave(begun: number, phase: number): number {
    if (begun === 0) throw this.#notBegun();
    const generation = this.#namesOwner
      // Plain, as only revoke() writes it, and then the CAS fails
      ? this.#words[this.#index + GENERATION_WORD]!
      : begun >>> GENERATION_SHIFT;
    const next = generation << GENERATION_SHIFT | phase;
    // It fails if revoke() was here
    if (!this.#replace(begun, next)) throw this.#lost();
    this.#begun = 0;
    return next;
  }

  /**
   * Replaces the word and wakes all waiters, if it is `word`, with or without them.
   * Returns whether it was.
   */
  #replace(word: number, next: number): boolean {
    const idle = word & ~STATE_WAITERS;
    // I1 and I4: pairs with load() in every agent that reads or waits, and with confirm().
    // Tried first as if nobody waited
    return Atomics.compareExchange(this.#words, this.#index, idle, next) ===
        idle || this.#replaceAwaited(idle | STATE_WAITERS, next);
  }

  /** Cold: somebody waits, or the word has changed. */
  #replaceAwaited(word: number, next: number): boolean {
    // I1 and I4: as above. Once set, the waiters bit stays until the word is replaced
    const found = Atomics.compareExchange(this.#words, this.#index, word, next);
    if (found !== word) return false;
    this.wakeAll();
    return true;
  }

  /** Cold. */
  #lost(): OwnerLostError {
    return new OwnerLostError(
      `Cannot leave the initializing phase as this agent must own the cell: it was declared dead by recover(), and the cell is ${this.phase}`,
    );
  }

  /** Cold. */
  #notBegun(): Error {
    return new Error(
      `Cannot leave the initializing phase as this object must have entered it: the cell is ${this.phase}`,
    );
  }

  /**
   * Wakes everybody who waits, to look again. Never blocks.
   *
   * The transitions do so themselves; this is for a change elsewhere that waiters
   * want to know of, or in place of an agent that may have ended before it did.
   *
   * @example Usage
   * ```ts
   * import { OnceState } from "@lazyinit/lazyinit/atomics";
   * import { assertEquals } from "@std/assert";
   *
   * const state = new OnceState();
   * const woken = state.waitForChangeAsync(state.load());
   * state.wakeAll();
   * await woken;
   * assertEquals(state.phase, "uninitialized");
   * ```
   */
  wakeAll(): void {
    // I5: pairs with the wait() of everybody who has set the waiters bit
    Atomics.notify(this.#words, this.#index);
  }

  /**
   * Goes from initialized to uninitialized in the next generation. The caller
   * must keep other agents from {@linkcode OnceState.begin} until it has zeroed
   * the slot, as `MutexLazyInit` does with its mutex. Never blocks.
   *
   * @example Usage
   * ```ts
   * import { OnceState } from "@lazyinit/lazyinit/atomics";
   * import { assertEquals } from "@std/assert";
   *
   * const state = new OnceState();
   * assertEquals(state.reset(), false);
   * state.begin();
   * state.publish();
   * assertEquals(state.reset(), true);
   * ```
   *
   * @param word What {@linkcode OnceState.load} returned: if the cell has changed since,
   * but for its waiters, it is left as it is. By default, that of now.
   * @returns Whether this call did so.
   * @throws {LayoutMismatchError} If the word is none that a cell writes.
   */
  reset(word: number = this.load()): boolean {
    // I2 and I4: from the CAS on, confirm() fails
    return phaseOf(word) === "initialized" &&
      this.#replace(word, nextGeneration(word >>> GENERATION_SHIFT));
  }

  /**
   * Makes this agent the owner of a cell that names its owner in the state word, in
   * the place of an agent that has ended. It then is to zero the slot and to
   * {@linkcode OnceState.revoke}. Never blocks.
   *
   * @example Usage
   * ```ts
   * import { agentId, OnceState } from "@lazyinit/lazyinit/atomics";
   * import { assertEquals } from "@std/assert";
   *
   * const state = new OnceState(undefined, 0, { namesOwner: true });
   * state.begin();
   * // As another agent would, when this one has ended
   * assertEquals(state.takeOver(agentId()), true);
   * assertEquals(state.revoke(), true);
   * ```
   *
   * @param agentId The agent that has ended.
   * @returns Whether that agent was initializing the cell.
   */
  takeOver(agentId: number): boolean {
    let word = this.load();
    while (
      phaseOf(word) === "initializing" &&
      word >>> STATE_OWNER_SHIFT === agentId
    ) {
      // I1: pairs with the CAS of publish() and rollback() of the agent, should it live
      const found = Atomics.compareExchange(
        this.#words,
        this.#index,
        word,
        claimant | word & STATE_WAITERS,
      );
      if (found === word) return true;
      word = found;
    }
    return false;
  }

  /**
   * Goes to the next generation, and from initializing to uninitialized, and wakes all
   * waiters: whoever has begun, or was about to begin or to reset, can no longer. A
   * value that was published stays. For the agent that has taken over the mutex or, by
   * {@linkcode OnceState.takeOver}, the cell from an agent that has ended; a cell that
   * names another owner in the state word is left as it is. Never blocks.
   *
   * @example Usage
   * ```ts
   * import { OnceState, OwnerLostError } from "@lazyinit/lazyinit";
   * import { assertEquals, assertThrows } from "@std/assert";
   *
   * const state = new OnceState();
   * state.begin();
   * assertEquals(state.revoke(), true);
   * assertThrows(() => state.publish(), OwnerLostError);
   * assertEquals(state.generation, 1);
   * ```
   *
   * @param word What {@linkcode OnceState.load} returned: if the cell has changed since,
   * but for its waiters, it is left as it is. By default, that of now.
   * @returns Whether this call did so.
   * @throws {LayoutMismatchError} If the word is none that a cell writes.
   */
  revoke(word: number = this.load()): boolean {
    if (this.#namesOwner) return this.#revokeOwn(word);
    const phase = phaseOf(word) === "initialized" ? INITIALIZED : UNINITIALIZED;
    // I1, I2 and I4: the CAS of who was entitled fails from here on
    return this.#replace(
      word,
      nextGeneration(word >>> GENERATION_SHIFT) | phase,
    );
  }

  #revokeOwn(word: number): boolean {
    const { generation } = this;
    // After that was read, which others change only when the cell names them
    if (!this.ownedByThisAgent) return false;
    const next = nextGeneration(generation);
    // I4: pairs with the reads of publish(), rollback() and the getter. A CAS, as who
    // takes the cell over from this agent may come first
    Atomics.compareExchange(
      this.#words,
      this.#index + GENERATION_WORD,
      generation,
      next >>> GENERATION_SHIFT,
    );
    return this.#replace(word, next);
  }

  /**
   * Records which run of an initializer of this agent the cell is in. For the
   * agent that won {@linkcode OnceState.begin}. Never blocks.
   *
   * @example Usage
   * ```ts
   * import { OnceState } from "@lazyinit/lazyinit/atomics";
   * import { assertEquals } from "@std/assert";
   *
   * const state = new OnceState();
   * if (state.begin()) state.recordRun(7);
   * assertEquals(state.run, 7);
   * ```
   *
   * @param run A 32-bit integer of the agent's own making.
   */
  recordRun(run: number): void {
    // Plain, as who reads an older one will look again
    this.#words[this.#index + RUN_WORD] = run;
  }

  /**
   * Replaces what was recorded by {@linkcode OnceState.recordRun}, unless somebody
   * else has begun a run since. Never blocks.
   *
   * @example Usage
   * ```ts
   * import { OnceState } from "@lazyinit/lazyinit/atomics";
   * import { assertEquals } from "@std/assert";
   *
   * const state = new OnceState();
   * if (state.begin()) state.recordRun(7);
   * assertEquals(state.replaceRun(7, 8), true);
   * assertEquals(state.replaceRun(7, 9), false);
   * ```
   *
   * @param run What was recorded last.
   * @param replacement A 32-bit integer.
   * @returns Whether it was replaced.
   */
  replaceRun(run: number, replacement: number): boolean {
    // Pairs with the load of `run` in other agents
    return Atomics.compareExchange(
      this.#words,
      this.#index + RUN_WORD,
      run,
      replacement,
    ) === run;
  }

  /**
   * What was recorded last by {@linkcode OnceState.recordRun}, while the cell is
   * being initialized; nothing of meaning otherwise. Never blocks.
   *
   * @example Usage
   * ```ts
   * import { OnceState } from "@lazyinit/lazyinit/atomics";
   * import { assertEquals } from "@std/assert";
   *
   * assertEquals(new OnceState().run, 0);
   * ```
   *
   * @returns A 32-bit integer.
   */
  get run(): number {
    // Pairs with the CAS of replaceRun()
    return Atomics.load(this.#words, this.#index + RUN_WORD);
  }

  /**
   * Whether this agent is the one that is initializing. Never blocks.
   *
   * @example Usage
   * ```ts
   * import { OnceState } from "@lazyinit/lazyinit/atomics";
   * import { assertEquals } from "@std/assert";
   *
   * const state = new OnceState(undefined, 0, { namesOwner: true });
   * assertEquals(state.ownedByThisAgent, false);
   * state.begin();
   * assertEquals(state.ownedByThisAgent, true);
   * ```
   *
   * @returns Whether the state names this agent, or else the mutex of the cell does.
   * @throws {LayoutMismatchError} If the word is none that a cell writes.
   */
  get ownedByThisAgent(): boolean {
    if (!this.#namesOwner) {
      return isThisAgent(this.#words, this.#index + OWNER_WORD);
    }
    const word = this.load();
    return phaseOf(word) === "initializing" &&
      word >>> STATE_OWNER_SHIFT === thisAgent;
  }

  /**
   * The agent that is initializing a cell that names its owner in the state word,
   * if it has announced itself. Never blocks.
   *
   * @example Usage
   * ```ts
   * import { OnceState } from "@lazyinit/lazyinit/atomics";
   * import { assertEquals } from "@std/assert";
   *
   * const state = new OnceState(undefined, 0, { namesOwner: true });
   * assertEquals(state.announcedOwner, undefined);
   * ```
   *
   * @returns The id of the agent; `undefined` if there is none, or none that has
   * announced itself.
   */
  get announcedOwner(): number | undefined {
    const word = this.load();
    const announced = INITIALIZING | STATE_ANNOUNCED;
    return this.#namesOwner &&
        (word & (PHASE_MASK | STATE_ANNOUNCED)) === announced
      ? word >>> STATE_OWNER_SHIFT
      : undefined;
  }

  /**
   * Blocks until the cell is initialized, or for `timeout` ms.
   *
   * @example Usage
   * ```ts
   * import { OnceState } from "@lazyinit/lazyinit/atomics";
   * import { assertEquals } from "@std/assert";
   *
   * const state = new OnceState();
   * assertEquals(state.wait(1), false);
   * state.begin();
   * state.publish();
   * assertEquals(state.wait(), true);
   * ```
   *
   * @param timeout How long to wait at the most, in ms; for ever by default, and
   * 0 never blocks.
   * @returns Whether the cell is initialized; `false` if the time is up.
   * @throws {TypeError} If `timeout` is not a number, or the agent would have to
   * block where it may not.
   * @throws {RangeError} If `timeout` is negative or NaN.
   * @throws {LayoutMismatchError} If the word is none that a cell writes.
   */
  wait(timeout: number = Infinity): boolean {
    assertTimeout(timeout);
    const deadline = performance.now() + timeout;
    for (;;) {
      const word = this.load();
      if (phaseOf(word) === "initialized") return true;
      const left = deadline - performance.now();
      if (left <= 0) return false;
      if (!canBlock()) throw cannotBlock("waitAsync()");
      this.waitForChange(word, left);
    }
  }

  /**
   * Resolves when the cell is initialized. Does not block the agent, and keeps
   * its event loop alive.
   *
   * @example Usage
   * ```ts
   * import { OnceState } from "@lazyinit/lazyinit/atomics";
   * import { assertEquals } from "@std/assert";
   *
   * const state = new OnceState();
   * const initialized = state.waitAsync();
   * state.begin();
   * state.publish();
   * await initialized;
   * assertEquals(state.phase, "initialized");
   * ```
   *
   * @param options How to end the wait.
   * @returns A promise that rejects with the reason of an aborted signal.
   */
  async waitAsync(options: AtomicsWaitAsyncOptions = {}): Promise<void> {
    signalOf(options);
    for (;;) {
      const word = this.load();
      if (phaseOf(word) === "initialized") return;
      await this.waitForChangeAsync(word, options);
    }
  }

  /**
   * Blocks until the state word is no longer `word`, or for `timeout` ms. A
   * {@linkcode OnceState.begin} meanwhile does not end the wait.
   *
   * @example Usage
   * ```ts
   * import { OnceState } from "@lazyinit/lazyinit/atomics";
   * import { assertEquals } from "@std/assert";
   *
   * const state = new OnceState();
   * const word = state.load();
   * assertEquals(state.waitForChange(word, 1), false);
   * state.begin();
   * assertEquals(state.waitForChange(word), true);
   * ```
   *
   * @param word What {@linkcode OnceState.load} returned.
   * @param timeout How long to wait at the most, in ms; for ever by default.
   * @returns `false` if the time is up, `true` if the word has changed or, now
   * and then, for no reason.
   * @throws {TypeError} If `timeout` is not a number or the agent may not block.
   * @throws {RangeError} If `timeout` is negative or NaN.
   */
  waitForChange(word: number, timeout: number = Infinity): boolean {
    assertTimeout(timeout);
    if (!this.#announceWaiter(word)) return true;
    if (!canBlock()) throw cannotBlock("waitForChangeAsync()");
    // Pairs with the notify of publish(), rollback() and reset()
    return Atomics.wait(
      this.#words,
      this.#index,
      word | STATE_WAITERS,
      timeout,
    ) !== "timed-out";
  }

  /**
   * Resolves when the state word is no longer `word`; a {@linkcode OnceState.begin}
   * meanwhile does not end the wait. Does not block the agent, and keeps its event
   * loop alive.
   *
   * @example Usage
   * ```ts
   * import { OnceState } from "@lazyinit/lazyinit/atomics";
   * import { assertEquals } from "@std/assert";
   *
   * const state = new OnceState();
   * state.begin();
   * const changed = state.waitForChangeAsync(state.load());
   * state.publish();
   * await changed;
   * assertEquals(state.phase, "initialized");
   * ```
   *
   * @param word What {@linkcode OnceState.load} returned.
   * @param options How to end the wait.
   * @returns A promise that resolves when the word has changed or, now and then,
   * for no reason; it rejects with the reason of an aborted signal.
   */
  async waitForChangeAsync(
    word: number,
    options: AtomicsWaitAsyncOptions = {},
  ): Promise<void> {
    const signal = signalOf(options);
    signal?.throwIfAborted();
    if (!this.#announceWaiter(word)) return;
    // Pairs with the notify of publish(), rollback() and reset()
    await sleepAsync(this.#words, this.#index, word | STATE_WAITERS, signal);
  }

  /** Sets the waiters bit if the word still is `word`, and returns whether it was. */
  #announceWaiter(word: number): boolean {
    // I5: pairs with the CAS of publish(), rollback() and reset(), which take the bit along
    return Atomics.compareExchange(
      this.#words,
      this.#index,
      word,
      word | STATE_WAITERS,
    ) === word;
  }
}

/**
 * Returns the phase that a state word stands for.
 *
 * @example Usage
 * ```ts
 * import { OnceState, phaseOf } from "@lazyinit/lazyinit/atomics";
 * import { assertEquals } from "@std/assert";
 *
 * const state = new OnceState();
 * state.begin();
 * assertEquals(phaseOf(state.load()), "initializing");
 * ```
 *
 * @param word What {@linkcode OnceState.load} returned.
 * @returns The phase.
 * @throws {LayoutMismatchError} If the word is none that a cell writes.
 */
export function phaseOf(word: number): Phase {
  switch (word & PHASE_MASK) {
    case UNINITIALIZED:
      return "uninitialized";
    case INITIALIZING:
      return "initializing";
    case INITIALIZED:
      return "initialized";
    default:
      throw new LayoutMismatchError(
        `Cannot read the state of a cell as its phase must be 0, 1 or 2: current value is 3 in word ${
          word >>> 0
        }`,
      );
  }
}

/** The uninitialized word of the generation after this one. */
function nextGeneration(generation: number): number {
  return generation + 1 << GENERATION_SHIFT;
}

/** Creates a token; only a mutex that has just been locked may. */
let createToken: (
  words: Int32Array,
  index: number,
  word: number,
) => UnlockToken;
/** Uses a token up without unlocking anything. */
let useUp: (token: UnlockToken) => void;

/**
 * The proof that a {@linkcode Mutex} was locked, and the only way to unlock it.
 *
 * It is good for one unlock; used up, it does nothing. Nor does it when this agent was
 * declared dead and has lost the lock, even if it has locked the mutex again. The name
 * is that of TC39's structs proposal.
 *
 * @example Usage
 * ```ts
 * import { Mutex, type UnlockToken } from "@lazyinit/lazyinit/atomics";
 * import { assertEquals } from "@std/assert";
 *
 * const token: UnlockToken = new Mutex().lock();
 * assertEquals(token.unlock(), true);
 * assertEquals(token.unlock(), false);
 * ```
 */
export class UnlockToken implements Disposable {
  static {
    createToken = (...lock) => new UnlockToken(...lock);
    useUp = (token) => token.#words = undefined;
  }

  /** The words that the mutex is in; `undefined` when the token is used up. */
  #words: Int32Array | undefined;
  readonly #index: number;
  /** What the mutex was locked with. */
  readonly #word: number;

  private constructor(words: Int32Array, index: number, word: number) {
    this.#words = words;
    this.#index = index;
    this.#word = word;
  }

  /**
   * Whether this token still holds the lock. Never blocks.
   *
   * @example Usage
   * ```ts
   * import { Mutex } from "@lazyinit/lazyinit/atomics";
   * import { assertEquals } from "@std/assert";
   *
   * const token = new Mutex().lock();
   * assertEquals(token.locked, true);
   * ```
   *
   * @returns `true` until the token is used up, or this agent has lost the lock because
   * it was declared dead.
   */
  get locked(): boolean {
    const words = this.#words;
    // Pairs with the CAS of recover() in other agents
    return words !== undefined && this.#isOf(Atomics.load(words, this.#index));
  }

  /** Whether a word is that of the lock of this token, whoever waits and whatever is announced. */
  #isOf(word: number): boolean {
    return ((word ^ this.#word) & (OWNER_MASK | MUTEX_LOSSES)) === 0;
  }

  /**
   * Unlocks the mutex and wakes whoever waits for it. Never blocks.
   *
   * @example Usage
   * ```ts
   * import { Mutex } from "@lazyinit/lazyinit/atomics";
   * import { assertEquals } from "@std/assert";
   *
   * assertEquals(new Mutex().lock().unlock(), true);
   * ```
   *
   * @returns Whether this call unlocked it; `false` if the token was used up, or this
   * agent has lost the lock because it was declared dead.
   */
  unlock(): boolean {
    const words = this.#words;
    if (words === undefined) return false;
    this.#words = undefined;
    const expected = this.#word;
    // I6: pairs with the CAS of the next lock()
    const word = Atomics.compareExchange(
      words,
      this.#index,
      expected,
      expected & MUTEX_LOSSES,
    );
    return word === expected || this.#unlockContended(words, word);
  }

  /** Cold: the word has the waiters bit, or was announced since, or the lock is lost. */
  #unlockContended(words: Int32Array, word: number): boolean {
    while (this.#isOf(word)) {
      // I6: pairs with the CAS of the next lock(); the word of a lock that is another's stays
      const found = Atomics.compareExchange(
        words,
        this.#index,
        word,
        word & MUTEX_LOSSES,
      );
      if (found === word) {
        // I5: pairs with the wait() of everybody who set the bit that is now clear
        if (word & MUTEX_WAITERS) Atomics.notify(words, this.#index);
        return true;
      }
      word = found;
    }
    return false;
  }

  /**
   * Unlocks the mutex at the end of a `using` block.
   *
   * @example Usage
   * ```ts
   * import { Mutex } from "@lazyinit/lazyinit/atomics";
   * import { assertEquals } from "@std/assert";
   *
   * const mutex = new Mutex();
   * {
   *   using _token = mutex.lock();
   * }
   * assertEquals(mutex.lockIfAvailable()?.locked, true);
   * ```
   */
  [Symbol.dispose](): void {
    this.unlock();
  }
}

/**
 * A mutual exclusion of agents in one 32-bit word of shared memory.
 *
 * Not recursive and not fair: an unlock wakes all waiters, and the first that
 * comes takes the lock. Without contention locking and unlocking are one
 * compare-exchange each. It is held by an agent, not by a function: two
 * asynchronous functions of one agent exclude each other by
 * {@linkcode Mutex.lockAsync} only.
 *
 * The names are those of TC39's structs proposal, so that code can move to it.
 * {@linkcode Mutex.waitForUnlock} and its asynchronous form go beyond it.
 *
 * @example Usage
 * ```ts
 * import { Mutex } from "@lazyinit/lazyinit/atomics";
 * import { assertEquals } from "@std/assert";
 *
 * const mutex = new Mutex();
 * // In another agent: new Mutex(buffer, byteOffset), with these two
 * const { buffer, byteOffset } = mutex;
 * assertEquals([buffer.byteLength, byteOffset], [4, 0]);
 *
 * using _token = mutex.lock();
 * // Only one agent is here at a time
 * ```
 */
export class Mutex {
  /**
   * The size of a mutex, in bytes; it is aligned to as many.
   *
   * @example Usage
   * ```ts
   * import { Mutex } from "@lazyinit/lazyinit/atomics";
   * import { assertEquals } from "@std/assert";
   *
   * const buffer = new SharedArrayBuffer(2 * Mutex.byteLength);
   * const second = new Mutex(buffer, Mutex.byteLength);
   * assertEquals(second.byteOffset, 4);
   * ```
   */
  static readonly byteLength = 4;

  /**
   * The memory that the mutex is in.
   *
   * @example Usage
   * ```ts
   * import { Mutex } from "@lazyinit/lazyinit/atomics";
   * import { assertEquals } from "@std/assert";
   *
   * const mutex = new Mutex();
   * using _token = mutex.lock();
   * // In another agent, to which the buffer was posted
   * assertEquals(new Mutex(mutex.buffer).lockIfAvailable(), null);
   * ```
   */
  readonly buffer: SharedArrayBuffer;
  /**
   * Where the mutex is in its buffer, in bytes.
   *
   * @example Usage
   * ```ts
   * import { Mutex } from "@lazyinit/lazyinit/atomics";
   * import { assertEquals } from "@std/assert";
   *
   * assertEquals(new Mutex(new SharedArrayBuffer(64), 32).byteOffset, 32);
   * ```
   */
  readonly byteOffset: number;
  readonly #words: Int32Array;
  readonly #index: number;
  /** Of the last lock, so that it cannot unlock a later one of the same agent. */
  #token: UnlockToken | undefined = undefined;

  /**
   * Constructs a new instance over zeroed memory or over a mutex that exists.
   *
   * @param buffer The memory; 4 bytes of its own by default.
   * @param byteOffset Where the mutex is, in bytes, a multiple of 4.
   * @throws {TypeError} If `buffer` is not a `SharedArrayBuffer`.
   * @throws {RangeError} If the mutex does not lie within the buffer or is misaligned.
   */
  constructor(
    buffer: SharedArrayBuffer = allocate(Mutex.byteLength),
    byteOffset: number = 0,
  ) {
    assertShared(buffer);
    assertRange(buffer, byteOffset, Mutex.byteLength, Mutex.byteLength);
    this.buffer = buffer;
    this.byteOffset = byteOffset;
    this.#words = wordsOf(buffer);
    this.#index = wordIndex(byteOffset);
  }

  /**
   * Locks the mutex, and blocks as long as another agent holds it.
   *
   * @example Usage
   * ```ts
   * import { Mutex } from "@lazyinit/lazyinit/atomics";
   * import { assertEquals } from "@std/assert";
   *
   * const token = new Mutex().lock();
   * assertEquals(token.locked, true);
   * ```
   *
   * @returns The token that unlocks it.
   * @throws {TypeError} If this agent holds the mutex already, or would have to
   * block where it may not.
   */
  lock(): UnlockToken {
    return this.#tryLock() ?? this.#lockContended();
  }

  /** Cold: somebody holds the mutex. */
  #lockContended(): UnlockToken {
    if (this.heldByThisAgent) {
      throw new TypeError(
        "Cannot lock the mutex as this agent holds it already: unlock it first, or use lockAsync() instead",
      );
    }
    return this.#lockWithin(Infinity)!;
  }

  /**
   * Locks the mutex if that is possible at once or within `timeout` ms.
   *
   * @example Usage
   * ```ts
   * import { Mutex } from "@lazyinit/lazyinit/atomics";
   * import { assertEquals } from "@std/assert";
   *
   * const mutex = new Mutex();
   * assertEquals(mutex.lockIfAvailable()?.locked, true);
   * assertEquals(mutex.lockIfAvailable(), null);
   * ```
   *
   * @param timeout How long to block at the most, in ms; 0, the default, never blocks.
   * @returns The token that unlocks it; `null` if the time is up or this agent
   * holds the mutex already.
   * @throws {TypeError} If `timeout` is not a number, or the agent would have to
   * block where it may not.
   * @throws {RangeError} If `timeout` is negative or NaN.
   */
  lockIfAvailable(timeout: number = 0): UnlockToken | null {
    assertTimeout(timeout);
    const token = this.#tryLock();
    if (token !== null || timeout === 0 || this.heldByThisAgent) return token;
    return this.#lockWithin(timeout);
  }

  /**
   * Locks the mutex without blocking the agent, and keeps its event loop alive
   * while it waits.
   *
   * TC39's sketch of an asynchronous lock takes a callback to run under it; this
   * returns the token, which `using` disposes of as surely.
   *
   * If the holder has announced itself by {@linkcode announceAgent} before it locked
   * the mutex, or by {@linkcode Mutex.markAnnounced}, and ends, the lock is freed as by
   * {@linkcode Mutex.recover}.
   *
   * @example Usage
   * ```ts
   * import { Mutex } from "@lazyinit/lazyinit/atomics";
   * import { assertEquals } from "@std/assert";
   *
   * using token = await new Mutex().lockAsync();
   * assertEquals(token.locked, true);
   * ```
   *
   * @param options How to end the wait.
   * @returns A promise of the token that unlocks it; it rejects with the reason
   * of an aborted signal, and then the mutex is not locked.
   */
  async lockAsync(
    options: AtomicsWaitAsyncOptions = {},
  ): Promise<UnlockToken> {
    const signal = signalOf(options);
    for (;;) {
      signal?.throwIfAborted();
      const token = this.#tryLock();
      if (token !== null) return token;
      await watchAgentDuring(
        this.waitForUnlockAsync(options),
        this.announcedOwner,
        (agentId) => this.#recoverAnnounced(agentId),
      );
    }
  }

  #recoverAnnounced(agentId: number): void {
    // It may have unlocked and ended before it could wake anybody, or lock again unannounced
    if (this.announcedOwner === agentId) this.recover(agentId);
    else this.wakeAll();
  }

  /**
   * Whether an earlier call in this agent holds the mutex. Never blocks.
   *
   * @example Usage
   * ```ts
   * import { Mutex } from "@lazyinit/lazyinit/atomics";
   * import { assertEquals } from "@std/assert";
   *
   * const mutex = new Mutex();
   * using _token = mutex.lock();
   * assertEquals(mutex.heldByThisAgent, true);
   * ```
   *
   * @returns Whether the owner is this agent.
   */
  get heldByThisAgent(): boolean {
    return isThisAgent(this.#words, this.#index);
  }

  /**
   * Blocks until the mutex is unlocked, or for `timeout` ms, without locking it:
   * for those who may find that there is nothing left to do under the lock.
   *
   * @example Usage
   * ```ts
   * import { Mutex } from "@lazyinit/lazyinit/atomics";
   * import { assertEquals } from "@std/assert";
   *
   * const mutex = new Mutex();
   * assertEquals(mutex.waitForUnlock(), true);
   * using _token = mutex.lock();
   * assertEquals(mutex.waitForUnlock(1), false);
   * ```
   *
   * @param timeout How long to block at the most, in ms; for ever by default.
   * @returns `false` if the time is up, `true` if the mutex was unlocked; it may
   * be locked again by now.
   * @throws {TypeError} If `timeout` is not a number or the agent may not block.
   * @throws {RangeError} If `timeout` is negative or NaN.
   */
  waitForUnlock(timeout: number = Infinity): boolean {
    assertTimeout(timeout);
    const word = this.#announceWaiter();
    if (!isHeld(word)) return true;
    if (!canBlock()) throw cannotBlock("waitForUnlockAsync()");
    // Pairs with the notify of unlock()
    return Atomics.wait(this.#words, this.#index, word, timeout) !==
      "timed-out";
  }

  /**
   * Resolves when the mutex is unlocked, without locking it. Does not block the
   * agent, and keeps its event loop alive.
   *
   * @example Usage
   * ```ts
   * import { Mutex } from "@lazyinit/lazyinit/atomics";
   * import { assertEquals } from "@std/assert";
   *
   * const mutex = new Mutex();
   * const token = mutex.lock();
   * const unlocked = mutex.waitForUnlockAsync();
   * token.unlock();
   * await unlocked;
   * assertEquals(mutex.heldByThisAgent, false);
   * ```
   *
   * @param options How to end the wait.
   * @returns A promise that resolves when the mutex was unlocked or, now and then,
   * for no reason; it rejects with the reason of an aborted signal.
   */
  async waitForUnlockAsync(
    options: AtomicsWaitAsyncOptions = {},
  ): Promise<void> {
    const signal = signalOf(options);
    signal?.throwIfAborted();
    const word = this.#announceWaiter();
    if (!isHeld(word)) return;
    // Pairs with the notify of unlock()
    await sleepAsync(this.#words, this.#index, word, signal);
  }

  /**
   * Frees the lock of an agent that has ended and can no longer unlock it. Never
   * blocks, save for what `repair` does.
   *
   * What the mutex guards may be half changed: `repair` runs under the lock, which
   * this agent has taken over, before anybody else gets it. If the agent does live,
   * its token no longer unlocks anything, but nothing keeps it from going on. The
   * originals have no such call; Linux calls such mutexes robust.
   *
   * @example Usage
   * ```ts
   * import { agentId, Mutex } from "@lazyinit/lazyinit/atomics";
   * import { assertEquals } from "@std/assert";
   *
   * const mutex = new Mutex();
   * const token = mutex.lock();
   * // As another agent would, when this one has ended
   * assertEquals(mutex.recover(agentId()), true);
   * assertEquals(token.unlock(), false);
   * assertEquals(mutex.recover(agentId()), false);
   * ```
   *
   * @param agentId The agent that has ended, as its own `agentId()` told.
   * @param repair Brings what the mutex guards in order. If it throws, the lock is
   * freed all the same, and the error comes out of this call.
   * @returns Whether that agent held the lock.
   * @throws {TypeError} If `agentId` is not a number or `repair` not a function.
   * @throws {RangeError} If `agentId` is not a positive integer.
   */
  recover(agentId: number, repair: () => void = () => {}): boolean {
    assertAgentId(agentId);
    assertFunction(repair, "repair", "recover the mutex");
    try {
      const token = this.#takeOver(agentId);
      if (token === null) return false;
      try {
        repair();
      } finally {
        token.unlock();
      }
      return true;
    } finally {
      this.wakeAll();
    }
  }

  /** Locks the mutex in the place of the agent that holds it. */
  #takeOver(agentId: number): UnlockToken | null {
    let word = Atomics.load(this.#words, this.#index);
    while ((word & OWNER_MASK) === agentId) {
      const lock = holder | word + MUTEX_LOSS & MUTEX_LOSSES;
      // I6: pairs with the CAS of unlock() in the agent, should it live
      const found = Atomics.compareExchange(
        this.#words,
        this.#index,
        word,
        lock | word & MUTEX_WAITERS,
      );
      if (found === word) return this.#createToken(lock);
      word = found;
    }
    return null;
  }

  /**
   * Wakes everybody who waits, to look again. Never blocks.
   *
   * An unlock does so itself; this is in place of an agent that may have ended
   * before it did.
   *
   * @example Usage
   * ```ts
   * import { Mutex } from "@lazyinit/lazyinit/atomics";
   * import { assertEquals } from "@std/assert";
   *
   * const mutex = new Mutex();
   * using _token = mutex.lock();
   * const woken = mutex.waitForUnlockAsync();
   * mutex.wakeAll();
   * await woken;
   * assertEquals(mutex.heldByThisAgent, true);
   * ```
   */
  wakeAll(): void {
    // I5: pairs with the wait() of everybody who has set the waiters bit
    Atomics.notify(this.#words, this.#index);
  }

  /**
   * Marks the mutex, which this agent holds, as that of an agent that has announced
   * itself, and wakes everybody who waits, so that they watch it. Never blocks.
   *
   * For a lock that was taken before {@linkcode announceAgent} has resolved; a later
   * one is marked. Does nothing where that announces nothing. Without that call it
   * would say too much: asynchronous initializers are announced only while they run.
   *
   * @example Usage
   * ```ts
   * import { agentId, announceAgent, Mutex } from "@lazyinit/lazyinit/atomics";
   * import { assertEquals } from "@std/assert";
   *
   * const mutex = new Mutex();
   * using _token = mutex.lock();
   * await announceAgent();
   * const isMarked = mutex.markAnnounced();
   * assertEquals(mutex.announcedOwner, isMarked ? agentId() : undefined);
   * ```
   *
   * @returns Whether the mutex is marked: this agent holds it, and is announced.
   */
  markAnnounced(): boolean {
    // I8: otherwise others would take the mutex from this agent at once
    if (!holdsAgentLock()) return false;
    let word = Atomics.load(this.#words, this.#index);
    while ((word & OWNER_MASK) === thisAgent) {
      // Pairs with the load of announcedOwner
      const found = Atomics.compareExchange(
        this.#words,
        this.#index,
        word,
        word | MUTEX_ANNOUNCED,
      );
      if (found === word) {
        this.wakeAll();
        return true;
      }
      word = found;
    }
    return false;
  }

  /**
   * The agent that holds the mutex, if it has announced itself. Never blocks.
   *
   * @example Usage
   * ```ts
   * import { Mutex } from "@lazyinit/lazyinit/atomics";
   * import { assertEquals } from "@std/assert";
   *
   * assertEquals(new Mutex().announcedOwner, undefined);
   * ```
   *
   * @returns The id of the agent; `undefined` if there is none, or none that has
   * announced itself.
   */
  get announcedOwner(): number | undefined {
    // Pairs with the CAS of lock() and markAnnounced()
    const word = Atomics.load(this.#words, this.#index);
    return word & MUTEX_ANNOUNCED ? word & OWNER_MASK : undefined;
  }

  #tryLock(): UnlockToken | null {
    // I6: pairs with the CAS of unlock(): what its holder wrote can be read after this
    const found = Atomics.compareExchange(
      this.#words,
      this.#index,
      UNLOCKED,
      holder,
    );
    return found === UNLOCKED
      ? this.#createToken(holder)
      : this.#tryLockAnew(found);
  }

  /** Cold: the mutex is held, or was taken from a holder before. */
  #tryLockAnew(word: number): UnlockToken | null {
    if (isHeld(word)) return null;
    const lock = holder | word & MUTEX_LOSSES;
    // I6: as above
    return Atomics.compareExchange(this.#words, this.#index, word, lock) ===
        word
      ? this.#createToken(lock)
      : null;
  }

  #createToken(lock: number): UnlockToken {
    // Whoever has just locked the mutex lost the lock before, if it still has a token
    if (this.#token !== undefined) useUp(this.#token);
    return this.#token = createToken(this.#words, this.#index, lock);
  }

  #lockWithin(timeout: number): UnlockToken | null {
    const deadline = performance.now() + timeout;
    for (
      let left = timeout;
      left > 0;
      left = deadline - performance.now()
    ) {
      if (!canBlock()) throw cannotBlock("lockAsync()");
      this.waitForUnlock(left);
      const token = this.#tryLock();
      if (token !== null) return token;
    }
    return null;
  }

  /** Sets the waiters bit, if there is a holder, and returns the word, to sleep on if there is. */
  #announceWaiter(): number {
    let word = Atomics.load(this.#words, this.#index);
    while (isHeld(word)) {
      const announced = word | MUTEX_WAITERS;
      // I5: pairs with the CAS of unlock(), which takes the bit along
      const found = Atomics.compareExchange(
        this.#words,
        this.#index,
        word,
        announced,
      );
      if (found === word) return announced;
      word = found;
    }
    return word;
  }
}

/** Whether a mutex word names a holder. */
function isHeld(word: number): boolean {
  return (word & OWNER_MASK) !== 0;
}

/** Whether the owner word at `index` names this agent, which no other agent writes there. */
function isThisAgent(words: Int32Array, index: number): boolean {
  // Pairs with nothing: an agent sees its own writes
  return (Atomics.load(words, index) & OWNER_MASK) === thisAgent;
}

/**
 * Sleeps until somebody notifies the word, it is not `value`, or some time has
 * gone by, without blocking the agent.
 */
function sleepAsync(
  words: Int32Array,
  index: number,
  value: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const timeout = Atomics.waitAsync === undefined ? POLL_INTERVAL : MAX_SLEEP;
    // A pending waitAsync does not keep the event loop alive: this timer does
    const timer = setTimeout(wake, timeout);
    signal?.addEventListener("abort", abort);

    function cleanUp(): void {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
    }
    function wake(): void {
      cleanUp();
      resolve();
    }
    // What is left of an aborted wait is harmless: wake-ups are broadcast
    function abort(): void {
      cleanUp();
      reject(signal!.reason);
    }

    if (Atomics.waitAsync === undefined) return;
    // Pairs with the notify of whoever replaces the word
    const sleep = Atomics.waitAsync(words, index, value, timeout);
    if (sleep.async) sleep.value.then(wake);
    else wake();
  });
}
