// Copyright 2026 the lazyinit authors. MIT license.

/*
 * How a thread and the explorer take turns: over a few words of shared memory, by
 * which the one hands over what it wants to do next and the other what came of it.
 * Either side is blocked while the other one runs.
 */

/** What a thread asks for. */
export const OPERATIONS = [
  "load",
  "store",
  "compareExchange",
  "exchange",
  "add",
  "sub",
  "or",
  "and",
  "wait",
  "waitAsync",
  "notify",
  /** Reads or writes the word plainly. */
  "read",
  "write",
  /** Asks for the Web Lock of the agent `a`, to be shared if `b` is 1. */
  "lock",
  /** Frees the lock that was asked for by request `a`, or asks for it no more. */
  "unlock",
  /** Lets others go first. */
  "yield",
  /** Its event loop has nothing to do but to wait. */
  "idle",
  /** Its body has ended. */
  "done",
  /** Waits until the thread `a` has ended or died. */
  "await",
  /** Something is wrong; the text says what. */
  "fail",
] as const;

export type Operation = typeof OPERATIONS[number];

/** A step that a thread asks for. */
export interface Request {
  readonly operation: Operation;
  /** Which 32-bit word of the memory. */
  readonly word: number;
  /**
   * The first operand; what `wait` expects, how many `notify` wakes, and which of
   * the `ROLES` reads or writes plainly.
   */
  readonly a: number;
  /** The second operand; for `wait`, 1 if it has a timeout. */
  readonly b: number;
}

/** What `wait` and `waitAsync` are told. */
export const NOT_EQUAL = 0;
export const OK = 1;
export const TIMED_OUT = 2;
/** What who is idle is told of a request for a lock, in the place of these. */
export const GRANTED = 3;
/** Sent in the place of a result: the body is to end at once. */
export const ABANDON = -1;
/** Sent to `waitAsync`, plus the number of the wait. */
export const PENDING = 16;

/** Whose turn it is. */
const TURN = 0;
const THREAD = 0;
const EXPLORER = 1;
const OPERATION = 1;
const WORD = 2;
const A = 3;
const B = 4;
const RESULT = 5;
const ABANDONED = 6;
const NO = 0;
const FOR_NOW = 1;
const FOR_EVER = 2;
const TEXT_LENGTH = 7;
const TEXT = 32;
const BYTE_LENGTH = 1024;
const MAX_TEXT = BYTE_LENGTH - TEXT;

/** Looks that often before it sleeps, as the other side mostly answers soon. */
const SPINS = 2_000;
/** A thread that does not come back in this time, in ms, is in an endless loop. */
const PATIENCE = 10_000;

// Threads replace these
const { load, store, wait, notify } = Atomics;

export class Channel {
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array<SharedArrayBuffer>;

  constructor(buffer = new SharedArrayBuffer(BYTE_LENGTH)) {
    this.buffer = buffer;
    this.#words = new Int32Array(buffer);
  }

  /** In a thread: asks for a step, blocks until it is granted, and returns what came of it. */
  ask(operation: Operation, word = -1, a = 0, b = 0): number {
    const words = this.#words;
    if (this.released) throw new Abandoned();
    words[OPERATION] = OPERATIONS.indexOf(operation);
    words[WORD] = word;
    words[A] = a;
    words[B] = b;
    this.#handOver(EXPLORER, Infinity);
    if (this.abandoned) throw new Abandoned();
    return words[RESULT]!;
  }

  /** In a thread: whether the body is to end at once. */
  get abandoned(): boolean {
    return this.#words[ABANDONED] !== NO;
  }

  /** In a thread: whether nobody listens any more. */
  get released(): boolean {
    return this.#words[ABANDONED] === FOR_EVER;
  }

  /** In a thread: reports that something is wrong, and does not return. */
  fail(message: string): never {
    const bytes = new TextEncoder().encode(message).subarray(0, MAX_TEXT);
    new Uint8Array(this.buffer, TEXT).set(bytes);
    this.#words[TEXT_LENGTH] = bytes.length;
    this.ask("fail");
    throw new Abandoned();
  }

  /** In the explorer: what the thread asks for. */
  get request(): Request {
    const words = this.#words;
    return {
      operation: OPERATIONS[words[OPERATION]!]!,
      word: words[WORD]!,
      a: words[A]!,
      b: words[B]!,
    };
  }

  /** In the explorer: what is wrong. */
  get message(): string {
    const bytes = new Uint8Array(this.buffer, TEXT, this.#words[TEXT_LENGTH]);
    return new TextDecoder().decode(bytes.slice());
  }

  /** In the explorer: lets the thread go on with a result, and blocks until it asks again. */
  grant(result: number): void {
    this.#words[RESULT] = result;
    this.#words[ABANDONED] = NO;
    this.#handOver(THREAD, PATIENCE);
  }

  /** In the explorer: has the body end at once, and blocks until it has. */
  abandon(): void {
    this.#words[ABANDONED] = FOR_NOW;
    this.#handOver(THREAD, PATIENCE);
  }

  /** In the explorer: has the thread stop, as a termination does not reach who is blocked. */
  release(): void {
    this.#words[ABANDONED] = FOR_EVER;
    store(this.#words, TURN, THREAD);
    notify(this.#words, TURN);
  }

  /** In the explorer: blocks until the thread asks for its first step. */
  awaitRequest(): void {
    this.#awaitTurn(THREAD, PATIENCE);
  }

  #handOver(turn: number, patience: number): void {
    store(this.#words, TURN, turn);
    notify(this.#words, TURN);
    this.#awaitTurn(turn, patience);
  }

  /** Blocks until it is no longer the turn of that side. */
  #awaitTurn(turn: number, patience: number): void {
    const words = this.#words;
    for (let i = 0; i < SPINS; i++) {
      if (load(words, TURN) !== turn) return;
    }
    // Again and again, as the notification of an earlier turn may come late
    while (load(words, TURN) === turn) {
      if (wait(words, TURN, turn, patience) === "timed-out") {
        throw new Error(
          `A thread has not asked for anything in ${patience} ms`,
        );
      }
    }
  }
}

/** Thrown in a body that is to end at once. */
export class Abandoned extends Error {}
