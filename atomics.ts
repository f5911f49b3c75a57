// Copyright 2026 the lazyinit authors. MIT license.
// This module is browser compatible.

/*
 * The protocol of a cell: which agent may touch which bytes when. It is a lock that
 * also says whether there is a value. It is not a queue: it promises progress, not
 * fairness.
 *
 * THE WORDS (32 bits each; the slot follows)
 *
 *   word 0  state       bits 0-1 phase, bit 2 waiters
 *                       initializing: bit 3 announced, bits 4-31 the owner's agent id
 *                       otherwise: bits 3-31 the generation
 *   word 1  generation  for the time when word 0 has no room for it
 *   words 2 to 5        the layout (`_layout.ts`), the run (`_running.ts`), the probe
 *                       that finds deadlocks (`_deadlock.ts`), how many bytes of the slot
 *                       are in use (`_value.ts`)
 *
 * All-zero memory means unclaimed, uninitialized and unlocked, as it is what
 * SharedArrayBuffer and WebAssembly.Memory start from: placing a cell needs no store
 * that another agent could see half done.
 *
 * THE STATE. "initializing" is the lock: the state word of a MutexLazyInit is a futex
 * mutex that also says whether there is a value. (CAS is Atomics.compareExchange)
 *
 *                       begin(): CAS
 *     ┌────────────────────────────────────────────────────────┐
 *     │                                                        ▼
 *   uninitialized ◀─────────────────────────────────────── initializing ◀─┐ recover(),
 *     generation        rollback(): CAS, notify all          by an owner ──┘ first half:
 *                       reset() and recover(), second half:    │     ▲       CAS, another
 *                         generation + 1, CAS, notify all      │     │       owner
 *                                                              │     │
 *                                  publish(): CAS, notify all  ▼     │ reset(), first half:
 *                                                          initialized   CAS
 *                                                            generation
 *
 *   uninitialized  no agent reads or writes the slot
 *   initializing   the owner reads and writes the slot
 *   initialized    every agent reads the slot, no agent writes it
 *
 * INVARIANTS
 *
 *   I1  An agent writes the slot, or words 1 and 3 to 5, if and only if the state word
 *       names it.
 *   I2  The phase is "initialized" if and only if the slot holds a whole value.
 *   I3  The slot of an uninitialized cell is all zero.
 *   I4  The generation grows if and only if a reset or a recovery ends. So two equal state
 *       words in phase "initialized" mean the same value.
 *   I5  A run is its owner and its generation. While the state word names the owner and
 *       word 1 is that generation, the run owns the cell. An agent that takes the cell
 *       from its owner changes word 1 before the owner could take it again, so a run that
 *       has lost the cell never publishes, rolls back or empties it.
 *   I6  An agent sleeps on a word only while the waiters bit is set in that word, or
 *       while the agent that cleared the bit is about to notify all, or has ended before it
 *       could. In the last case recover() wakes the sleeper, as it notifies even if there
 *       is nothing to recover.
 *   I7  A word says "announced" only while its owner holds its Web Lock or has ended.
 *   I8  A mutex word names its holder if and only if the mutex is held.
 *
 * NO LOST WAKE-UP (I6). A sleeper sets the waiters bit by a CAS on the word that it has
 * judged, then sleeps by wait(word, that word with the bit). An agent that replaces a word
 * in which the bit is set notifies all. The exception is an agent that takes the cell: that
 * ends no wait, so the agent keeps the bit. If the replacement comes before the CAS, the
 * CAS fails; between CAS and wait, wait answers "not-equal"; after it, notify finds the
 * sleeper. No wake-up is handed to one waiter alone: notify wakes all, so a waiter that was
 * aborted, has timed out, or sits in a busy agent cannot swallow a wake-up that another one
 * needs.
 *
 * MEMORY MODEL. Atomics are sequentially consistent, and an atomic that reads what another
 * wrote synchronizes with it. Such pairs order any two plain accesses that conflict, so
 * there is no data race. For a program without data races, ECMAScript guarantees sequential
 * consistency. What the explorer has shown for every order of steps therefore holds on
 * every machine. The exceptions, by name, and why each is sound:
 *
 *   stale-state   The read path and take() read the state word plainly. The read path
 *                 returns a value that the word of an earlier moment stands for, and no
 *                 order puts the reset before the read. take() lets its CAS decide.
 *   torn-decode   Decoding may race with the zeroing of a reset. confirm(), a CAS of the
 *                 state word with itself, follows each decode. If it finds the old word,
 *                 the reset takes the cell later in the order of that word's
 *                 read-modify-writes, each of which synchronizes with the next, so the
 *                 decode happens before the zeroing. Otherwise the value is dropped. A
 *                 plain or atomic load in place of that CAS orders nothing before it.
 *   unclaimed     Placing a cell reads header and slot to learn whether all is zero. If
 *                 not, a CAS of the layout word shows whether another agent has just
 *                 claimed the memory.
 *   lost-owner    An agent that was declared dead and lives may still write to the slot
 *                 and words 3 to 5 until its next look at the state word, and read word
 *                 1. If it has taken the cell again, it reads the new word 1: the CAS by
 *                 which it took the cell synchronizes with the one that gave it back.
 *   user          getUnchecked(), getMut() and views that outlive a reset are in the
 *                 caller's hands.
 *
 * THE TEMPTING WRONG VERSION sets "initialized" by the CAS that claims the cell and
 * writes the value next. A reader between the two sees the flag and memory that was
 * never written; an initializer that throws there leaves it so for ever.
 *
 * NOTHING MAY FAIL between the CAS that takes a cell and the CAS that gives it back, not
 * even for lack of stack. take() therefore first asks for more stack than giving back
 * needs, which is a few frames and built-ins, all compiled earlier. The token of a mutex is
 * made before the CAS that locks it.
 *
 * A RESET MAY TAKE SEVERAL TURNS of its agent's event loop (`_resetting.ts`). The agent
 * owns the cell all that time, and word 5 says what is left to zero. It waits for nothing
 * meanwhile, as an agent that is about to block finishes its resets first.
 *
 * A CRASH leaves: uninitialized, a cell as good as new; initializing, a cell that stays
 * so and names the owner; initialized, a cell that every agent can read; a held mutex,
 * one that stays held by that id. recover() undoes the second and the last. It first
 * replaces the word that names the dead agent with one that names its own. So of several
 * agents that recover, one does the work, and the word names that one if it also ends. An
 * agent that was declared dead and lives fails at its next CAS (I5, I8).
 *
 * THE GENERATION WRAPS after 2^29 resets and recoveries. An agent would have to keep a
 * cached value unread, or an initializer running, for exactly that many to take one for
 * the other. The count of how often a mutex was taken from its holder wraps after 4. A
 * token that has lost its lock would have to be kept through exactly that many to unlock a
 * lock that its agent holds through another object.
 */

/**
 * The primitives that cells are made of: a three-phase state word, a mutex in one word,
 * and what an agent knows about itself.
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

import { canBlock, isAnnounced, thisAgent } from "./_agent.ts";
import {
  assertAgentId,
  assertFunction,
  assertTimeout,
  cannotBlock,
  signalOf,
  throwIfAborted,
} from "./_checks.ts";
import { now } from "./_clock.ts";
import { allocate, wordIndex, wordsAt } from "./_memory.ts";
import { finishResets } from "./_resetting.ts";
import { hasLine, inLine, sleepAsync, wakeTasks } from "./_waiting.ts";
import { LayoutMismatchError, OwnerLostError } from "./errors.ts";

export { agentId, announceAgent, canBlock } from "./_agent.ts";

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

/** No value, and no agent is making one. */
const UNINITIALIZED = 0;
/** One agent owns the cell. */
const INITIALIZING = 1;
/** The slot holds the value. */
const INITIALIZED = 2;
const PHASE_MASK = 3;
/** An agent may sleep on the state word. */
const STATE_WAITERS = 1 << 2;
const GENERATION_SHIFT = 3;
const GENERATION_MASK = -1 >>> GENERATION_SHIFT;
/** The owner has announced itself. */
const STATE_ANNOUNCED = 1 << 3;
const OWNER_SHIFT = 4;
/** What names the owner, whether it has announced itself or an agent waits. */
const OWNED_MASK = ~(STATE_WAITERS | STATE_ANNOUNCED);

/** The state word of a cell that this agent owns, but for its waiters and announcement. */
const OWNED = thisAgent << OWNER_SHIFT | INITIALIZING;

const GENERATION_WORD = 1;

/** What {@linkcode OnceState.take} returns if it takes nothing: no word of a cell. */
const NOT_TAKEN = -1;

/** No agent holds the mutex, and it was never taken from a holder. */
const UNLOCKED = 0;
const HOLDER_MASK = (1 << 28) - 1;
/** The holder of the mutex has announced itself. */
const MUTEX_ANNOUNCED = 1 << 28;
/** How often the mutex was taken from its holder: it distinguishes a lost lock from a later one. */
const MUTEX_LOSSES = 3 << 29;
const MUTEX_LOSS = 1 << 29;
/** An agent may sleep on the mutex word. */
const MUTEX_WAITERS = 1 << 31;

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
  signal?: AbortSignal | null;
}

/**
 * The state word of a cell with its three phases, and the generation.
 *
 * {@linkcode OnceState.begin} elects one agent, which owns what the state guards until
 * it calls {@linkcode OnceState.publish} or {@linkcode OnceState.rollback}. The kernel's
 * and the crate's cells keep the same three states.
 *
 * @example Usage
 * ```ts
 * import { OnceState } from "@lazyinit/lazyinit/atomics";
 * import { assertEquals } from "@std/assert";
 *
 * const state = new OnceState();
 * if (state.begin()) {
 *   // Write the value into other shared memory
 *   state.publish();
 * }
 * assertEquals(state.phase, "initialized");
 * ```
 */
export class OnceState {
  /**
   * The size of the header, in bytes. A header is aligned to 8 bytes.
   *
   * @example Usage
   * ```ts
   * import { OnceState } from "@lazyinit/lazyinit/atomics";
   * import { assertEquals } from "@std/assert";
   *
   * const buffer = new SharedArrayBuffer(2 * OnceState.byteLength);
   * const second = new OnceState(buffer, OnceState.byteLength);
   * assertEquals(second.byteOffset, 24);
   * ```
   */
  static readonly byteLength = 24;

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
  /** The words of {@linkcode OnceState.buffer}, … */
  protected readonly words: Int32Array;
  /** … and which of them is the state. */
  protected readonly index: number;
  /** The generation in which this object has begun; -1 if it has not. */
  #begun = -1;

  /**
   * Constructs a new instance over zeroed memory or over a header that exists.
   *
   * @param buffer The memory; 24 bytes of its own by default.
   * @param byteOffset Where the header begins, in bytes, a multiple of 8.
   * @throws {TypeError} If `buffer` is not a `SharedArrayBuffer`.
   * @throws {RangeError} If the header does not lie within the buffer or is misaligned.
   */
  constructor(
    buffer: SharedArrayBuffer = allocate(OnceState.byteLength),
    byteOffset: number = 0,
  ) {
    this.words = wordsAt(buffer, byteOffset, OnceState.byteLength, 8);
    this.buffer = buffer;
    this.byteOffset = byteOffset;
    this.index = wordIndex(byteOffset);
  }

  /**
   * The phase that the cell is in now. Never blocks.
   *
   * It is also `"initializing"` during a reset or a recovery.
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
   * @throws {LayoutMismatchError} If the memory has been overwritten.
   */
  get phase(): Phase {
    return phaseOf(this.load());
  }

  /**
   * How many times the cell has been reset or recovered, modulo 2^29. Never blocks.
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
   * @throws {LayoutMismatchError} If the memory has been overwritten.
   */
  get generation(): number {
    const word = this.load();
    return phaseOf(word) === "initializing"
      ? this.#loadGeneration()
      : word >>> GENERATION_SHIFT;
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
   * @returns Whether this call did so, and its agent now owns the cell.
   * @throws {LayoutMismatchError} If the memory has been overwritten.
   */
  begin(): boolean {
    const generation = this.tryBegin();
    if (generation === NOT_TAKEN) return false;
    this.#begun = generation;
    return true;
  }

  /**
   * Goes from initializing to initialized and wakes all waiters. Never blocks.
   *
   * Call it on the object that won {@linkcode OnceState.begin}, after the complete
   * value has been written.
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
   * @throws {OwnerLostError} If `recover()` has declared this agent dead meanwhile.
   * @throws {Error} If this object has not begun.
   */
  publish(): void {
    if (this.publishRun(this.#end()) === undefined) {
      throw this.lost("leave the initializing phase of");
    }
  }

  /**
   * Goes from initializing back to uninitialized and wakes all waiters. Never blocks.
   *
   * Call it on the object that won {@linkcode OnceState.begin}, after everything that
   * was written is zeroed again.
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
   * @throws {OwnerLostError} If `recover()` has declared this agent dead meanwhile.
   * @throws {Error} If this object has not begun.
   */
  rollback(): void {
    if (!this.rollbackRun(this.#end())) {
      throw this.lost("leave the initializing phase of");
    }
  }

  /** The generation in which this object has begun, which it ends. */
  #end(): number {
    const generation = this.#begun;
    if (generation === NOT_TAKEN) {
      throw new Error(
        `Cannot leave the initializing phase as this object must have entered it by begin(): the cell is ${this.phase}`,
      );
    }
    this.#begun = NOT_TAKEN;
    return generation;
  }

  /**
   * Goes from initialized to uninitialized in the next generation. Never blocks.
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
   * @returns Whether this call did so.
   * @throws {OwnerLostError} If `recover()` has declared this agent dead meanwhile.
   * @throws {LayoutMismatchError} If the memory has been overwritten.
   */
  reset(): boolean {
    const generation = this.tryBeginReset();
    if (generation === NOT_TAKEN) return false;
    if (this.empty(generation)) return true;
    throw this.lost("reset");
  }

  /**
   * Takes the cell from an agent that has ended while it was initializing or resetting
   * it: the cell is uninitialized again, in the next generation. Never blocks.
   *
   * All waiters wake, even if there is nothing to recover. If the agent is in fact still
   * running, its next call for that run fails with an {@linkcode OwnerLostError}.
   *
   * @example Usage
   * ```ts
   * import { agentId, OnceState, OwnerLostError } from "@lazyinit/lazyinit";
   * import { assertEquals, assertThrows } from "@std/assert";
   *
   * const state = new OnceState();
   * state.begin();
   * // As another agent would, when this one has ended
   * assertEquals(state.recover(agentId()), true);
   * assertThrows(() => state.publish(), OwnerLostError);
   * assertEquals(state.generation, 1);
   * ```
   *
   * @param agentId The agent that has ended, as returned by `agentId()` in that agent.
   * @returns Whether that agent owned the cell.
   * @throws {TypeError} If `agentId` is not a number.
   * @throws {RangeError} If `agentId` is not a positive integer.
   * @throws {LayoutMismatchError} If the memory has been overwritten.
   */
  recover(agentId: number): boolean {
    assertAgentId(agentId);
    const taken = this.take(OWNED_MASK, ownedBy(agentId)) !== NOT_TAKEN;
    if (taken) this.abandon();
    // If this fails, another agent has declared this one dead and does the rest
    if (taken) this.empty(this.#loadGeneration());
    // I6: in the place of an agent that has ended before it could
    this.notifyAll();
    return taken;
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
   * @param timeout How long to wait at most, in ms; for ever by default, and
   * 0 never blocks.
   * @returns Whether the cell is initialized; `false` if the time is up.
   * @throws {TypeError} If `timeout` is not a number, or the call would have to block
   * where the agent may not.
   * @throws {RangeError} If `timeout` is negative or NaN.
   * @throws {LayoutMismatchError} If the memory has been overwritten.
   */
  wait(timeout: number = Infinity): boolean {
    assertTimeout(timeout);
    const end = now() + timeout;
    for (let left = timeout;; left = end - now()) {
      const word = this.load();
      if (phaseOf(word) === "initialized") return true;
      if (left <= 0) return false;
      if (this.sleep(word, left, "waitAsync()") === "timed-out") {
        return this.phase === "initialized";
      }
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
  async waitAsync(options?: AtomicsWaitAsyncOptions): Promise<void> {
    const signal = signalOf(options);
    for (;;) {
      const word = this.load();
      if (phaseOf(word) === "initialized") return;
      throwIfAborted(signal);
      await this.sleepAsync(word, signal);
    }
  }

  /** How errors refer to the cell. */
  protected get label(): string {
    return "the cell";
  }

  /** The error of a run that has lost the cell when it was about to do that. */
  protected lost(action: string): OwnerLostError {
    // Throws a different error if the memory has been overwritten
    phaseOf(this.load());
    return new OwnerLostError(
      `Cannot ${action} ${this.label} as this agent must own the cell: it was declared dead by recover() meanwhile`,
    );
  }

  /** The state word, to be judged and to sleep on. */
  protected load(): number {
    // Pairs with the CAS of #leave(): what was written before that can be read after this
    return Atomics.load(this.words, this.index);
  }

  /** The state word, if the cell is initialized. */
  protected loadInitialized(): number | undefined {
    const word = this.load();
    return phaseOf(word) === "initialized" ? word : undefined;
  }

  /** Whether the state still is `word`: the end of a read of the slot (torn-decode). */
  protected confirm(word: number): boolean {
    // Pairs with the CAS of take() in a reset: a load would not order the reads before it
    return Atomics.compareExchange(this.words, this.index, word, word) === word;
  }

  /** Begins, and returns the generation of the run, or -1. */
  protected tryBegin(): number {
    const word = this.take(PHASE_MASK, UNINITIALIZED);
    return word === NOT_TAKEN ? NOT_TAKEN : word >>> GENERATION_SHIFT;
  }

  /** Begins a reset, and returns the generation that it ends, or -1. */
  protected tryBeginReset(): number {
    // I2: a reader that has the old word fails to confirm from here on
    const word = this.take(PHASE_MASK, INITIALIZED);
    return word === NOT_TAKEN ? NOT_TAKEN : word >>> GENERATION_SHIFT;
  }

  /** As {@linkcode OnceState.empty}, in a later turn, which may have less stack left. */
  protected emptyLater(generation: number): boolean {
    useStack(false);
    // I5: also by the generation, as this agent may have lost the cell and begun anew
    return this.owns(generation) && this.empty(generation);
  }

  /**
   * Makes this agent the owner of the cell if those bits of the state word are `bits`, and
   * returns the word that it replaces.
   */
  protected take(mask: number, bits: number): number {
    useStack(false);
    // Plain (stale-state): a word that does not fit is loaded again
    const word = this.words[this.index]!;
    return this.#take((word & mask) === bits ? word : this.load(), mask, bits);
  }

  #take(word: number, mask: number, bits: number): number {
    const { words, index } = this;
    while ((word & mask) === bits) {
      const waiters = word & STATE_WAITERS;
      // I1: pairs with the CAS of all others that take or leave: one wins. I6: the waiters
      // bit stays as it is
      const found = Atomics.compareExchange(
        words,
        index,
        word,
        claimant() | waiters,
      );
      if (found === word) {
        // Those that have waited since before there was an owner may now watch this one
        if (waiters !== 0 && isAnnounced()) Atomics.notify(words, index);
        return word;
      }
      word = found;
    }
    phaseOf(word);
    return NOT_TAKEN;
  }

  /** Publishes the run of this agent that began in that generation; returns the state word. */
  protected publishRun(generation: number): number | undefined {
    const word = generation << GENERATION_SHIFT | INITIALIZED;
    return this.#leave(generation, word) ? word : undefined;
  }

  /** Rolls that run back, and returns whether it still owned the cell. */
  protected rollbackRun(generation: number): boolean {
    return this.#leave(generation, generation << GENERATION_SHIFT);
  }

  /** Gives the cell back if that run owns it. Calls nothing but built-ins: see the top. */
  #leave(generation: number, next: number): boolean {
    const { words, index } = this;
    // I5. Plain (lost-owner): if the state names this agent, nothing can change the word
    // but an agent that takes the cell later, and then the CAS below fails
    if (words[index + GENERATION_WORD] !== generation) return false;
    // Tried first as if no agent waited
    let word = OWNED;
    for (;;) {
      // I2 to I4: what was written comes before this. Pairs with the load() of readers and
      // waiters, and with take()
      const found = Atomics.compareExchange(words, index, word, next);
      if (found === word) {
        // I6: pairs with the wait of each agent that has set the bit
        if ((word & STATE_WAITERS) !== 0) Atomics.notify(words, index);
        return true;
      }
      if ((found & OWNED_MASK) !== OWNED) return false;
      word = found;
    }
  }

  /** Whether the run of this agent that began in that generation still owns the cell. */
  protected owns(generation: number): boolean {
    // I5: in this order, as only this agent could make the state name it again. Plain
    // (lost-owner), as in #leave(). One frame
    return (Atomics.load(this.words, this.index) & OWNED_MASK) === OWNED &&
      this.words[this.index + GENERATION_WORD] === generation;
  }

  /** Zeroes what the cell guards, as its owner. One frame of built-ins: see the top. */
  protected zero(): void {}

  /** Moves what the cell guards out of reach of the agent that it was taken from, if it can. */
  protected abandon(): void {}

  /** Zeroes what the cell guards and ends the generation; returns whether this agent owned it. */
  protected empty(generation: number): boolean {
    // I1: after the generation was read. Not by owns(), as an agent that was declared dead
    // while it emptied the cell may end the generation first
    if (!this.ownedByThisAgent) return false;
    this.zero();
    // I4 and I5: pairs with #loadGeneration(). A CAS, as an agent that takes the
    // cell from this one may come first
    Atomics.compareExchange(
      this.words,
      this.index + GENERATION_WORD,
      generation,
      next(generation),
    );
    return this.rollbackRun(next(generation));
  }

  #loadGeneration(): number {
    // Pairs with the CAS of empty()
    return Atomics.load(this.words, this.index + GENERATION_WORD);
  }

  /** Whether this agent owns the cell. */
  protected get ownedByThisAgent(): boolean {
    return (this.load() & OWNED_MASK) === OWNED;
  }

  /** The agent that owns the cell, if any. */
  protected get owner(): number | undefined {
    const word = this.load();
    return phaseOf(word) === "initializing" ? word >>> OWNER_SHIFT : undefined;
  }

  /** Marks the word as announced, for the other agents, if this agent owns the cell. */
  protected markAnnounced(): void {
    let word = this.load();
    while ((word & OWNED_MASK) === OWNED) {
      // I7: pairs with the loads of the agents that watch
      const found = Atomics.compareExchange(
        this.words,
        this.index,
        word,
        word | STATE_ANNOUNCED,
      );
      if (found === word) return this.notifyAll();
      word = found;
    }
  }

  /** Wakes all waiters, so that they look again. */
  protected notifyAll(): void {
    // I6: pairs with the wait of each agent that has set the waiters bit
    Atomics.notify(this.words, this.index);
  }

  /**
   * Whether the word names an owner, which will replace it when it leaves. A word without
   * an owner may come back, as a failed run does not change the generation. So a caller
   * that wants to take the cell does not sleep on such a word: it could sleep on a cell
   * that it could take.
   */
  protected isOwned(word: number): boolean {
    return (word & PHASE_MASK) === INITIALIZING;
  }

  /** Blocks until an agent that replaces `word` notifies, or for `timeout` ms. */
  protected sleep(
    word: number,
    timeout: number,
    alternative: string,
  ): "ok" | "not-equal" | "timed-out" {
    if (!canBlock()) throw cannotBlock(alternative);
    finishResets();
    if (!this.#announceWaiter(word)) return "not-equal";
    // Pairs with the notify of #leave()
    return Atomics.wait(this.words, this.index, word | STATE_WAITERS, timeout);
  }

  /** Resolves when an agent that replaces `word` notifies, or occasionally, spuriously. */
  protected async sleepAsync(
    word: number,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    if (!this.#announceWaiter(word)) return;
    const value = word | STATE_WAITERS;
    await sleepAsync(this.words, this.index, value, signal, {
      announcedOwner: () => this.#announcedOwner,
      recover: (agentId) => this.recover(agentId),
      notifyAll: () => this.notifyAll(),
    });
  }

  get #announcedOwner(): number | undefined {
    const word = this.load();
    const announced = INITIALIZING | STATE_ANNOUNCED;
    return (word & (PHASE_MASK | STATE_ANNOUNCED)) === announced
      ? word >>> OWNER_SHIFT
      : undefined;
  }

  /** Sets the waiters bit if the word still is `word`, and returns whether it was. */
  #announceWaiter(word: number): boolean {
    // I6: pairs with the CAS of #leave(), which takes the bit along
    return Atomics.compareExchange(
      this.words,
      this.index,
      word,
      word | STATE_WAITERS,
    ) === word;
  }
}

/** Returns the phase that a state word stands for. */
function phaseOf(word: number): Phase {
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

/** The state word of a cell that an agent owns, but for its waiters and announcement. */
function ownedBy(agentId: number): number {
  return agentId << OWNER_SHIFT | INITIALIZING;
}

/** The state word of a cell that this agent owns, but for its waiters. */
function claimant(): number {
  return isAnnounced() ? OWNED | STATE_ANNOUNCED : OWNED;
}

/** The generation after this one. */
function next(generation: number): number {
  return generation + 1 & GENERATION_MASK;
}

/**
 * Throws a `RangeError` unless there is room on the stack for more than the frames that
 * give a cell back. An engine makes room for the longest call in a function when it enters
 * the function, so the call below costs nothing, and is never made.
 */
function useStack(isCalled: boolean): number {
  // deno-fmt-ignore
  return isCalled ? Math.max(
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
  ) : 0;
}

/** The token of the last lock by a `Mutex`: an earlier one has unlocked, or has lost its lock. */
interface Latest {
  token: UnlockToken | undefined;
}

/** Creates a token; only a mutex may. */
let createToken: (
  words: Int32Array,
  index: number,
  word: number,
  latest: Latest,
) => UnlockToken;

/**
 * The proof that a {@linkcode Mutex} was locked, and the only way to unlock it.
 *
 * It unlocks once and is then inert. It is also inert when this agent was declared dead
 * and has lost the lock, even if the agent has locked the mutex again. The name is that
 * of TC39's structs proposal.
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
  }

  /** The words that the mutex is in; `undefined` when the token is used up. */
  #words: Int32Array | undefined;
  readonly #index: number;
  /** What the mutex was locked with. */
  readonly #word: number;
  readonly #latest: Latest;

  private constructor(
    words: Int32Array,
    index: number,
    word: number,
    latest: Latest,
  ) {
    this.#words = words;
    this.#index = index;
    this.#word = word;
    this.#latest = latest;
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
    return words !== undefined && this.#latest.token === this &&
      this.#isOf(Atomics.load(words, this.#index));
  }

  /** Whether a word is that of this token's lock, whatever its waiters bit and announced bit say. */
  #isOf(word: number): boolean {
    return ((word ^ this.#word) & (HOLDER_MASK | MUTEX_LOSSES)) === 0;
  }

  /**
   * Unlocks the mutex and wakes all its waiters. Never blocks.
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
    if (words === undefined || this.#latest.token !== this) return false;
    this.#words = undefined;
    let word = this.#word;
    for (;;) {
      // I8: pairs with the CAS of the next lock(); the word of a lock that is another's stays
      const found = Atomics.compareExchange(
        words,
        this.#index,
        word,
        word & MUTEX_LOSSES,
      );
      if (found === word) {
        // I6: pairs with the wait() of each agent that has set the bit that is now
        // clear
        if (word & MUTEX_WAITERS) {
          Atomics.notify(words, this.#index);
          wakeTasks(words, this.#index);
        }
        return true;
      }
      if (!this.#isOf(found)) return false;
      word = found;
    }
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
 * Mutual exclusion of agents, in one 32-bit word of shared memory.
 *
 * It is neither recursive nor fair: an unlock wakes all waiters, and the first of them
 * to arrive takes the lock. Without contention, locking and unlocking cost one
 * compare-exchange each. It is held by an agent, not by a function: two asynchronous
 * functions of one agent exclude each other only through {@linkcode Mutex.lockAsync}.
 *
 * The names are those of TC39's structs proposal, so that code can move to it.
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
   * The size of a mutex, in bytes, which is also its alignment.
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
  readonly #latest: Latest = { token: undefined };

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
    const { byteLength } = Mutex;
    this.#words = wordsAt(buffer, byteOffset, byteLength, byteLength);
    this.buffer = buffer;
    this.byteOffset = byteOffset;
    this.#index = wordIndex(byteOffset);
  }

  /**
   * Locks the mutex, and blocks while another agent holds it.
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
   * @throws {TypeError} If this agent already holds the mutex, or the call would have
   * to block where the agent may not.
   */
  lock(): UnlockToken {
    return this.#tryLock() ?? this.#lockContended();
  }

  /** Cold: an agent holds the mutex. */
  #lockContended(): UnlockToken {
    if (this.#heldByThisAgent) {
      throw new TypeError(
        "Cannot lock the mutex as this agent holds it already: unlock it first, or use lockAsync() instead",
      );
    }
    return this.#lockWithin(Infinity)!;
  }

  /**
   * Locks the mutex if that is possible immediately, or within `timeout` ms.
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
   * @param timeout How long to block at most, in ms; 0, the default, never blocks.
   * @returns The token that unlocks it; `null` if the time is up or this agent already
   * holds the mutex.
   * @throws {TypeError} If `timeout` is not a number, or the call would have to block
   * where the agent may not.
   * @throws {RangeError} If `timeout` is negative or NaN.
   */
  lockIfAvailable(timeout: number = 0): UnlockToken | null {
    assertTimeout(timeout);
    const token = this.#tryLock();
    if (token !== null || timeout === 0 || this.#heldByThisAgent) return token;
    return this.#lockWithin(timeout);
  }

  /**
   * Locks the mutex without blocking the agent, and keeps its event loop alive
   * while it waits. Of the calls that one agent makes through one buffer, the earliest is
   * next.
   *
   * TC39's sketch of an asynchronous lock takes a callback, which runs under the lock.
   * This method returns the token instead; `using` disposes of it just as reliably.
   *
   * If the holder announced itself by {@linkcode announceAgent} before it locked
   * the mutex, and then ends, the lock is freed as by {@linkcode Mutex.recover}.
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
    options?: AtomicsWaitAsyncOptions,
  ): Promise<UnlockToken> {
    const signal = signalOf(options);
    throwIfAborted(signal);
    // A newcomer stands behind the tasks that wait already, or it could starve them
    const isNext = !hasLine(this.#words, this.#index);
    return (isNext && this.#tryLock()) ||
      await inLine(this.#words, this.#index, signal, async () => {
        for (;;) {
          const token = this.#tryLock();
          if (token !== null) return token;
          await this.#sleepAsync(signal);
        }
      });
  }

  /**
   * Frees the lock of an agent that has ended and can no longer unlock it. Does not
   * block, but `repair` may.
   *
   * What the mutex guards may be half changed: `repair` runs under the lock, which this
   * agent has taken over, before another agent gets it. If the agent is in fact still
   * running, its token no longer unlocks anything, but nothing stops it from going on. The
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
   * @param agentId The agent that has ended, as returned by `agentId()` in that agent.
   * @param repair Restores what the mutex guards. If it throws, the lock is freed anyway,
   * and this call throws the same error.
   * @returns Whether that agent held the lock.
   * @throws {TypeError} If `agentId` is not a number or `repair` is not a function.
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
      this.#notifyAll();
    }
  }

  /** Takes the lock from the agent that holds it. */
  #takeOver(agentId: number): UnlockToken | null {
    let word = this.#load();
    while ((word & HOLDER_MASK) === agentId) {
      const lock = holder() | word + MUTEX_LOSS & MUTEX_LOSSES;
      const token = createToken(this.#words, this.#index, lock, this.#latest);
      // I8: pairs with the CAS of unlock() in that agent, in case it still runs
      const found = this.#exchange(word, lock | word & MUTEX_WAITERS);
      if (found === word) return this.#latest.token = token;
      word = found;
    }
    return null;
  }

  #tryLock(word = UNLOCKED): UnlockToken | null {
    const lock = holder() | word & MUTEX_LOSSES;
    // Before the CAS: see "Nothing may fail" at the top
    const token = createToken(this.#words, this.#index, lock, this.#latest);
    // I8: pairs with the CAS of unlock(): what the last holder wrote can be read after this
    const found = this.#exchange(word, lock);
    if (found === word) return this.#latest.token = token;
    return isHeld(found) || word !== UNLOCKED ? null : this.#tryLock(found);
  }

  #lockWithin(timeout: number): UnlockToken | null {
    const end = now() + timeout;
    for (let left = timeout; left > 0; left = end - now()) {
      const slept = this.#sleep(left);
      const token = this.#tryLock();
      // After a sleep of all the remaining time it is over, whatever the clock says
      if (token !== null || slept === "timed-out") return token;
    }
    return null;
  }

  #sleep(timeout: number): "ok" | "not-equal" | "timed-out" {
    if (!canBlock()) throw cannotBlock("lockAsync()");
    finishResets();
    const word = this.#announceWaiter();
    if (!isHeld(word)) return "not-equal";
    // Pairs with the notify of unlock()
    return Atomics.wait(this.#words, this.#index, word, timeout);
  }

  async #sleepAsync(signal: AbortSignal | undefined): Promise<void> {
    const word = this.#announceWaiter();
    if (!isHeld(word)) return;
    await sleepAsync(this.#words, this.#index, word, signal, {
      announcedOwner: () => this.#announcedHolder,
      recover: (agentId) => this.recover(agentId),
      notifyAll: () => this.#notifyAll(),
    });
  }

  /** Sets the waiters bit if there is a holder, and returns the word, to sleep on in that case. */
  #announceWaiter(): number {
    let word = this.#load();
    while (isHeld(word)) {
      const announced = word | MUTEX_WAITERS;
      // I6: pairs with the CAS of unlock(), which takes the bit along
      const found = this.#exchange(word, announced);
      if (found === word) return announced;
      word = found;
    }
    return word;
  }

  get #heldByThisAgent(): boolean {
    return (this.#load() & HOLDER_MASK) === thisAgent;
  }

  get #announcedHolder(): number | undefined {
    const word = this.#load();
    return word & MUTEX_ANNOUNCED ? word & HOLDER_MASK : undefined;
  }

  /** Wakes all waiters, so that they look again. */
  #notifyAll(): void {
    // I6: pairs with the wait of each agent that has set the waiters bit
    Atomics.notify(this.#words, this.#index);
  }

  #load(): number {
    // Pairs with the CAS of all that lock and unlock
    return Atomics.load(this.#words, this.#index);
  }

  /** The CAS of the mutex; its callers say what it pairs with. */
  #exchange(word: number, replacement: number): number {
    return Atomics.compareExchange(
      this.#words,
      this.#index,
      word,
      replacement,
    );
  }
}

/** What this agent writes into the word of a mutex that it locks. */
function holder(): number {
  return isAnnounced() ? thisAgent | MUTEX_ANNOUNCED : thisAgent;
}

/** Whether a mutex word names a holder. */
function isHeld(word: number): boolean {
  return (word & HOLDER_MASK) !== 0;
}
