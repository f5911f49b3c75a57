// Copyright 2026 the lazyinit authors. MIT license.
// This module is browser compatible.

/*
 * What both kinds of cell are: a value, its kind and name, and the one way through it.
 *
 * A run takes the cell, and ends by #publish(), which gives it back with a value, or by
 * #fail(), which gives it back without one or finds that it is lost.
 */

import {
  holdAgentLock,
  type Recoverable,
  recoverWhenWorkersEnd,
  thisAgent,
} from "./_agent.ts";
import { assertFunction, label, throwIfAborted } from "./_checks.ts";
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
import { type Filling, type Keep, type Owner, Value } from "./_value.ts";
import { hasLine, inLine } from "./_waiting.ts";
import type { Phase } from "./atomics.ts";
import type { Codec } from "./codec.ts";
import {
  AlreadyInitializedError,
  NotInitializedError,
  OwnerLostError,
  RecursiveInitializationError,
} from "./errors.ts";

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
  /** How long to block at most, in ms; for ever by default, and 0 never blocks. */
  timeout?: number;
  /** Only for the methods that do not block. */
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
  /** Only for the methods that block. */
  timeout?: never;
}

/**
 * The outcome of an attempt to initialize a cell.
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

/** What the modules of the other words need of a cell; protected in an {@linkcode OnceState}. */
export interface Cell<T> {
  readonly words: Int32Array;
  readonly index: number;
  get ownedByThisAgent(): boolean;
  load(): number;
  owns(generation: number): boolean;
}

/**
 * One cell or map for each place that other agents know of. It lives as long as this
 * agent keeps its memory, as a program may keep only the handle, or the message that it
 * sent the handle in.
 */
const shared = new WeakMap<SharedArrayBuffer, Map<number, Recoverable>>();

/** Has what is at that place recovered from the workers of this thread that end. */
export function shareAt(
  buffer: SharedArrayBuffer,
  byteOffset: number,
  recoverable: Recoverable,
): void {
  let places = shared.get(buffer);
  if (places === undefined) shared.set(buffer, places = new Map());
  if (places.has(byteOffset)) return;
  places.set(byteOffset, recoverable);
  recoverWhenWorkersEnd(recoverable);
}

/** A cell of either kind, without the read cache, which its face has. */
export class Cell<T> extends Value<T> {
  readonly kind: CellKind;
  readonly #name: string;

  /** For memory that the caller has claimed, or claims next. */
  constructor(
    kind: CellKind,
    codec: Codec<T>,
    { buffer, byteOffset, name }: Omit<Place, "isFresh">,
  ) {
    super(codec, buffer, byteOffset);
    this.kind = kind;
    this.#name = name;
    if (!isCompiled && codec !== REFUSING) Cell.#compile();
  }

  /** Places a cell, or attaches to the one of the same layout that is there already. */
  static place<T>(
    kind: CellKind,
    codec: Codec<T>,
    options: LazyInitOptions<T>,
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
    this.share();
    const { kind, buffer, byteOffset, name, tag, capacity } = this;
    return { kind, buffer, byteOffset, name, tag, byteLength: capacity };
  }

  /** From here on, another agent may own the cell, and may end. */
  share(): void {
    shareAt(this.buffer, this.byteOffset, this);
  }

  /** Encodes the value, if the cell is uninitialized; returns `undefined` if not. */
  store(value: T, keep: Keep<T>): InitResult<T> | undefined {
    const generation = this.tryBegin();
    if (generation < 0) return undefined;
    const run: Owner = { generation, finished: false };
    try {
      return this.#publish(run, this.encode(run, value), keep);
    } catch (error) {
      return this.#fail(generation, run, error);
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
    let run: Run | undefined;
    try {
      run = beginRun(this, generation);
      const filling = this.beginFilling(run);
      const made = within(run, filled(initializer, filling));
      if (isPromiseLike(made)) throw mustNotBePromise(made, alternative);
      const value = this.#publish(run, this.fill(run, filling, made), keep);
      finishRun(run);
      return value;
    } catch (error) {
      return this.#fail(generation, run, error);
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
    let run: Run | undefined;
    try {
      run = beginRun(this, generation, outer);
      const filling = this.beginFilling(run);
      const made = withinAsync(run, filled(initializer, filling));
      if (isPromiseLike(made)) return this.#settle(run, filling, made, keep);
      const value = this.#publish(run, this.fill(run, filling, made), keep);
      finishRun(run);
      return value;
    } catch (error) {
      return this.#fail(generation, run, error);
    }
  }

  async #settle(
    run: Run,
    filling: Filling<T> | undefined,
    made: unknown,
    keep: Keep<T>,
  ): Promise<InitResult<T>> {
    let conceal = () => {};
    try {
      conceal = this.#announce(run.generation);
      return this.#publish(run, this.fill(run, filling, await made), keep);
    } catch (error) {
      return this.#fail(run.generation, run, error);
    } finally {
      finishRun(run);
      conceal();
    }
  }

  /** Lets other agents know if this one ends, until the returned function is called. */
  #announce(generation: number): () => void {
    return holdAgentLock(() => {
      if (this.owns(generation)) this.markAnnounced();
    });
  }

  /** Gives the cell back without a value: see "Nothing may fail" in `atomics.ts`. */
  #fail(generation: number, run: Owner | undefined, error: unknown): Failure {
    // It has published, and what failed came after
    if (run?.finished) throw error;
    // I3: zero again, before the CAS
    if (this.owns(generation)) this.zero();
    const isLost = !this.rollbackRun(generation);
    if (run !== undefined) run.finished = true;
    if (isLost && error instanceof OwnerLostError) throw error;
    return { ok: false, reason: "during-init", error };
  }

  #publish(run: Owner, value: Readonly<T>, keep: Keep<T>): InitResult<T> {
    // I2: the value is complete
    const word = this.publishRun(run.generation);
    if (word === undefined) throw this.lost("publish the value of");
    run.finished = true;
    keep(value, word);
    return { ok: true, value };
  }

  /** As {@linkcode OnceState.reset}, but lets the event loop run while it zeroes much. */
  resetInTurns(): boolean | Promise<boolean> {
    if (this.used <= SLICE_BYTES) return this.reset();
    const generation = this.tryBeginReset();
    if (generation < 0) return false;
    try {
      return this.#resetInTurns(generation);
    } catch (error) {
      // For lack of stack; tryBeginReset() has left enough for this
      this.empty(generation);
      throw error;
    }
  }

  #resetInTurns(generation: number): Promise<boolean> {
    const conceal = this.#announce(generation);
    return zeroInTurns(
      () => this.owns(generation) && this.zeroSlice(),
      () => {
        const isReset = this.emptyLater(generation);
        conceal();
        return isReset;
      },
    ).then((isReset) => {
      if (isReset) return true;
      throw this.lost("reset");
    });
  }

  /** Blocks until `attempt`, which has just returned nothing, returns something. */
  block<R>(
    timeout: number,
    alternative: string,
    attempt: () => R | undefined,
    wantsCell = true,
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
      if (wantsCell && !this.isOwned(word)) return undefined;
      const slept = this.sleep(word, Math.min(left, interval), alternative);
      // After a sleep of all the remaining time it is over, whatever the clock says
      const isOver = slept === "timed-out" && left <= interval;
      // At once, with little in between, as many agents may wake together
      const last = attempt();
      if (last === undefined && isOver) throw this.#timedOut(timeout);
      return last;
    });
  }

  /** Whether tasks of this agent wait for their turn to own the cell. */
  get hasLine(): boolean {
    return hasLine(this.words, this.index);
  }

  /**
   * As {@linkcode Cell.block}, without blocking. Of the tasks of this agent that want the
   * cell, one waits after the other. Passes `attempt` the run that the call is part of.
   */
  async until<R>(
    signal: AbortSignal | undefined,
    attempt: (outer: Run | undefined) => R | undefined,
    wantsCell = true,
  ): Promise<R> {
    throwIfAborted(signal);
    // Taken once, as browsers cannot say it after the first sleep
    const runs = currentRuns();
    if (isWithin(this, runs)) throw this.recursive();
    return await sleepLooking(this, runs, signal, (signal) => {
      const sleep = async () => {
        for (;;) {
          const word = this.load();
          const result = attempt(runs.at(-1));
          if (result !== undefined) return result;
          if (wantsCell && !this.isOwned(word)) continue;
          await this.sleepAsync(word, signal);
        }
      };
      return wantsCell
        ? inLine(this.words, this.index, signal, sleep)
        : sleep();
    });
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

  /** Has the engine compile what gives a cell back, as compiling needs more stack. */
  static #compile(): void {
    const cell = Cell.place("MutexLazyInit", REFUSING, {});
    cell.store(undefined, () => {});
    cell.begin();
    cell.recover(thisAgent);
    cell.emptyLater(0);
    zeroInTurns(() => cell.zeroSlice(), () => false);
    isCompiled = true;
  }

  /** Throws if this agent owns the cell: a synchronous call can then never succeed. */
  assertNotOwned(): void {
    if (this.ownedByThisAgent) throw this.recursive();
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

/** Whether the engine has compiled what gives a cell back: see `Cell.#compile()`. */
let isCompiled = false;

const REFUSING: Codec<undefined> = {
  tag: "",
  byteLength: 0,
  encode() {
    throw undefined;
  },
  decode() {},
};

function mustNotBePromise(
  made: PromiseLike<unknown>,
  alternative: string,
): TypeError {
  // The error reports it, so its rejection counts as handled
  made.then(undefined, () => {});
  return new TypeError(
    `Cannot initialize the cell as the initializer must not return a promise: use ${alternative} instead`,
  );
}

/** The {@linkcode InitResult} of an initializer that has failed. */
type Failure = Extract<InitResult<never>, { reason: "during-init" }>;

/** Returns the value, whichever call has made it; throws what the initializer threw. */
export function found<T>(result: InitResult<T>): Readonly<T> {
  if (result.ok || result.reason === "already-init") return result.value;
  throw result.error;
}

/** Whether it is a promise, of any realm or library. */
export function isPromiseLike(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null &&
    typeof (value as { then?: unknown }).then === "function";
}

/** The initializer with its arguments: only the initializer of a view gets arguments. */
function filled<T>(
  initializer: AnyInitializer,
  filling: Filling<T> | undefined,
): () => unknown {
  if (filling === undefined) return initializer;
  return () => initializer(filling.view, filling.allocate);
}

/** Throws unless `initializer` is a function. */
export function assertInitializer(
  initializer: unknown,
): asserts initializer is AnyInitializer {
  assertFunction(initializer, "initializer", "initialize the cell");
}
