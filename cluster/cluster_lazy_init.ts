// Copyright 2026 the lazyinit authors. MIT license.

/*
 * The protocol of a cell that processes share by one entry of a store: which process may
 * write it when. The entry is value, lock and fence in one; its phases and their edges are
 * drawn in `_protocol.ts`, its bytes in `_entry.ts`.
 *
 * INVARIANTS
 *
 *   C1  Every write is a compare-and-set on the very entry that was judged: the version
 *       that it expects is that of the record that the decision was made by.
 *   C2  An owner beats, publishes and rolls back only over the last entry that it has
 *       written itself. So of a paused owner and its successor one publishes, and one
 *       that has lost its lease to a successor never does: that is the fence.
 *   C3  An initialized entry is left by a reset only.
 *   C4  No clocks of two machines are compared. A lease is over if and only if the very
 *       same entry has been seen for as long as it says, from its first sight on, by the
 *       clock of the process that judges.
 *   C5  A write of unknown outcome, or that was refused, is settled by its nonce before
 *       anything else is written: it has landed if the entry has that nonce; it never
 *       will if the entry has another version than it expects; else it is sent again, the
 *       same bytes.
 *   C6  Observations are ordered by version: an entry of a lower version than one that
 *       was seen is out of date, whether a request or the watch brings it. A missing entry
 *       counts only if the request that found none began after everything that was seen.
 *   C7  Keys are never deleted, so generations survive. If an operator deletes one, the
 *       processes that know it go on from the generation that they have seen.
 *
 * ONE PUBLISHES (C1, C2, C3). A value is written over an "initializing" entry of its own
 * run only. A successor first writes an entry of its own in that place. The store orders
 * the two compare-and-sets: if the successor's comes first, the owner's is refused.
 *
 * ONE RUNS as long as its lease holds (C4). A successor has seen the same entry for a
 * whole lease, so the owner has written nothing for at least as long. An owner that is
 * paused for longer runs beside its successor, until its next beat is refused.
 *
 * NO CALL WAITS FOR EVER. A waiter looks at the store at least once in two leases, whatever
 * its watch says. A call that gets no answer for three leases rejects with the store's
 * error. Only a run that may still publish goes on, as no other process can take over from
 * it either.
 *
 * THE TEMPTING WRONG VERSIONS: a lock beside the value, which a paused owner still believes
 * to hold when it writes the value; an expiry time, which compares clocks; a deletion on
 * reset, after which generations begin again.
 */

import {
  assertCodec,
  assertFunction,
  assertOptions,
  show,
  signalOf,
} from "../_checks.ts";
import type { Codec } from "../codec.ts";
import {
  AlreadyInitializedError,
  LayoutMismatchError,
  OwnerLostError,
  RecursiveInitializationError,
} from "../errors.ts";
import type { InitResult, Phase } from "../mod.ts";
import { type Clock, currentClock } from "./_clock.ts";
import {
  decodeRecord,
  encodeRecord,
  type EntryRecord,
  MAX_LEASE,
  MIN_LEASE,
  NO_VALUE,
  recordByteLength,
} from "./_entry.ts";
import {
  beat,
  begin,
  dueAt,
  publish,
  reset,
  rollBack,
  type Seen,
  UNSEEN,
} from "./_protocol.ts";
import { decodeValue, encodeValue } from "./_scratch.ts";
import { isWithin, runWithin } from "./_within.ts";
import { type Entry, PermanentStoreError, type Store } from "./store.ts";

export type { InitResult, Phase };

/**
 * How a cell of a cluster behaves.
 *
 * @example Usage
 * ```ts
 * import { ClusterLazyInit, type ClusterLazyInitOptions } from "@lazyinit/lazyinit/cluster";
 * import { SqliteStore } from "@lazyinit/lazyinit/cluster/sqlite";
 * import { int32 } from "@lazyinit/lazyinit";
 * import { assertEquals } from "@std/assert";
 *
 * const options: ClusterLazyInitOptions = { lease: 5_000 };
 * await using store = new SqliteStore(":memory:");
 * await using cell = new ClusterLazyInit(store, "answer", int32, options);
 * assertEquals(await cell.getOrInit(() => 42), 42);
 * ```
 */
export interface ClusterLazyInitOptions {
  /**
   * For how long a process that runs an initializer may be silent before another takes
   * over, in ms: at least 1,000. It must be longer than the process may be paused, than
   * its event loop may be blocked, such as by the initializer itself, and than the store
   * takes to write a value. Long computations belong in a worker.
   *
   * @default {10000}
   */
  readonly lease?: number;
}

/**
 * How a call ends its wait.
 *
 * @example Usage
 * ```ts
 * import { ClusterLazyInit, type ClusterLazyInitWaitOptions } from "@lazyinit/lazyinit/cluster";
 * import { SqliteStore } from "@lazyinit/lazyinit/cluster/sqlite";
 * import { int32 } from "@lazyinit/lazyinit";
 * import { assertRejects } from "@std/assert";
 *
 * await using store = new SqliteStore(":memory:");
 * await using cell = new ClusterLazyInit(store, "answer", int32);
 * const options: ClusterLazyInitWaitOptions = { signal: AbortSignal.timeout(10) };
 * await assertRejects(() => cell.wait(options), DOMException);
 * ```
 */
export interface ClusterLazyInitWaitOptions {
  /**
   * Ends the wait: the call rejects with its reason. A run that has begun goes on, and a
   * reset that was sent may still happen.
   */
  readonly signal?: AbortSignal;
}

/**
 * What an initializer gets.
 *
 * @example Usage
 * ```ts
 * import { type ClusterInitializerContext, ClusterLazyInit } from "@lazyinit/lazyinit/cluster";
 * import { SqliteStore } from "@lazyinit/lazyinit/cluster/sqlite";
 * import { string } from "@lazyinit/lazyinit";
 * import { assertEquals } from "@std/assert";
 *
 * await using store = new SqliteStore(":memory:");
 * await using cell = new ClusterLazyInit(store, "greeting", string(64));
 * async function greet({ signal }: ClusterInitializerContext): Promise<string> {
 *   const response = await fetch("data:text/plain,hello", { signal });
 *   return await response.text();
 * }
 * assertEquals(await cell.getOrInit(greet), "hello");
 * ```
 */
export interface ClusterInitializerContext {
  /**
   * Aborted when the run has lost the cell to another process, when the store refuses the
   * run for good, or when the cell is disposed: what the initializer returns is then dropped.
   */
  readonly signal: AbortSignal;
  /**
   * The fencing token of the run, higher than that of every earlier run of the key. An
   * initializer that writes elsewhere hands it along, so that the other side can refuse a
   * run that has lost the cell.
   */
  readonly token: bigint;
}

/**
 * Makes the value of a cell of a cluster, now or later.
 *
 * @example Usage
 * ```ts
 * import { type ClusterInitializer, ClusterLazyInit } from "@lazyinit/lazyinit/cluster";
 * import { SqliteStore } from "@lazyinit/lazyinit/cluster/sqlite";
 * import { bigInt64 } from "@lazyinit/lazyinit";
 * import { assert } from "@std/assert";
 *
 * await using store = new SqliteStore(":memory:");
 * await using cell = new ClusterLazyInit(store, "token", bigInt64);
 * const initializer: ClusterInitializer<bigint> = ({ token }) => token;
 * assert(await cell.getOrInit(initializer) > 0n);
 * ```
 *
 * @typeParam T The type of the value.
 */
export type ClusterInitializer<T> = (
  context: ClusterInitializerContext,
) => T | PromiseLike<T>;

const NOT_YET = Symbol("not yet");
const LOST = Symbol("lost");
const STOPPED = Symbol("stopped");

/** What came of a write: its version, that it was refused, or that it cannot be known. */
type Outcome = bigint | "refused" | "unknown";

/** A run of an initializer of this process. */
interface Run {
  /** The last entry that it has written, and its version (C2). */
  record: EntryRecord;
  version: bigint;
  /** When that was sent, which is no later than it was written. */
  sent: number;
  /** Why there is nothing to publish. */
  failed?: Failed;
}

const DEFAULT_LEASE = 10_000;
const BEATS_PER_LEASE = 3;
/** Well below a beat, so that a lost request is sent again before the lease is over. */
const REQUESTS_PER_LEASE = 6;
/** After so many leases without an answer, calls reject. */
const MAX_SILENCE = 3;
/** How long to wait after a request that failed, in ms; doubles with each in a row. */
const FIRST_RETRY = 10;
const MAX_KEY_LENGTH = 1_024;

const encoder = new TextEncoder();

/**
 * A value that one process of a cluster at a time may initialize while the others
 * wait, and that every process then reads for the price of a field access.
 *
 * All processes construct a cell over the same store, key and codec. The first that needs
 * the value makes it; a process that dies or is cut off meanwhile is succeeded by
 * another when its lease is over. If an initializer fails, its caller gets the error, and
 * one of the others goes on with its own.
 *
 * Exactly one run publishes, always. Exactly one runs, as long as its process writes to
 * the store once in a lease: one that is paused for longer runs beside its successor,
 * and what it makes is dropped. Side effects elsewhere need the `token` of the run.
 *
 * Between machines a cell is only as fresh as news from the store: {@linkcode
 * ClusterLazyInit.get} may return a value that was just reset elsewhere,
 * {@linkcode ClusterLazyInit.refresh} does not. Calls go on when the store comes back from
 * an outage. A call that gets no answer rejects with the store's error, after three leases
 * at the earliest and six at the latest; a run goes on.
 *
 * From its first asynchronous call on a cell watches its key, which keeps the process alive
 * until the cell is disposed.
 *
 * @example Usage
 * ```ts
 * import { json } from "@lazyinit/lazyinit";
 * import { ClusterLazyInit } from "@lazyinit/lazyinit/cluster";
 * import { SqliteStore } from "@lazyinit/lazyinit/cluster/sqlite";
 * import { assertEquals } from "@std/assert";
 *
 * await using store = new SqliteStore(":memory:");
 * await using cell = new ClusterLazyInit(store, "config", json<{ port: number }>(1024));
 * await cell.getOrInit(() => ({ port: 80 }));
 * assertEquals(cell.get(), { port: 80 });
 * ```
 *
 * @typeParam T The type of the value.
 */
export class ClusterLazyInit<T> implements AsyncDisposable {
  // What get() reads comes first
  /** The value of what was seen last, if that is initialized. */
  #value: Readonly<T> | undefined = undefined;
  #seen: Seen = UNSEEN;
  /** The highest version that was seen (C6). */
  #highest = 0n;
  readonly #store: Store;
  readonly #key: string;
  readonly #codec: Codec<T>;
  readonly #lease: number;
  readonly #clock: Clock = currentClock();
  /** Wakes the calls that wait until something is seen, or until their turn comes. */
  readonly #sleepers = new Set<() => void>();
  /** What the disposal calls; many listeners on one signal would make Node warn. */
  readonly #ends = new Set<() => void>();
  /** Aborted by the disposal. */
  readonly #end = new AbortController();
  /** Whether a call of this process contends for the cell, or runs its initializer. */
  #contended = false;
  #run: Run | undefined = undefined;
  #watching = false;
  /** The look that has begun, and the one after it, for all calls that come meanwhile. */
  #look: Promise<void> | undefined = undefined;
  #nextLook: Promise<void> | undefined = undefined;
  /** The write that was sent last, which may land after its call has ended. */
  #sent: Promise<unknown> = Promise.resolve();
  /** For how long a request may take, in ms: longer for values than for beats. */
  #patience: number;
  /** Whether the store has refused for good what the watch has asked for. */
  #refused = false;
  /** Since when every request has failed. */
  #silentSince: number | undefined = undefined;

  /**
   * Constructs a new instance. Does no I/O: that begins with the first asynchronous call.
   *
   * @param store The store, which all processes share.
   * @param key The key in that store: 1 to 1,024 bytes of UTF-8.
   * @param codec How the value is laid out, as in the other processes.
   * @param options The lease.
   * @throws {TypeError} If `store` is not a store, `key` is not a well-formed string,
   * `codec` is not a codec or `lease` is not a number.
   * @throws {RangeError} If `key` is empty or too long, or `lease` is not an integer from
   * 1,000 to 2^31 - 1.
   */
  constructor(
    store: Store,
    key: string,
    codec: Codec<T>,
    options: ClusterLazyInitOptions = {},
  ) {
    assertStore(store);
    assertKey(key);
    assertCodec(codec);
    assertOptions(options);
    const { lease = DEFAULT_LEASE } = options;
    assertLease(lease);
    this.#store = store;
    this.#key = key;
    this.#codec = codec;
    this.#lease = lease;
    this.#patience = lease / REQUESTS_PER_LEASE;
  }

  /**
   * Returns the value, if this process has seen that there is one. A field read.
   *
   * It is as fresh as the watch of the store: before the first asynchronous call there is
   * nothing, and a reset by another process shows a moment later. If the store refuses the
   * watch for good, it stays as it is until the next asynchronous call, which tells why.
   *
   * @example Usage
   * ```ts
   * import { int32 } from "@lazyinit/lazyinit";
   * import { ClusterLazyInit } from "@lazyinit/lazyinit/cluster";
   * import { SqliteStore } from "@lazyinit/lazyinit/cluster/sqlite";
   * import { assertEquals } from "@std/assert";
   *
   * await using store = new SqliteStore(":memory:");
   * await using cell = new ClusterLazyInit(store, "answer", int32);
   * assertEquals(cell.get(), undefined);
   * await cell.getOrInit(() => 42);
   * assertEquals(cell.get(), 42);
   * ```
   *
   * @returns The value, the same reference until the next reset that is seen.
   */
  get(): Readonly<T> | undefined {
    return this.#value;
  }

  /**
   * How far the initialization has come, as far as this process has seen.
   *
   * @example Usage
   * ```ts
   * import { int32 } from "@lazyinit/lazyinit";
   * import { ClusterLazyInit } from "@lazyinit/lazyinit/cluster";
   * import { SqliteStore } from "@lazyinit/lazyinit/cluster/sqlite";
   * import { assertEquals } from "@std/assert";
   *
   * await using store = new SqliteStore(":memory:");
   * await using cell = new ClusterLazyInit(store, "answer", int32);
   * assertEquals(cell.phase, "uninitialized");
   * await cell.getOrInit(() => 42);
   * assertEquals(cell.phase, "initialized");
   * ```
   *
   * @returns The phase.
   */
  get phase(): Phase {
    return this.#seen.record?.phase ?? "uninitialized";
  }

  /**
   * How often the cell was reset, or taken from a process that was silent for a whole
   * lease, as far as this process has seen.
   *
   * @example Usage
   * ```ts
   * import { int32 } from "@lazyinit/lazyinit";
   * import { ClusterLazyInit } from "@lazyinit/lazyinit/cluster";
   * import { SqliteStore } from "@lazyinit/lazyinit/cluster/sqlite";
   * import { assertEquals } from "@std/assert";
   *
   * await using store = new SqliteStore(":memory:");
   * await using cell = new ClusterLazyInit(store, "answer", int32);
   * await cell.getOrInit(() => 42);
   * await cell.reset();
   * assertEquals(cell.generation, 1);
   * ```
   *
   * @returns The generation.
   */
  get generation(): number {
    return this.#seen.generation;
  }

  /**
   * Resolves with the value, and initializes the cell if it is not initialized.
   *
   * It resolves at once if this process has seen the value. Otherwise one of all calls in all
   * processes runs its initializer. If the process loses the cell meanwhile, the call goes on
   * as a waiter, and resolves with the value of the successor.
   *
   * @example Usage
   * ```ts
   * import { int32 } from "@lazyinit/lazyinit";
   * import { ClusterLazyInit } from "@lazyinit/lazyinit/cluster";
   * import { SqliteStore } from "@lazyinit/lazyinit/cluster/sqlite";
   * import { assertEquals } from "@std/assert";
   *
   * await using store = new SqliteStore(":memory:");
   * await using cell = new ClusterLazyInit(store, "answer", int32);
   * assertEquals(await cell.getOrInit(() => 42), 42);
   * assertEquals(await cell.getOrInit(() => 43), 42);
   * ```
   *
   * @param initializer Makes the value, now or later.
   * @param options How to end the wait.
   * @returns A promise of the value. It rejects with what the initializer throws, with a
   * `TypeError` or `RangeError` if the value cannot be encoded or is too large for the
   * store, with the reason of an aborted signal, with a {@linkcode RecursiveInitializationError}
   * if the initializer of this cell calls it, with a {@linkcode LayoutMismatchError} if the
   * key holds something else, with the error of a store that refuses or is silent for three
   * leases, or with a `DOMException` named `InvalidStateError` if the cell is disposed.
   */
  async getOrInit(
    initializer: ClusterInitializer<T>,
    options: ClusterLazyInitWaitOptions = {},
  ): Promise<Readonly<T>> {
    assertFunction(initializer, "initializer", "initialize the cell");
    const signal = this.#begin(options);
    for (;;) {
      const result = await this.#tryInit(initializer, signal);
      if (result === LOST) continue;
      if (result.ok || result.reason === "already-init") return result.value;
      throw result.error;
    }
  }

  /**
   * Initializes the cell, and fails if it is initialized already.
   *
   * @example Usage
   * ```ts
   * import { AlreadyInitializedError, int32 } from "@lazyinit/lazyinit";
   * import { ClusterLazyInit } from "@lazyinit/lazyinit/cluster";
   * import { SqliteStore } from "@lazyinit/lazyinit/cluster/sqlite";
   * import { assertEquals, assertRejects } from "@std/assert";
   *
   * await using store = new SqliteStore(":memory:");
   * await using cell = new ClusterLazyInit(store, "answer", int32);
   * assertEquals(await cell.init(() => 42), 42);
   * await assertRejects(() => cell.init(() => 43), AlreadyInitializedError);
   * ```
   *
   * @param initializer Makes the value, now or later.
   * @param options How to end the wait.
   * @returns A promise of the value. It rejects with an {@linkcode
   * AlreadyInitializedError} that carries the value, with an {@linkcode OwnerLostError} if
   * another process has taken over meanwhile, or as {@linkcode ClusterLazyInit.getOrInit}.
   */
  async init(
    initializer: ClusterInitializer<T>,
    options: ClusterLazyInitWaitOptions = {},
  ): Promise<Readonly<T>> {
    const result = await this.tryInit(initializer, options);
    if (result.ok) return result.value;
    if (result.reason === "during-init") throw result.error;
    throw new AlreadyInitializedError(
      `Cannot initialize ${this.#label} as it is initialized already`,
      result.value,
    );
  }

  /**
   * Initializes the cell, and tells what came of it.
   *
   * @example Usage
   * ```ts
   * import { int32 } from "@lazyinit/lazyinit";
   * import { ClusterLazyInit } from "@lazyinit/lazyinit/cluster";
   * import { SqliteStore } from "@lazyinit/lazyinit/cluster/sqlite";
   * import { assertEquals } from "@std/assert";
   *
   * await using store = new SqliteStore(":memory:");
   * await using cell = new ClusterLazyInit(store, "answer", int32);
   * assertEquals(await cell.tryInit(() => 42), { ok: true, value: 42 });
   * assertEquals(await cell.tryInit(() => 43), {
   *   ok: false,
   *   reason: "already-init",
   *   value: 42,
   * });
   * ```
   *
   * @param initializer Makes the value, now or later.
   * @param options How to end the wait.
   * @returns A promise of the value, and whether this call made it, or of the
   * initializer's error. It rejects with an {@linkcode OwnerLostError} if another process has
   * taken over meanwhile, or as {@linkcode ClusterLazyInit.getOrInit}.
   */
  async tryInit(
    initializer: ClusterInitializer<T>,
    options: ClusterLazyInitWaitOptions = {},
  ): Promise<InitResult<T>> {
    assertFunction(initializer, "initializer", "initialize the cell");
    const signal = this.#begin(options);
    // Not by what was seen before, nor by late news of it, as this insists on being the one
    await this.#during(this.#lookNow(), signal);
    const result = await this.#tryInit(initializer, signal);
    if (result === LOST) throw this.#ownerLost();
    return result;
  }

  /**
   * Resolves with the value when any process has initialized the cell. Keeps the event
   * loop alive.
   *
   * @example Usage
   * ```ts
   * import { int32 } from "@lazyinit/lazyinit";
   * import { ClusterLazyInit } from "@lazyinit/lazyinit/cluster";
   * import { SqliteStore } from "@lazyinit/lazyinit/cluster/sqlite";
   * import { assertEquals } from "@std/assert";
   *
   * await using store = new SqliteStore(":memory:");
   * await using cell = new ClusterLazyInit(store, "answer", int32);
   * const value = cell.wait();
   * await cell.init(() => 42);
   * assertEquals(await value, 42);
   * ```
   *
   * @param options How to end the wait.
   * @returns A promise of the value. It rejects as {@linkcode ClusterLazyInit.getOrInit},
   * save that there is no initializer.
   */
  async wait(options: ClusterLazyInitWaitOptions = {}): Promise<Readonly<T>> {
    const signal = this.#begin(options);
    if (!this.#isInitialized) await this.#during(this.#lookNow(), signal);
    while (!this.#isInitialized) {
      this.#assertUsable();
      this.#assertNotWithin();
      await this.#sleepOrLook(this.#nextLookAt(), signal);
    }
    return this.#value as Readonly<T>;
  }

  /**
   * Empties the cell, in all processes. Waits as long as an initializer runs.
   *
   * The others see it a moment later. The key stays in the store, without the value.
   *
   * @example Usage
   * ```ts
   * import { int32 } from "@lazyinit/lazyinit";
   * import { ClusterLazyInit } from "@lazyinit/lazyinit/cluster";
   * import { SqliteStore } from "@lazyinit/lazyinit/cluster/sqlite";
   * import { assertEquals } from "@std/assert";
   *
   * await using store = new SqliteStore(":memory:");
   * await using cell = new ClusterLazyInit(store, "answer", int32);
   * assertEquals(await cell.reset(), false);
   * await cell.getOrInit(() => 42);
   * assertEquals(await cell.reset(), true);
   * assertEquals(await cell.getOrInit(() => 43), 43);
   * ```
   *
   * @param options How to end the wait.
   * @returns A promise of whether the cell was initialized. Of two resets at once, one
   * resolves with `true`; both do if the outcome of one was unknown. It rejects as
   * {@linkcode ClusterLazyInit.getOrInit}, save that there is no initializer.
   */
  async reset(options: ClusterLazyInitWaitOptions = {}): Promise<boolean> {
    const signal = this.#begin(options);
    await this.#during(this.#lookNow(), signal);
    for (;;) {
      this.#assertUsable();
      const seen = this.#seen;
      const { record, version } = seen;
      if (record === undefined || record.phase === "uninitialized") {
        return false;
      }
      const initialized = record.phase === "initialized";
      if (!initialized) {
        this.#assertNotWithin();
        await this.#sleepOrLook(dueAt(seen), signal);
        if (seen !== this.#seen) continue;
      }
      // C1: over what was judged. C3, C7: a reset, and no deletion
      const outcome = await this.#during(
        this.#write(reset(record, this.#clock.nonce()), version),
        signal,
      );
      if (outcome !== "refused") return initialized;
    }
  }

  /**
   * Resolves with the value, if there is one, no older than the call: a value that
   * was reset before is never returned, nor does {@linkcode ClusterLazyInit.get} return it
   * afterwards.
   *
   * @example Usage
   * ```ts
   * import { int32 } from "@lazyinit/lazyinit";
   * import { ClusterLazyInit } from "@lazyinit/lazyinit/cluster";
   * import { SqliteStore } from "@lazyinit/lazyinit/cluster/sqlite";
   * import { assertEquals } from "@std/assert";
   *
   * await using store = new SqliteStore(":memory:");
   * await using here = new ClusterLazyInit(store, "answer", int32);
   * await using there = new ClusterLazyInit(store, "answer", int32);
   * await there.getOrInit(() => 42);
   * assertEquals(await here.refresh(), 42);
   * await there.reset();
   * assertEquals(await here.refresh(), undefined);
   * ```
   *
   * @param options How to end the wait.
   * @returns A promise of the value, or of `undefined`. It rejects as {@linkcode
   * ClusterLazyInit.getOrInit}, save that there is no initializer.
   */
  async refresh(
    options: ClusterLazyInitWaitOptions = {},
  ): Promise<Readonly<T> | undefined> {
    const signal = this.#begin(options);
    await this.#during(this.#lookNow(), signal);
    this.#assertUsable();
    return this.#value;
  }

  /**
   * Ends all that the cell does: calls in flight reject, the signal of an initializer that
   * runs is aborted, and another process may begin at once. The store stays open. Calling it
   * again does nothing.
   *
   * @example Usage
   * ```ts
   * import { int32 } from "@lazyinit/lazyinit";
   * import { ClusterLazyInit } from "@lazyinit/lazyinit/cluster";
   * import { SqliteStore } from "@lazyinit/lazyinit/cluster/sqlite";
   * import { assertRejects } from "@std/assert";
   *
   * await using store = new SqliteStore(":memory:");
   * const cell = new ClusterLazyInit(store, "answer", int32);
   * await cell[Symbol.asyncDispose]();
   * await assertRejects(() => cell.refresh(), DOMException, "disposed");
   * ```
   *
   * @returns A promise that resolves when nothing is kept alive any more.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#end.signal.aborted) return;
    const run = this.#run;
    this.#end.abort(
      new DOMException(
        `Cannot use ${this.#label} as it must not be disposed: it was disposed`,
        "InvalidStateError",
      ),
    );
    for (const end of this.#ends) end();
    if (run === undefined) return;
    // Should this fail, its lease has to pass
    await this.#answer(
      () => this.#giveUp(run),
      this.#lease / REQUESTS_PER_LEASE,
    )
      .catch(() => {});
  }

  /** Rolls a run back, whichever of its entries has landed last. */
  async #giveUp({ record: { owner } }: Run): Promise<void> {
    await this.#sent;
    const entry = await this.#store.get(this.#key);
    if (entry === null) return;
    const record = decodeRecord(entry.value);
    if (record.phase !== "initializing" || record.owner !== owner) return;
    // C1, C2: over the entry that was found, which this run has written
    const rolledBack = rollBack(record, false, this.#clock.nonce());
    await this.#store.set(this.#key, encodeRecord(rolledBack), entry.version);
  }

  /** Begins a call: throws if the cell is disposed, and watches from now on. */
  #begin(options: ClusterLazyInitWaitOptions): AbortSignal | undefined {
    const signal = signalOf(options);
    this.#end.signal.throwIfAborted();
    if (!this.#isInitialized && signal?.aborted) throw signal.reason;
    // What was silent for an earlier call may have come back since
    if (this.#ends.size === 0) this.#silentSince = undefined;
    if (!this.#watching) this.#watch();
    return signal;
  }

  get #isInitialized(): boolean {
    return this.#seen.record?.phase === "initialized";
  }

  get #label(): string {
    return `ClusterLazyInit ${JSON.stringify(this.#key)}`;
  }

  #ownerLost(): OwnerLostError {
    return new OwnerLostError(
      `Cannot publish the value of ${this.#label} as this process must own it: another has taken over`,
    );
  }

  /** Throws why the entry that was seen last cannot be used. */
  #assertUsable(): void {
    if (this.#seen.failure !== undefined) throw this.#seen.failure;
  }

  /** A call within the run would wait for itself, even by another object of the same key. */
  #assertNotWithin(): void {
    const { record } = this.#seen;
    if (record?.phase === "initializing" && isWithin(record.owner)) {
      throw new RecursiveInitializationError(
        `Cannot wait for ${this.#label} as this call must not be within its initializer: use what the initializer has instead`,
      );
    }
  }

  /** What one call does to initialize the cell. */
  async #tryInit(
    initializer: ClusterInitializer<T>,
    signal: AbortSignal | undefined,
  ): Promise<InitResult<T> | typeof LOST> {
    if (this.#seen === UNSEEN) await this.#during(this.#lookNow(), signal);
    for (;;) {
      if (this.#isInitialized) {
        const value = this.#value as Readonly<T>;
        return { ok: false, reason: "already-init", value };
      }
      this.#assertNotWithin();
      // One of this process at a time
      if (this.#contended) {
        const isOver = () => !this.#contended;
        await this.#sleepOrLook(this.#nextLookAt(), signal, isOver);
        continue;
      }
      const result = await this.#contend(initializer, signal);
      if (result !== NOT_YET) return result;
    }
  }

  /** Begins a run when it may, or finds that it has to judge again. */
  async #contend(
    initializer: ClusterInitializer<T>,
    signal: AbortSignal | undefined,
  ): Promise<InitResult<T> | typeof LOST | typeof NOT_YET> {
    this.#contended = true;
    let running: Promise<unknown> | undefined;
    try {
      if (this.#seen.failure !== undefined) {
        await this.#during(this.#lookNow(), signal);
        this.#assertUsable();
      }
      const seen = this.#seen;
      const due = dueAt(seen);
      if (seen.record?.phase === "initializing") {
        await this.#sleepOrLook(due, signal);
      } else if (due > this.#clock.now()) {
        await this.#sleep(due, signal);
        return NOT_YET;
      }
      if (this.#seen !== seen || this.#isInitialized) return NOT_YET;
      const begun = this.#beginRun(seen, initializer, signal);
      running = begun.finally(() => this.#leave()).catch(() => {});
      return await this.#during(begun, signal);
    } finally {
      if (running === undefined) this.#leave();
    }
  }

  /** Lets the next call of this process contend. */
  #leave(): void {
    this.#contended = false;
    this.#wake();
  }

  /** Takes the cell and runs the initializer. Goes on when its caller has left. */
  async #beginRun(
    seen: Seen,
    initializer: ClusterInitializer<T>,
    signal: AbortSignal | undefined,
  ): Promise<InitResult<T> | typeof LOST | typeof NOT_YET> {
    const record = begin(seen, {
      owner: this.#clock.nonce(),
      lease: this.#lease,
      tag: this.#codec.tag,
      nonce: this.#clock.nonce(),
    });
    const sent = this.#clock.now();
    const run: Run = { record, version: 0n, sent };
    this.#run = run;
    try {
      // C1: over what was judged: uninitialized, or silent for its lease (C4)
      const version = await this.#write(record, seen.version);
      if (typeof version !== "bigint") return NOT_YET;
      run.version = version;
      if (signal?.aborted) {
        await this.#writeOwn(run, rollBack(record, false, this.#clock.nonce()));
        return NOT_YET;
      }
      return await this.#own(run, initializer);
    } finally {
      this.#run = undefined;
    }
  }

  /** Runs the initializer while it owns the cell, and publishes or rolls back. */
  async #own(
    run: Run,
    initializer: ClusterInitializer<T>,
  ): Promise<InitResult<T> | typeof LOST | typeof NOT_YET> {
    const running = new AbortController();
    const stop = new AbortController();
    const token = run.version;
    const end = () => stop.abort();
    this.#ends.add(end);
    try {
      // It may have taken so long to know that another has taken over meanwhile
      if (
        this.#clock.now() - run.sent >= this.#lease && !await this.#beat(run)
      ) return NOT_YET;
      const beats = this.#beatUntil(stop.signal, run);
      const made = await Promise.race([
        this.#make(initializer, { signal: running.signal, token }, run),
        beats,
      ]);
      this.#end.signal.throwIfAborted();
      stop.abort();
      if (typeof made === "object" && !made.ok) run.failed = made;
      // The last beat is settled before anything is written over it (C5)
      if (made === LOST || made === STOPPED || await beats === LOST) {
        running.abort(this.#ownerLost());
        return LOST;
      }
      return await this.#finish(run, made);
    } catch (error) {
      running.abort(error);
      if (run.failed === undefined || this.#end.signal.aborted) throw error;
      // It could not be rolled back, so its lease has to pass
      return { ok: false, reason: "during-init", error: run.failed.error };
    } finally {
      this.#ends.delete(end);
      stop.abort();
    }
  }

  /** Runs the initializer and encodes what it makes. Never rejects. */
  async #make(
    initializer: ClusterInitializer<T>,
    context: ClusterInitializerContext,
    run: Run,
  ): Promise<Made<T>> {
    try {
      const { owner } = run.record;
      const value = await runWithin(owner, () => initializer(context));
      const encoded = encodeValue(this.#codec, value);
      const record = publish(run.record, encoded, this.#clock.nonce());
      const { maxByteLength = Infinity } = this.#store;
      const byteLength = recordByteLength(record);
      if (byteLength > maxByteLength) {
        throw new RangeError(
          `Cannot publish the value of ${this.#label} as its entry must take at most ${maxByteLength} bytes in this store: it takes ${byteLength}`,
        );
      }
      return { ok: true, record };
    } catch (error) {
      return { ok: false, error };
    }
  }

  /** Publishes what was made, or rolls back. */
  async #finish(
    run: Run,
    made: Made<T>,
  ): Promise<InitResult<T> | typeof LOST> {
    if (made.ok) {
      try {
        // C2: over its own last beat. C3: which is not an initialized entry
        if (!await this.#writeOwn(run, made.record)) return LOST;
        const value = this.#isInitialized && this.#seen.version === run.version
          ? this.#value as Readonly<T>
          : decodeValue(this.#codec, made.record.value);
        return { ok: true, value };
      } catch (error) {
        if (!(error instanceof PermanentStoreError)) throw error;
        run.failed = { ok: false, error };
        return await this.#finish(run, run.failed);
      }
    }
    const { error } = made;
    // C2, as well
    return await this.#writeOwn(
        run,
        rollBack(run.record, true, this.#clock.nonce()),
      )
      ? { ok: false, reason: "during-init", error }
      : LOST;
  }

  /** Beats until it is told to stop, or the run has lost the cell. */
  async #beatUntil(
    stop: AbortSignal,
    run: Run,
  ): Promise<typeof STOPPED | typeof LOST> {
    for (;;) {
      await this.#sleepAlone(run.sent + this.#lease / BEATS_PER_LEASE, stop);
      if (stop.aborted) return STOPPED;
      if (!await this.#beat(run)) return LOST;
    }
  }

  /** Tells the others that the run lives. Returns whether it still owns the cell. */
  async #beat(run: Run): Promise<boolean> {
    // C2: over its own last beat
    return await this.#writeOwn(run, beat(run.record, this.#clock.nonce()));
  }

  /** C2: writes over the last entry of the run, and returns whether that was still there. */
  async #writeOwn(run: Run, record: EntryRecord): Promise<boolean> {
    const sent = this.#clock.now();
    // All that it has written before is settled, so what is there else is not its own (C5)
    const version = await this.#write(record, run.version, run);
    if (typeof version !== "bigint") return false;
    run.record = record;
    run.version = version;
    run.sent = sent;
    return true;
  }

  /** C1: writes `record` over the entry of version `expected`, and settles what came of it (C5). */
  async #write(
    record: EntryRecord,
    expected: bigint,
    run?: Run,
  ): Promise<Outcome> {
    const bytes = encodeRecord(record);
    const hasLanded = () => this.#seen.record?.nonce === record.nonce;
    let sent = false;
    return await this.#persist(async () => {
      const again = sent;
      if (again) {
        if (!hasLanded()) await this.#lookNow();
        if (hasLanded()) return this.#seen.version;
        if (this.#seen.version !== expected) return "unknown";
      }
      sent = true;
      const version = await this.#request(
        () => {
          const answer = this.#store.set(this.#key, bytes, expected);
          this.#sent = Promise.resolve(answer).catch(() => {});
          return answer;
        },
        record.phase === "initialized"
          ? this.#patience
          : this.#lease / REQUESTS_PER_LEASE,
      );
      if (version !== null) {
        assertVersion(version, expected + 1n);
        this.#observe({ value: bytes, version }, expected);
        return version;
      }
      // This one may have landed, and its repetition by the network been refused; or the
      // one before, after the look
      await this.#lookNow();
      if (hasLanded()) return this.#seen.version;
      if (this.#seen.version === expected) {
        throw new PermanentStoreError(
          `Cannot use the answer of the store as 'set' must replace the entry of version ${
            show(expected)
          }: it has refused, and 'get' still tells of that version`,
        );
      }
      return again ? "unknown" : "refused";
    }, run);
  }

  /**
   * Asks the store what is under the key now: after the call, as a request that has begun
   * before may have been answered from then.
   */
  #lookNow(): Promise<void> {
    return this.#nextLook ??= (this.#look ?? Promise.resolve())
      .catch(() => {})
      .then(() => {
        this.#nextLook = undefined;
        return this.#look = this.#persist(async () => {
          const highest = this.#highest;
          const entry = await this.#request(
            () => this.#store.get(this.#key),
            this.#patience,
          );
          if (entry !== null) assertEntry(entry, highest);
          this.#observe(entry, highest);
        }).finally(() => this.#look = undefined);
      });
  }

  /** Learns what is under the key from a request that began when `highest` was the highest version. */
  #observe(entry: Entry | null, highest: bigint): void {
    if (entry === null) {
      // C6: only if nothing was seen since. A second absence tells nothing new
      if (highest !== this.#highest) return;
      if (this.#seen.version === 0n && this.#seen !== UNSEEN) return;
      const { generation, version } = this.#seen;
      this.#accept({
        record: undefined,
        version: 0n,
        // C7: an operator has deleted it
        generation: version === 0n ? generation : generation + 1,
      });
      return;
    }
    const { version } = entry;
    // C6
    if (version <= this.#highest) return;
    this.#highest = version;
    try {
      const record = decodeRecord(entry.value);
      if (record.tag !== this.#codec.tag) {
        throw new LayoutMismatchError(
          `Cannot use ${this.#label} as its codec must be ${record.tag}: current value is ${this.#codec.tag}`,
        );
      }
      const { generation, phase, value } = record;
      this.#accept(
        { record: withoutValue(record), version, generation },
        phase === "initialized" ? decodeValue(this.#codec, value) : undefined,
      );
    } catch (failure) {
      const { generation } = this.#seen;
      this.#accept({ record: undefined, version, generation, failure });
    }
  }

  #accept(
    seen: Omit<Seen, "since" | "jitter">,
    value: Readonly<T> | undefined = undefined,
  ): void {
    const { now, random } = this.#clock;
    this.#seen = { ...seen, since: now(), jitter: random() };
    this.#value = value;
    this.#wake();
  }

  /** Follows the changes that the store tells of until the cell is disposed. */
  async #watch(): Promise<void> {
    this.#watching = true;
    const { signal } = this.#end;
    for (let failures = 0; !signal.aborted; failures++) {
      let events = 0;
      try {
        for await (const entry of this.#store.watch(this.#key, signal)) {
          if (signal.aborted) return;
          // The first comes with the watch: only another shows that it stands
          if (++events > 1) failures = 0;
          // C6: that there is none, or which is not known, only makes it look
          if (entry === null) {
            this.#lookNow().catch((error) => this.#doubt(error));
          } else {
            assertEntry(entry, 0n);
            this.#observe(entry, this.#highest);
          }
        }
      } catch (error) {
        if (this.#doubt(error)) break;
      }
      await this.#pause(failures).catch(() => {});
    }
    // The next call finds out why, and begins again
    this.#watching = false;
  }

  /** Makes the waiters look, and so get the error, if the store refuses for good. */
  #doubt(error: unknown): boolean {
    if (!(error instanceof PermanentStoreError)) return false;
    this.#refused = true;
    this.#wake();
    return true;
  }

  /**
   * Sends requests until one is answered, or it is known that none will be. A run that has
   * something to publish does not give up, as the store is silent for all that could take
   * over, too.
   */
  async #persist<R>(attempt: () => Promise<R>, run?: Run): Promise<R> {
    for (let failures = 0;; failures++) {
      try {
        return await attempt();
      } catch (error) {
        this.#end.signal.throwIfAborted();
        if (error instanceof PermanentStoreError) throw error;
        const now = this.#clock.now();
        this.#silentSince ??= now;
        const silence = now - this.#silentSince;
        const givesUp = run === undefined || run.failed !== undefined;
        if (givesUp && silence >= MAX_SILENCE * this.#lease) throw error;
        await this.#pause(failures);
      }
    }
  }

  /** One request, whose answer tells that the store is there. */
  async #request<R>(send: () => Promise<R>, patience: number): Promise<R> {
    this.#end.signal.throwIfAborted();
    const answer = await this.#answer(send, patience);
    this.#refused = false;
    this.#silentSince = undefined;
    this.#patience = this.#lease / REQUESTS_PER_LEASE;
    return answer;
  }

  /** One request, which is given up if the cell is disposed or it takes too long. */
  #answer<R>(send: () => Promise<R>, patience: number): Promise<R> {
    const { setTimeout, clearTimeout } = this.#clock;
    let timer: unknown;
    let end!: () => void;
    return new Promise<R>((resolve, reject) => {
      timer = setTimeout(() => {
        // Should it have been on its way, such as with a large value
        this.#patience = Math.min(2 * this.#patience, this.#lease);
        reject(
          new DOMException(
            `Cannot use ${this.#label} as its store must answer within ${
              Math.round(patience)
            } milliseconds: it has not`,
            "TimeoutError",
          ),
        );
      }, patience);
      end = () => reject(this.#end.signal.reason);
      this.#ends.add(end);
      (async () => await send())().then(resolve, reject);
    }).finally(() => {
      clearTimeout(timer);
      this.#ends.delete(end);
    });
  }

  /** Waits after a request that has failed, for longer the more have. */
  async #pause(failures: number): Promise<void> {
    const { now, random } = this.#clock;
    const most = Math.min(
      FIRST_RETRY * 2 ** failures,
      this.#lease / REQUESTS_PER_LEASE,
    );
    const { signal } = this.#end;
    await this.#sleepAlone(now() + most * (1 + random()) / 2, signal);
    signal.throwIfAborted();
  }

  /** When a waiter looks for itself, whatever its watch says: at least once in two leases. */
  #nextLookAt(): number {
    const { now, random } = this.#clock;
    return now() + this.#lease * (1 + random());
  }

  /** Sleeps until something is seen, or it is over; or, if neither is until `due`, looks. */
  async #sleepOrLook(
    due: number,
    signal: AbortSignal | undefined,
    isOver: () => boolean = () => false,
  ): Promise<void> {
    const seen = this.#seen;
    while (this.#seen === seen && !isOver()) {
      // C4: a look before it is due, which may well succeed, makes nothing due
      const isDue = this.#clock.now() >= due;
      if (isDue || this.#refused) {
        await this.#during(this.#lookNow(), signal);
        if (isDue) return;
      } else await this.#sleep(due, signal);
    }
  }

  /** Sleeps until something is seen, the turn of another call comes, or it is `due`. */
  #sleep(due: number, signal: AbortSignal | undefined): Promise<void> {
    let wake!: () => void;
    const woken = new Promise<void>((resolve) => wake = resolve);
    this.#sleepers.add(wake);
    const timer = due === Infinity ? undefined : this.#timer(wake, due);
    return this.#during(woken, signal).finally(() => {
      this.#sleepers.delete(wake);
      this.#clock.clearTimeout(timer);
    });
  }

  /** Sleeps until it is `due`, or `signal` is aborted. */
  #sleepAlone(due: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        this.#clock.clearTimeout(timer);
        signal.removeEventListener("abort", wake);
        resolve();
      };
      const timer = this.#timer(wake, due);
      signal.addEventListener("abort", wake);
      if (signal.aborted) wake();
    });
  }

  #timer(wake: () => void, due: number): unknown {
    const { now, setTimeout } = this.#clock;
    return setTimeout(wake, Math.min(Math.max(due - now(), 0), MAX_LEASE));
  }

  #wake(): void {
    for (const wake of this.#sleepers) wake();
  }

  /** Settles as `promise`, unless the caller leaves or the cell is disposed first. */
  #during<R>(
    promise: Promise<R>,
    signal: AbortSignal | undefined,
  ): Promise<R> {
    let abort!: () => void;
    let end!: () => void;
    return new Promise<R>((resolve, reject) => {
      abort = () => reject(signal!.reason);
      end = () => reject(this.#end.signal.reason);
      if (signal?.aborted) abort();
      if (this.#end.signal.aborted) end();
      signal?.addEventListener("abort", abort);
      this.#ends.add(end);
      promise.then(resolve, reject);
    }).finally(() => {
      this.#ends.delete(end);
      signal?.removeEventListener("abort", abort);
    });
  }
}

/** What an initializer has made: the entry to publish, or an error. */
type Made<T> = { readonly ok: true; readonly record: EntryRecord } | Failed;

interface Failed {
  readonly ok: false;
  readonly error: unknown;
}

/** What is remembered of an entry: the value is kept decoded. */
function withoutValue(record: EntryRecord): EntryRecord {
  return { ...record, value: NO_VALUE };
}

function assertStore(store: unknown): asserts store is Store {
  const { get, set, watch } = Object(store);
  if ([get, set, watch].every((method) => typeof method === "function")) return;
  throw new TypeError(
    `Cannot create the cell as 'store' must have 'get', 'set' and 'watch': current value is ${
      show(store)
    }`,
  );
}

function assertKey(key: unknown): asserts key is string {
  if (typeof key !== "string" || !key.isWellFormed()) {
    throw new TypeError(
      `Cannot create the cell as 'key' must be a well-formed string: current value is ${
        show(key)
      }`,
    );
  }
  const { length } = encoder.encode(key);
  if (length >= 1 && length <= MAX_KEY_LENGTH) return;
  throw new RangeError(
    `Cannot create the cell as 'key' must take 1 to ${MAX_KEY_LENGTH} bytes: it takes ${length}`,
  );
}

function assertLease(lease: unknown): asserts lease is number {
  if (typeof lease !== "number") {
    throw new TypeError(
      `Cannot create the cell as 'lease' must be a number of milliseconds: current value is ${
        show(lease)
      }`,
    );
  }
  if (Number.isInteger(lease) && lease >= MIN_LEASE && lease <= MAX_LEASE) {
    return;
  }
  throw new RangeError(
    `Cannot create the cell as 'lease' must be an integer from ${MIN_LEASE} to ${MAX_LEASE} milliseconds: current value is ${lease}`,
  );
}

/** Throws unless a store may answer with `version` after it has told of `least`. */
function assertVersion(
  version: unknown,
  least: bigint,
): asserts version is bigint {
  if (typeof version === "bigint" && version > 0n && version >= least) return;
  throw new PermanentStoreError(
    `Cannot use the answer of the store as 'version' must be a bigint above 0 that never decreases: current value is ${
      show(version)
    }${least > 0n ? ` after ${show(least)}` : ""}`,
  );
}

function assertEntry(entry: unknown, least: bigint): asserts entry is Entry {
  const { value, version } = Object(entry);
  if (!ArrayBuffer.isView(value) || Object(value).BYTES_PER_ELEMENT !== 1) {
    throw new PermanentStoreError(
      `Cannot use the answer of the store as 'value' must be a Uint8Array: current value is ${
        show(value)
      }`,
    );
  }
  assertVersion(version, least);
}
