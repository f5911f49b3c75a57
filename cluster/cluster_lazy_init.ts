// Copyright 2026 the lazyinit authors. MIT license.

/*
 * The protocol of a cell that processes share by one entry of a store: which process may
 * write it when. The entry is value, lock and fence in one.
 *
 *   _protocol.ts  the phases of an entry and their edges; nothing there waits
 *   _entry.ts     its bytes
 *   _run.ts       a run of an initializer: takes the cell, beats, publishes (C2, C3)
 *   _view.ts      what is seen of the key, and what came of a write (C4 to C7)
 *   _requests.ts  what is asked of the store, for how long, and when a call gives up
 *   this file     the calls, and which of this process contends
 *
 * INVARIANTS
 *
 *   C1  Every write is a compare-and-set on the very entry that was judged: the version
 *       that it expects is that of the record on which the decision was based.
 *   C2  An owner beats, publishes and rolls back only over the last entry that it has
 *       written itself. So of a paused owner and its successor, only one publishes, and an
 *       owner that has lost its lease to a successor never does: that is the fence.
 *   C3  An initialized entry is left by a reset only.
 *   C4  No clocks of two machines are compared. A lease is over if and only if the very
 *       same entry has been seen for as long as it says, from its first sight on, by the
 *       clock of the process that judges.
 *   C5  A write that was refused, or whose outcome is unknown, is settled by its nonce
 *       before anything else is written. If the entry has that nonce, the write has landed.
 *       If the entry has another version than the write expects, the write never will land.
 *       Otherwise the same bytes are sent again.
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
 * it holds when it writes the value; an expiry time, which compares clocks; a deletion on
 * reset, after which generations begin again.
 */

import {
  assertCodec,
  assertFunction,
  assertOptions,
  isInteger,
  outOfRange,
  signalOf,
  wrongType,
} from "../_checks.ts";
import type { Codec } from "../codec.ts";
import {
  AlreadyInitializedError,
  RecursiveInitializationError,
} from "../errors.ts";
import type { InitResult, Phase } from "../mod.ts";
import { currentClock } from "./_clock.ts";
import { MAX_LEASE, MIN_LEASE } from "./_entry.ts";
import { dueAt, reset, UNSEEN } from "./_protocol.ts";
import { Requests } from "./_requests.ts";
import { LOST, NOT_YET, ownerLost, Run } from "./_run.ts";
import { View } from "./_view.ts";
import { isWithin } from "./_within.ts";
import type { Store } from "./store.ts";

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
   * How long a process that runs an initializer may be silent before another takes over, in
   * ms: at least 1,000. The lease must be longer than any pause of the process, and longer
   * than the store takes to write a value. It must also be longer than any time for which
   * the process's event loop is blocked, such as by the initializer itself. Long
   * computations belong in a worker.
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
   * run permanently, or when the cell is disposed: what the initializer returns is then dropped.
   */
  readonly signal: AbortSignal;
  /**
   * The fencing token of the run, higher than that of every earlier run of the key. An
   * initializer that writes elsewhere passes it along, so that the other side can refuse a
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

const DEFAULT_LEASE = 10_000;
const MAX_KEY_LENGTH = 1_024;

const encoder = new TextEncoder();

/**
 * A value that one process of a cluster at a time may initialize while the others
 * wait, and that every process then reads for the price of a field access.
 *
 * All processes construct a cell over the same store, key and codec. The first process that
 * needs the value makes it. If that process dies or is cut off meanwhile, another succeeds
 * it when the lease is over. If an initializer fails, its caller gets the error, and one of
 * the others runs its own.
 *
 * Exactly one run publishes, always. Exactly one runs, as long as its process writes to the
 * store once in a lease. A run whose process is paused for longer runs beside its
 * successor, and its value is dropped. Side effects elsewhere need the `token` of the run.
 *
 * Between machines a cell is only as fresh as news from the store: {@linkcode
 * ClusterLazyInit.get} may return a value that another process has just reset;
 * {@linkcode ClusterLazyInit.refresh} does not. Calls go on when the store comes back from
 * an outage. A call that gets no answer rejects with the store's error, after three leases
 * at the earliest and six at the latest, but a run goes on.
 *
 * From its first asynchronous call on, a cell watches its key, which keeps the process
 * alive until the cell is disposed.
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
  readonly #view: View<T>;
  readonly #requests: Requests;
  readonly #codec: Codec<T>;
  /** Whether a call of this process contends for the cell, or runs its initializer. */
  #contended = false;
  #run: Run<T> | undefined = undefined;

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
    const label = `ClusterLazyInit ${JSON.stringify(key)}`;
    const clock = currentClock();
    this.#requests = new Requests(store, { key, label, lease, clock });
    this.#view = new View(this.#requests, codec);
    this.#codec = codec;
  }

  /**
   * Returns the value, if this process has seen that there is one. This is a field read.
   *
   * It is as fresh as the watch of the store: before the first asynchronous call there is
   * nothing, and a reset by another process shows a moment later. If the store refuses the
   * watch permanently, the value stays as it is until the next asynchronous call, which
   * rejects with the reason.
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
    return this.#view.value;
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
    return this.#view.seen.record?.phase ?? "uninitialized";
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
    return this.#view.seen.generation;
  }

  /**
   * Resolves with the value, and initializes the cell if it is not initialized.
   *
   * It resolves at once if this process has seen the value. Otherwise, of all calls in all
   * processes, one runs its initializer. If the process loses the cell meanwhile, the call
   * goes on as a waiter, and resolves with the value of the successor.
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
   * @returns A promise of the value. It rejects with what the initializer throws, with the
   * reason of an aborted signal, or with the error of a store that refuses or is silent for
   * three leases. It also rejects with a `TypeError` or `RangeError` if the value cannot be
   * encoded or is too large for the store, with a {@linkcode RecursiveInitializationError}
   * if the initializer of this cell calls it, and with a {@linkcode LayoutMismatchError} if
   * the key holds something else. If the cell is disposed, it rejects with a `DOMException`
   * named `InvalidStateError`.
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
      `Cannot initialize ${this.#requests.label} as it is initialized already`,
      result.value,
    );
  }

  /**
   * Initializes the cell, and resolves with how that went.
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
    // Not by what was seen before or is reported late, as this call must be the one that
    // initializes
    await this.#look(signal);
    const result = await this.#tryInit(initializer, signal);
    if (result === LOST) throw ownerLost(this.#requests.label);
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
   * except that there is no initializer.
   */
  async wait(options: ClusterLazyInitWaitOptions = {}): Promise<Readonly<T>> {
    const signal = this.#begin(options);
    if (!this.#view.isInitialized) await this.#look(signal);
    while (!this.#view.isInitialized) {
      this.#view.assertUsable();
      this.#assertNotWithin();
      await this.#view.sleepOrLook(this.#view.nextLookAt(), signal);
    }
    return this.#view.value as Readonly<T>;
  }

  /**
   * Empties the cell, in all processes. Waits while an initializer runs.
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
   * {@linkcode ClusterLazyInit.getOrInit}, except that there is no initializer.
   */
  async reset(options: ClusterLazyInitWaitOptions = {}): Promise<boolean> {
    const signal = this.#begin(options);
    await this.#look(signal);
    for (;;) {
      this.#view.assertUsable();
      const seen = this.#view.seen;
      const { record, version } = seen;
      if (record === undefined || record.phase === "uninitialized") {
        return false;
      }
      const initialized = record.phase === "initialized";
      if (!initialized) {
        this.#assertNotWithin();
        await this.#view.sleepOrLook(dueAt(seen), signal);
        if (seen !== this.#view.seen) continue;
      }
      // C1: over what was judged. C3, C7: a reset, not a deletion
      const outcome = await this.#requests.during(
        this.#view.write(reset(record, this.#requests.clock.nonce()), version),
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
   * ClusterLazyInit.getOrInit}, except that there is no initializer.
   */
  async refresh(
    options: ClusterLazyInitWaitOptions = {},
  ): Promise<Readonly<T> | undefined> {
    const signal = this.#begin(options);
    await this.#look(signal);
    this.#view.assertUsable();
    return this.#view.value;
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
   * @returns A promise that resolves when the cell no longer keeps anything alive.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#requests.end.aborted) return;
    const run = this.#run;
    this.#requests.dispose();
    await run?.giveUp();
  }

  /** Begins a call: throws if the cell is disposed, and watches from now on. */
  #begin(options: ClusterLazyInitWaitOptions): AbortSignal | undefined {
    const signal = signalOf(options);
    this.#requests.begin();
    if (!this.#view.isInitialized && signal?.aborted) throw signal.reason;
    this.#view.watch();
    return signal;
  }

  /** Looks at what is under the key, unless the caller leaves. */
  async #look(signal: AbortSignal | undefined): Promise<void> {
    await this.#requests.during(this.#view.lookNow(), signal);
  }

  /** A call within the run would wait for itself, even through another object for the same key. */
  #assertNotWithin(): void {
    const { record } = this.#view.seen;
    if (record?.phase === "initializing" && isWithin(record.owner)) {
      throw new RecursiveInitializationError(
        `Cannot wait for ${this.#requests.label} as this call must not be within its initializer: use what the initializer has instead`,
      );
    }
  }

  /** What one call does to initialize the cell. */
  async #tryInit(
    initializer: ClusterInitializer<T>,
    signal: AbortSignal | undefined,
  ): Promise<InitResult<T> | typeof LOST> {
    if (this.#view.seen === UNSEEN) await this.#look(signal);
    for (;;) {
      if (this.#view.isInitialized) {
        const value = this.#view.value as Readonly<T>;
        return { ok: false, reason: "already-init", value };
      }
      this.#assertNotWithin();
      // One call of this process at a time
      if (this.#contended) {
        const isOver = () => !this.#contended;
        await this.#view.sleepOrLook(this.#view.nextLookAt(), signal, isOver);
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
      if (this.#view.seen.failure !== undefined) {
        await this.#look(signal);
        this.#view.assertUsable();
      }
      const seen = this.#view.seen;
      const due = dueAt(seen);
      if (seen.record?.phase === "initializing") {
        await this.#view.sleepOrLook(due, signal);
      } else if (due > this.#requests.clock.now()) {
        await this.#view.sleep(due, signal);
        return NOT_YET;
      }
      if (this.#view.seen !== seen || this.#view.isInitialized) return NOT_YET;
      // Goes on when its caller has left
      const run = new Run(this.#requests, this.#view, this.#codec, seen);
      this.#run = run;
      const begun = run.take(seen, initializer, signal);
      running = begun.finally(() => this.#leave()).catch(() => {});
      return await this.#requests.during(begun, signal);
    } finally {
      if (running === undefined) this.#leave();
    }
  }

  /** Lets the next call of this process contend. */
  #leave(): void {
    this.#run = undefined;
    this.#contended = false;
    this.#view.wake();
  }
}

function assertStore(store: unknown): asserts store is Store {
  const { get, set, watch } = Object(store);
  if ([get, set, watch].every((method) => typeof method === "function")) return;
  const wanted = "have 'get', 'set' and 'watch'";
  throw wrongType("create the cell", "store", wanted, store);
}

function assertKey(key: unknown): asserts key is string {
  if (typeof key !== "string" || !key.isWellFormed()) {
    const wanted = "be a well-formed string";
    throw wrongType("create the cell", "key", wanted, key);
  }
  const { length } = encoder.encode(key);
  if (length >= 1 && length <= MAX_KEY_LENGTH) return;
  throw new RangeError(
    `Cannot create the cell as 'key' must take 1 to ${MAX_KEY_LENGTH} bytes: it takes ${length}`,
  );
}

function assertLease(lease: unknown): asserts lease is number {
  if (isInteger(lease, MIN_LEASE, MAX_LEASE)) return;
  const wanted = `be an integer from ${MIN_LEASE} to ${MAX_LEASE} milliseconds`;
  const type = "be a number of milliseconds";
  throw outOfRange("create the cell", "lease", wanted, lease, type);
}
