// Copyright 2026 the lazyinit authors. MIT license.
// This module is browser compatible.

/*
 * What both kinds of cell are: a state, a slot, a codec, and the one way through them.
 *
 * A run of an initializer goes through #own(), which takes the cell and gives it back
 * if anything fails, and #publish(), which gives it back with a value. Word 5 of the
 * header holds how many bytes of the slot are in use, so that no others are zeroed.
 */

import { holdAgentLock, recoverWhenWorkersEnd } from "./_agent.ts";
import { assertFunction, label, show } from "./_checks.ts";
import { now } from "./_clock.ts";
import { blockLooking, sleepLooking } from "./_deadlock.ts";
import {
  type CellKind,
  claim,
  type LazyInitHandle,
  type LazyInitOptions,
  type Place,
  placeOf,
} from "./_layout.ts";
import { alignToSlot, growTo } from "./_memory.ts";
import { finishResets, SLICE_BYTES, zeroInTurns } from "./_resetting.ts";
import {
  beginRun,
  currentRuns,
  finishRun,
  isWithin,
  type Run,
  within,
  withinAsync,
} from "./_running.ts";
import { encodeOpen, fixedSlot } from "./_slot.ts";
import { inLine } from "./_waiting.ts";
import { OnceState, type Phase } from "./atomics.ts";
import type { Codec, Slot } from "./codec.ts";
import {
  AlreadyInitializedError,
  LayoutMismatchError,
  NotInitializedError,
  OwnerLostError,
  RecursiveInitializationError,
} from "./errors.ts";

/** How many bytes of the slot are in use. */
export const LENGTH_WORD = 5;

/**
 * Options of the methods that may block.
 *
 * @example Usage
 * ```ts
 * import { int32, LazyInit, type LazyInitWaitOptions } from "@lazyinit/lazyinit";
 * import { assertThrows } from "@std/assert";
 *
 * const options: LazyInitWaitOptions = { timeout: 10 };
 * assertThrows(() => new LazyInit(int32).wait(options), DOMException);
 * ```
 */
export interface LazyInitWaitOptions {
  /** How long to block at the most, in ms; for ever by default, and 0 never blocks. */
  timeout?: number;
  /** For the methods that do not block alone. */
  signal?: never;
}

/**
 * Options of the methods that may wait without blocking.
 *
 * @example Usage
 * ```ts
 * import { int32, LazyInit, type LazyInitWaitAsyncOptions } from "@lazyinit/lazyinit";
 * import { assertRejects } from "@std/assert";
 *
 * const options: LazyInitWaitAsyncOptions = { signal: AbortSignal.timeout(10) };
 * await assertRejects(() => new LazyInit(int32).waitAsync(options), DOMException);
 * ```
 */
export interface LazyInitWaitAsyncOptions {
  /** Ends the wait: the promise rejects with the signal's reason. */
  signal?: AbortSignal | null;
  /** For the methods that block alone. */
  timeout?: never;
}

/**
 * What came of an attempt to initialize a cell.
 *
 * Corresponds to the kernel's `Result<&T, LazyInitError>`.
 *
 * @example Usage
 * ```ts
 * import { type InitResult, int32, MutexLazyInit } from "@lazyinit/lazyinit";
 * import { assertEquals } from "@std/assert";
 *
 * function describe(result: InitResult<number>): string {
 *   if (result.ok) return `made ${result.value}`;
 *   if (result.reason === "already-init") return `found ${result.value}`;
 *   return `failed: ${result.error}`;
 * }
 * const cell = new MutexLazyInit(int32);
 * assertEquals(describe(cell.tryInit(() => 42)), "made 42");
 * assertEquals(describe(cell.tryInit(() => 43)), "found 42");
 * ```
 *
 * @typeParam T The type of the value.
 */
export type InitResult<T> =
  | {
    /** This call made the value. */
    readonly ok: true;
    /** The value as every agent reads it. */
    readonly value: Readonly<T>;
  }
  | {
    /** This call did not make the value. */
    readonly ok: false;
    /** The cell was initialized; the initializer was not called. */
    readonly reason: "already-init";
    /** The value as every agent reads it. */
    readonly value: Readonly<T>;
  }
  | {
    /** This call did not make the value. */
    readonly ok: false;
    /** The initializer failed, or the codec refused its value; the cell is uninitialized. */
    readonly reason: "during-init";
    /** What was thrown, unchanged. */
    readonly error: unknown;
  };

/** An initializer of either type, as a cell calls it. */
export type AnyInitializer = (
  slot?: unknown,
  allocate?: (length: number) => unknown,
) => unknown;

/**
 * Remembers a value, and the state word with which it is in the slot.
 *
 * Typed as a method, so that a cell of numbers is a cell of unknown values.
 */
export type Keep<T> = { keep(value: Readonly<T>, word: number): void }["keep"];

/** What the rooms of the other words need of a cell, protected in an {@linkcode OnceState}. */
export interface Cell<T> {
  readonly words: Int32Array;
  readonly index: number;
  get ownedByThisAgent(): boolean;
  load(): number;
  owns(generation: number): boolean;
}

/** A cell of either kind, without the read cache that its face has. */
export class Cell<T> extends OnceState {
  readonly kind: CellKind;
  readonly #name: string;
  readonly #codec: Codec<T>;
  /** The size of the slot, in bytes; read once, as a codec could change. */
  readonly #capacity: number;

  /** For memory that the caller has claimed, or claims next. */
  constructor(
    kind: CellKind,
    codec: Codec<T>,
    { buffer, byteOffset, name }: Omit<Place, "isFresh">,
  ) {
    super(buffer, byteOffset);
    this.kind = kind;
    this.#name = name;
    this.#codec = codec;
    this.#capacity = codec.byteLength;
  }

  /** Places a cell, or attaches to the one of the same layout that is there already. */
  static place<T>(
    kind: CellKind,
    codec: Codec<T>,
    options: LazyInitOptions,
  ): Cell<T> {
    const place = placeOf(kind, codec, options);
    const cell = new Cell(kind, codec, place);
    claim(kind, codec, place, cell.words, cell.index);
    return cell;
  }

  get name(): string {
    return this.#name;
  }

  override get label(): string {
    return label(this.kind, this.name);
  }

  get handle(): LazyInitHandle {
    // From here on another agent may own the cell
    recoverWhenWorkersEnd(this);
    const { kind, buffer, byteOffset, name } = this;
    return { kind, buffer, byteOffset, name, tag: this.#codec.tag };
  }

  /** The value, of a cell that is initialized; anything, of another. */
  decode(): Readonly<T> {
    const codec = this.#codec;
    const length = codec.open === true ? this.#length : this.#capacity;
    return codec.decode(this.#slot(length));
  }

  /** The state word alone. */
  get stateView(): Int32Array {
    return new Int32Array(this.buffer, this.byteOffset, 1);
  }

  /** Hands the value to `keep` if there is one, and returns whether there is. */
  read(keep: Keep<T>): boolean {
    for (;;) {
      const word = this.loadInitialized();
      if (word === undefined) return false;
      const decoded = this.confirmed(word, () => this.decode());
      if (decoded === undefined) continue;
      keep(decoded.result, word);
      return true;
    }
  }

  /**
   * Returns what `body` makes of the value that was in the slot with that state word;
   * `undefined` if a reset since then may have torn what it has read, or made it fail.
   */
  confirmed<R>(
    word: number,
    body: () => R,
  ): { readonly result: R } | undefined {
    try {
      const result = body();
      return this.confirm(word) ? { result } : undefined;
    } catch (error) {
      if (this.confirm(word)) throw error;
      return undefined;
    }
  }

  /** Encodes the value, if the cell is uninitialized; returns `undefined` if not. */
  store(value: T, keep: Keep<T>): InitResult<T> | undefined {
    const generation = this.tryBegin();
    if (generation < 0) return undefined;
    const run: Owner = { generation, finished: false };
    try {
      return this.#publish(run, this.#encode(run, value), keep);
    } catch (error) {
      return this.#fail(run, error);
    }
  }

  /** Runs the initializer, if the cell is uninitialized; returns `undefined` if not. */
  make(
    initializer: AnyInitializer,
    alternative: string,
    keep: Keep<T>,
  ): InitResult<T> | undefined {
    const generation = this.tryBegin();
    if (generation < 0) return undefined;
    let run: Owner = { generation, finished: false };
    try {
      const begun = run = beginRun(this, generation);
      const filling = this.#beginFilling(run);
      const made = within(
        begun,
        initializer,
        filling?.view,
        filling?.allocate,
      );
      if (isPromiseLike(made)) throw mustNotBePromise(made, alternative);
      const value = this.#publish(run, this.#fill(run, filling, made), keep);
      finishRun(begun);
      return value;
    } catch (error) {
      return this.#fail(run, error);
    }
  }

  /** As {@linkcode Cell.make}, for an initializer that may be asynchronous. */
  makeAsync(
    initializer: AnyInitializer,
    keep: Keep<T>,
    outer?: Run,
  ): Promise<InitResult<T>> | InitResult<T> | undefined {
    const generation = this.tryBegin();
    if (generation < 0) return undefined;
    let run: Owner = { generation, finished: false };
    try {
      const begun = run = beginRun(this, generation, outer);
      const filling = this.#beginFilling(run);
      const made = withinAsync(
        begun,
        () => initializer(filling?.view, filling?.allocate),
      );
      if (isPromiseLike(made)) return this.#settle(begun, filling, made, keep);
      const value = this.#publish(run, this.#fill(run, filling, made), keep);
      finishRun(begun);
      return value;
    } catch (error) {
      return this.#fail(run, error);
    }
  }

  async #settle(
    run: Run,
    filling: Filling<T> | undefined,
    made: unknown,
    keep: Keep<T>,
  ): Promise<InitResult<T>> {
    const conceal = holdAgentLock(() => {
      if (this.owns(run.generation)) this.markAnnounced();
    });
    try {
      return this.#publish(run, this.#fill(run, filling, await made), keep);
    } catch (error) {
      return this.#fail(run, error);
    } finally {
      finishRun(run);
      conceal();
    }
  }

  /** Gives the cell back without a value: see "Nothing may fail" in `atomics.ts`. */
  #fail(run: Owner, error: unknown): Failure {
    // It has published, and what failed came after
    if (run.finished) throw error;
    const { generation } = run;
    // I3: zero again, before the CAS
    if (this.owns(generation)) this.zero();
    const isLost = !this.rollbackRun(generation);
    run.finished = true;
    if (isLost && error instanceof OwnerLostError) throw error;
    return { ok: false, reason: "during-init", error };
  }

  #publish(run: Owner, value: Readonly<T>, keep: Keep<T>): InitResult<T> {
    // I2: the value is whole
    const word = this.publishRun(run.generation);
    if (word === undefined) throw this.lost("publish the value of");
    run.finished = true;
    keep(value, word);
    return { ok: true, value };
  }

  /** What an initializer gets to fill, if the values are views. */
  #beginFilling(run: Owner): Filling<T> | undefined {
    const codec = this.#codec;
    if (codec.view !== true) return undefined;
    const length = codec.open === true ? 0 : this.#reserve(run, this.#capacity);
    const filling: Filling<T> = {
      view: codec.decode(this.#slot(length)),
      allocated: undefined,
      allocate: (length) => {
        if (run.finished) throw allocatedTooLate();
        const byteLength = this.#allocation(filling.view, length);
        // Twice, so that the last is zero
        this.#reserve(run, 0);
        this.#reserve(run, byteLength);
        return filling.allocated = codec.decode(this.#slot(byteLength));
      },
    };
    return filling;
  }

  /** How many bytes so many elements of a view take. */
  #allocation(view: T, length: unknown): number {
    const { open, tag } = this.#codec;
    const { BYTES_PER_ELEMENT = 1 } = view as { BYTES_PER_ELEMENT?: number };
    const max = this.#capacity / BYTES_PER_ELEMENT;
    if (typeof length !== "number") {
      throw new TypeError(
        `Cannot allocate ${tag} as 'length' must be a number: current value is ${
          show(length)
        }`,
      );
    }
    if (
      !Number.isInteger(length) || length < (open === true ? 0 : max) ||
      length > max
    ) {
      throw new RangeError(
        `Cannot allocate ${tag} as 'length' must be ${
          open === true ? `an integer from 0 to ${max}` : max
        }: current value is ${length}`,
      );
    }
    return length * BYTES_PER_ELEMENT;
  }

  /** Lays out what an initializer made, and returns it as every agent reads it. */
  #fill(
    run: Owner,
    filling: Filling<T> | undefined,
    made: unknown,
  ): Readonly<T> {
    if (filling === undefined) return this.#encode(run, made as T);
    const { view, allocated = this.#codec.open === true ? undefined : view } =
      filling;
    if (made !== undefined && made !== allocated) {
      return this.#encode(run, made as T);
    }
    if (allocated !== undefined) return allocated;
    throw new TypeError(
      `Cannot initialize ${this.label} as the initializer must call 'allocate' or return a value: it has done neither`,
    );
  }

  #encode(run: Owner, value: T): Readonly<T> {
    const codec = this.#codec;
    if (codec.open !== true) {
      const slot = this.#slot(this.#reserve(run, this.#capacity));
      codec.encode(value, slot);
      return codec.decode(slot);
    }
    const length = encodeOpen(codec, value, this.#slot(0), (byteLength) => {
      this.#reserve(run, byteLength);
      return this.#slot(0);
    });
    return codec.decode(this.#slot(length));
  }

  /** Makes room for a value of that length, in bytes, and returns that. */
  #reserve(run: Owner, byteLength: number): number {
    // As late as can be, as an agent may have declared this one dead
    if (!this.owns(run.generation)) throw this.lost("write to");
    const { words, index } = this;
    const used = words[index + LENGTH_WORD]! >>> 0;
    if (byteLength < used) this.#shrink(used, byteLength);
    else if (byteLength > used) {
      this.makeRoom(byteLength);
      // Plain: I1
      words[index + LENGTH_WORD] = byteLength;
    }
    return byteLength;
  }

  /** Zeroes what is in use beyond that length, in bytes. */
  #shrink(used: number, byteLength: number): void {
    const byteOffset = this.slotOffset + byteLength;
    new Uint8Array(this.buffer, byteOffset, used - byteLength).fill(0);
    // Plain: I1
    this.words[this.index + LENGTH_WORD] = byteLength;
  }

  /** So many bytes of the slot. */
  #slot(byteLength: number): Slot {
    const { buffer, slotOffset } = this;
    return fixedSlot({ buffer, byteOffset: slotOffset }, byteLength);
  }

  /** Where the slot begins, in bytes: after the header, unless a subclass has it elsewhere. */
  protected get slotOffset(): number {
    return this.byteOffset + OnceState.byteLength;
  }

  /** How many bytes the slot has room for, as long as none is made. */
  protected get room(): number {
    return this.buffer.byteLength - this.byteOffset - OnceState.byteLength;
  }

  /** Has the slot have room for so many bytes, for the owner of the cell. */
  protected makeRoom(byteLength: number): void {
    growTo(this.buffer, this.slotOffset + alignToSlot(byteLength));
  }

  /** How many bytes of the slot are in use. */
  get #length(): number {
    const length = this.words[this.index + LENGTH_WORD]! >>> 0;
    if (length <= this.#capacity && length <= this.room) return length;
    throw new LayoutMismatchError(
      `Cannot read ${this.label} as its value must take at most ${this.#capacity} bytes: its length word says ${length}`,
    );
  }

  /** As {@linkcode OnceState.reset}, but lets the event loop run while it zeroes much. */
  resetInTurns(): boolean | Promise<boolean> {
    // Plain, as a guess: another agent may reset and initialize the cell now
    const used = this.words[this.index + LENGTH_WORD]! >>> 0;
    if (used <= SLICE_BYTES) return this.reset();
    const generation = this.tryBeginReset();
    if (generation < 0) return false;
    try {
      return this.#resetInTurns(generation);
    } catch (error) {
      // For want of stack
      this.endReset(generation);
      throw error;
    }
  }

  #resetInTurns(generation: number): Promise<boolean> {
    const conceal = holdAgentLock(() => {
      if (this.owns(generation)) this.markAnnounced();
    });
    return zeroInTurns(
      () => this.owns(generation) && this.#zeroSlice(),
      () => {
        const isReset = this.endReset(generation);
        conceal();
        return isReset;
      },
    ).then((isReset) => {
      if (isReset) return true;
      throw this.lost("reset");
    });
  }

  /** Zeroes the last slice of what is in use, and returns whether more is left. */
  #zeroSlice(): boolean {
    const used = this.#length;
    this.#shrink(used, Math.max(0, used - SLICE_BYTES));
    return used > SLICE_BYTES;
  }

  /** Leaves nothing behind of a value that has failed or is reset. */
  protected override zero(): void {
    const { words, index, buffer } = this;
    const byteOffset = this.byteOffset + OnceState.byteLength;
    // The word may have been overwritten
    const used = Math.min(
      words[index + LENGTH_WORD]! >>> 0,
      this.#capacity,
      buffer.byteLength - byteOffset,
    );
    new Uint8Array(buffer, byteOffset, used).fill(0);
    words[index + LENGTH_WORD] = 0;
  }

  /** Blocks until `attempt`, which has just returned nothing, returns something. */
  block<R>(
    timeout: number,
    alternative: string,
    attempt: () => R | undefined,
  ): R {
    // This agent may be resetting the cell, which then needs no wait
    finishResets();
    this.assertNotOwned();
    const end = now() + timeout;
    return blockLooking(this, (interval) => {
      const word = this.load();
      const result = attempt();
      if (result !== undefined) return result;
      const left = end - now();
      if (left <= 0) throw this.#timedOut(timeout);
      const slept = this.sleep(word, Math.min(left, interval), alternative);
      // A sleep of the whole rest is the end, whatever the clock says
      if (slept !== "timed-out" || left > interval) return undefined;
      const last = attempt();
      if (last === undefined) throw this.#timedOut(timeout);
      return last;
    });
  }

  /** As {@linkcode Cell.block}, without blocking. */
  until<R>(
    signal: AbortSignal | undefined,
    attempt: () => R | undefined,
  ): Promise<R> {
    return this.#looking(
      signal,
      (_, signal) => this.#sleepUntil(signal, attempt),
    );
  }

  /**
   * As {@linkcode Cell.until}, for one after the other of the tasks of this agent. Tells
   * `attempt` of which run the call is part.
   */
  untilTurn<R>(
    signal: AbortSignal | undefined,
    attempt: (outer: Run | undefined) => R | undefined,
  ): Promise<R> {
    return this.#looking(signal, (runs, signal) => {
      const sleep = () => this.#sleepUntil(signal, () => attempt(runs.at(-1)));
      return inLine(this.words, this.index, signal, sleep);
    });
  }

  async #looking<R>(
    signal: AbortSignal | undefined,
    sleep: (
      runs: readonly Run[],
      signal: AbortSignal | undefined,
    ) => Promise<R>,
  ): Promise<R> {
    // Taken once, as nothing tells after the first sleep in browsers
    const runs = currentRuns();
    if (isWithin(this, runs)) throw this.recursive();
    return await sleepLooking(
      this,
      runs,
      signal,
      (signal) => sleep(runs, signal),
    );
  }

  async #sleepUntil<R>(
    signal: AbortSignal | undefined,
    attempt: () => R | undefined,
  ): Promise<R> {
    for (;;) {
      const word = this.load();
      const result = attempt();
      if (result !== undefined) return result;
      await this.sleepAsync(word, signal);
    }
  }

  /** Shows the cell as `LazyInit "name" { 42 }`, and one without a value as `{ <phase> }`. */
  inspect(show: (value: Readonly<T>) => string): string {
    return `${this.label} { ${this.#inspectValue(show)} }`;
  }

  #inspectValue(show: (value: Readonly<T>) => string): string {
    let text: string | undefined;
    try {
      this.read((value) => text = show(value));
      return text ?? `<${this.phase}>`;
    } catch {
      return "<undecodable>";
    }
  }

  /** Throws if this agent owns the cell: a synchronous call can then never succeed. */
  assertNotOwned(): void {
    if (this.ownedByThisAgent) throw this.recursive();
  }

  /** Throws unless the codec's values are views, which alone can be written through. */
  assertView(): void {
    const { view, tag } = this.#codec;
    if (view === true) return;
    throw new TypeError(
      `Cannot write to the value in place as its codec must be a view codec: current codec is ${tag}`,
    );
  }

  alreadyInitialized(
    value: Readonly<T> | undefined,
    phase: Phase = "initialized",
  ): AlreadyInitializedError<T> {
    return new AlreadyInitializedError(
      `Cannot initialize ${this.label} as it must be uninitialized: it is ${
        phase === "initialized" ? phase : "being initialized"
      }, use get() or wait() instead`,
      value,
    );
  }

  notInitialized(): NotInitializedError {
    return new NotInitializedError(
      `Cannot read ${this.label} as it must be initialized: use get() or wait() instead`,
    );
  }

  recursive(): RecursiveInitializationError {
    return new RecursiveInitializationError(
      `Cannot enter ${this.label} again as its initializer is running in this agent: use an asynchronous method from outside of the initializer instead`,
    );
  }

  #timedOut(timeout: number): DOMException {
    const { owner } = this;
    const cause = owner === undefined ? "" : `, and agent ${owner} owns it`;
    return new DOMException(
      `Cannot wait longer for ${this.label}: ${timeout} ms have elapsed${cause}`,
      "TimeoutError",
    );
  }
}

/** What the initializer of a view is given, and what it has taken. */
interface Filling<T> {
  readonly view: T;
  readonly allocate: (length: number) => T;
  allocated: T | undefined;
}

/** A run, as far as giving back its cell is concerned. */
type Owner = Pick<Run, "generation" | "finished">;

function mustNotBePromise(
  made: PromiseLike<unknown>,
  alternative: string,
): TypeError {
  // The error tells of it, so its rejection is handled
  made.then(undefined, () => {});
  return new TypeError(
    `Cannot initialize the cell as the initializer must not return a promise: use ${alternative} instead`,
  );
}

function allocatedTooLate(): TypeError {
  return new TypeError(
    "Cannot allocate as the initializer must be running: it has ended",
  );
}

/** How an {@linkcode InitResult} tells of an initializer that has failed. */
type Failure = {
  readonly ok: false;
  readonly reason: "during-init";
  readonly error: unknown;
};

/** Whether it is a promise, of any realm or library. */
export function isPromiseLike(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null &&
    typeof (value as { then?: unknown }).then === "function";
}

/** Throws unless `initializer` is a function. */
export function assertInitializer(
  initializer: unknown,
): asserts initializer is AnyInitializer {
  assertFunction(initializer, "initializer", "initialize the cell");
}
