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
  placeOf,
} from "./_layout.ts";
import { alignToSlot, growTo } from "./_memory.ts";
import {
  beginRun,
  currentRuns,
  finishRun,
  isWithin,
  type Run,
  within,
  withinAsync,
} from "./_running.ts";
import { encodeOpen, fixedSlot, type Place } from "./_slot.ts";
import { inLine } from "./_waiting.ts";
import { OnceState, type Phase } from "./atomics.ts";
import type { Codec } from "./codec.ts";
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

/** Remembers a value, and the state word with which it is in the slot. */
export type Keep<T> = (value: Readonly<T>, word: number) => void;

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
  constructor(kind: CellKind, codec: Codec<T>, place: Place, name: string) {
    super(place.buffer, place.byteOffset);
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
    const cell = new Cell(kind, codec, place, place.name);
    claim(kind, codec, place);
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
    return codec.decode(fixedSlot(this.slotPlace, length));
  }

  /** Hands the value to `keep` if there is one, and returns whether there is. */
  read(keep: Keep<T>): boolean {
    for (;;) {
      const word = this.loadInitialized();
      if (word === undefined) return false;
      try {
        const value = this.decode();
        // A reset since the load has torn what was read
        if (!this.confirm(word)) continue;
        keep(value, word);
        return true;
      } catch (error) {
        if (this.confirm(word)) throw error;
      }
    }
  }

  /** Encodes the value, if the cell is uninitialized; returns `undefined` if not. */
  store(value: T, keep: Keep<T>): InitResult<T> | undefined {
    return this.#own((run) =>
      this.#publish(run, this.#encode(run, value), keep)
    );
  }

  /** Runs the initializer, if the cell is uninitialized; returns `undefined` if not. */
  make(
    initializer: AnyInitializer,
    alternative: string,
    keep: Keep<T>,
  ): InitResult<T> | undefined {
    return this.#own((run) => {
      const filling = this.#beginFilling(run);
      const made = within(
        run,
        () => initializer(filling?.view, filling?.allocate),
      );
      if (isPromiseLike(made)) {
        // The error below tells of it, so its rejection is handled
        made.then(undefined, () => {});
        throw new TypeError(
          `Cannot initialize the cell as the initializer must not return a promise: use ${alternative} instead`,
        );
      }
      return this.#publish(run, this.#fill(run, filling, made), keep);
    });
  }

  /** As {@linkcode Cell.make}, for an initializer that may be asynchronous. */
  makeAsync(
    initializer: AnyInitializer,
    keep: Keep<T>,
  ): Promise<InitResult<T>> | InitResult<T> | undefined {
    return this.#own((run) => {
      const filling = this.#beginFilling(run);
      const made = withinAsync(
        run,
        () => initializer(filling?.view, filling?.allocate),
      );
      return this.#settle(run, filling, made, keep);
    });
  }

  async #settle(
    run: Run,
    filling: Filling<T> | undefined,
    made: unknown,
    keep: Keep<T>,
  ): Promise<InitResult<T>> {
    const conceal = holdAgentLock(() => this.#announce(run));
    try {
      return this.#publish(run, this.#fill(run, filling, await made), keep);
    } catch (error) {
      return this.#fail(run, error);
    } finally {
      conceal();
    }
  }

  #announce(run: Run): void {
    if (this.owns(run.generation)) this.markAnnounced();
  }

  /** Takes the cell, if it is uninitialized, for as long as `body` or what it returns lasts. */
  #own<R>(body: (run: Run) => R): R | Failure | undefined {
    const generation = this.tryBegin();
    if (generation < 0) return undefined;
    let run: Run | undefined;
    try {
      run = beginRun(this, generation);
      return body(run);
    } catch (error) {
      return this.#fail(run ?? { generation, finished: false }, error);
    }
  }

  /** Gives the cell back without a value: see "Nothing may fail" in `atomics.ts`. */
  #fail(run: Pick<Run, "generation" | "finished">, error: unknown): Failure {
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

  #publish(run: Run, value: Readonly<T>, keep: Keep<T>): InitResult<T> {
    // I2: the value is whole
    const word = this.publishRun(run.generation);
    if (word === undefined) throw this.lost("publish the value of");
    run.finished = true;
    keep(value, word);
    finishRun(run);
    return { ok: true, value };
  }

  /** What an initializer gets to fill, if the values are views. */
  #beginFilling(run: Run): Filling<T> | undefined {
    const codec = this.#codec;
    if (codec.view !== true) return undefined;
    const length = codec.open === true ? 0 : this.#reserve(run, this.#capacity);
    const filling: Filling<T> = {
      view: codec.decode(fixedSlot(this.slotPlace, length)),
      allocated: undefined,
      allocate: (length) => {
        if (run.finished) throw allocatedTooLate();
        const byteLength = this.#allocation(filling.view, length);
        // Twice, so that the last is zero
        this.#reserve(run, 0);
        this.#reserve(run, byteLength);
        const slot = fixedSlot(this.slotPlace, byteLength);
        return filling.allocated = codec.decode(slot);
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
  #fill(run: Run, filling: Filling<T> | undefined, made: unknown): Readonly<T> {
    if (!this.owns(run.generation)) throw this.lost("publish the value of");
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

  #encode(run: Run, value: T): Readonly<T> {
    const codec = this.#codec;
    if (codec.open === true) {
      encodeOpen(codec, value, this.slotPlace, (byteLength) => {
        this.#reserve(run, byteLength);
        return this.slotPlace;
      });
    } else {
      const byteLength = this.#reserve(run, this.#capacity);
      codec.encode(value, fixedSlot(this.slotPlace, byteLength));
    }
    return this.decode();
  }

  /** Makes room for a value of that length, in bytes, and returns that. */
  #reserve(run: Run, byteLength: number): number {
    if (!this.owns(run.generation)) throw this.lost("write to");
    const { words, index, buffer } = this;
    const used = words[index + LENGTH_WORD]! >>> 0;
    if (byteLength < used) {
      const end = this.slotPlace.byteOffset + byteLength;
      new Uint8Array(buffer, end, used - byteLength).fill(0);
    }
    this.makeRoom(byteLength);
    // Plain: I1
    words[index + LENGTH_WORD] = byteLength;
    return byteLength;
  }

  /** Where the slot begins: right after the header, unless a subclass has it elsewhere. */
  protected get slotPlace(): Place {
    const { buffer, byteOffset } = this;
    return { buffer, byteOffset: byteOffset + OnceState.byteLength };
  }

  /** How many bytes the slot has room for, unless {@linkcode Cell.makeRoom} makes more. */
  protected get room(): number {
    const { buffer, byteOffset } = this;
    return buffer.byteLength - byteOffset - OnceState.byteLength;
  }

  /** Has the slot have room for so many bytes, as the owner of the cell. */
  protected makeRoom(byteLength: number): void {
    const { buffer, byteOffset } = this.slotPlace;
    growTo(buffer, byteOffset + alignToSlot(byteLength));
  }

  /** How many bytes of the slot are in use. */
  get #length(): number {
    const length = this.words[this.index + LENGTH_WORD]! >>> 0;
    if (length <= this.#capacity && length <= this.room) return length;
    throw new LayoutMismatchError(
      `Cannot read ${this.label} as its value must take at most ${this.#capacity} bytes: its length word says ${length}`,
    );
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
    return this.#looking(signal, (signal) => this.#sleepUntil(signal, attempt));
  }

  /** As {@linkcode Cell.until}, for one after the other of the tasks of this agent. */
  untilTurn<R>(
    signal: AbortSignal | undefined,
    attempt: () => R | undefined,
  ): Promise<R> {
    return this.#looking(
      signal,
      (signal) =>
        inLine(
          this.words,
          this.index,
          signal,
          () => this.#sleepUntil(signal, attempt),
        ),
    );
  }

  async #looking<R>(
    signal: AbortSignal | undefined,
    sleep: (signal: AbortSignal | undefined) => Promise<R>,
  ): Promise<R> {
    // Taken once, as nothing tells after the first sleep in browsers
    const runs = currentRuns();
    if (isWithin(this, runs)) throw this.recursive();
    return await sleepLooking(this, runs, signal, sleep);
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

function isPromiseLike(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null &&
    typeof (value as { then?: unknown }).then === "function";
}

/** Throws unless `initializer` is a function. */
export function assertInitializer(
  initializer: unknown,
): asserts initializer is AnyInitializer {
  assertFunction(initializer, "initializer", "initialize the cell");
}
