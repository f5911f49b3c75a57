// Copyright 2026 the lazyinit authors. MIT license.
// This module is browser compatible.

/**
 * {@linkcode LazyInit}: one-time initialization without a lock, which never
 * blocks.
 *
 * ```ts
 * import { int32 } from "@lazyinit/lazyinit/codec";
 * import { LazyInit } from "@lazyinit/lazyinit/lazy-init";
 * import { assertEquals } from "@std/assert";
 *
 * const cell = new LazyInit(int32);
 * assertEquals(cell.callOnce(() => 42), 42);
 * assertEquals(cell.get(), 42);
 * ```
 *
 * @module
 */

import {
  assertInitializer,
  Cell,
  found,
  type LazyInitWaitAsyncOptions,
  type LazyInitWaitOptions,
} from "./_cell.ts";
import { assertCodec, signalOf, timeoutOf } from "./_checks.ts";
import {
  attach,
  cellByteLength,
  type LazyInitHandle,
  type LazyInitOptions,
} from "./_layout.ts";
import {
  closeByName,
  type LazyInitOpenOptions,
  openByName,
} from "./_rendezvous.ts";
import type { Keep } from "./_value.ts";
import type { Phase } from "./atomics.ts";
import type { Codec, Initializer } from "./codec.ts";

export type { LazyInitWaitAsyncOptions, LazyInitWaitOptions } from "./_cell.ts";
export type { CellKind, LazyInitHandle, LazyInitOptions } from "./_layout.ts";
export type { LazyInitOpenOptions } from "./_rendezvous.ts";

/**
 * A value in shared memory that one agent initializes, once and for ever, and
 * that every agent reads for about the price of a field access.
 *
 * Only {@linkcode LazyInit.wait} blocks. Latecomers are told immediately. Use
 * `MutexLazyInit` if latecomers should wait, if another agent should try again after a
 * failure, or if the value must be reset.
 *
 * Corresponds to `LazyInit` of the arceos crate `lazyinit`.
 *
 * @example Usage
 * ```ts
 * import { LazyInit, typedArray } from "@lazyinit/lazyinit";
 * import { assertEquals } from "@std/assert";
 *
 * const table = new LazyInit(typedArray(Float64Array, 4), { name: "roots" });
 * // In a worker: LazyInit.from(handle, typedArray(Float64Array, 4))
 * const handle = table.handle;
 *
 * table.callOnce((slot) => {
 *   slot.forEach((_, i) => slot[i] = Math.sqrt(i));
 * });
 * assertEquals(table.value[1], 1);
 * assertEquals(LazyInit.from(handle, typedArray(Float64Array, 4)).value[1], 1);
 * ```
 *
 * @typeParam T The type of the value.
 */
export class LazyInit<T> {
  /** The value, once this agent has seen it. A cell of this class has no reset, so the value stays valid. */
  #value: Readonly<T> | undefined = undefined;
  readonly #cell: Cell<T>;

  /**
   * Constructs a new instance: places a cell, or attaches to the cell of the same
   * layout that the memory already holds. All agents that share a buffer may therefore run
   * this.
   *
   * Corresponds to `LazyInit::new`. Never blocks.
   *
   * @param codec How the value is laid out.
   * @param options The name of the cell, where to place it, and the value that it has
   * from the beginning.
   * @throws {TypeError} If `codec` is not a codec, `name` is not a string, `buffer` is not
   * a `SharedArrayBuffer`, `byteOffset` is not a number or comes without `buffer`, or the
   * codec cannot represent `value`.
   * @throws {RangeError} If the cell does not lie within the buffer or is misaligned, or
   * `value` does not fit the slot or is out of range.
   * @throws {LayoutMismatchError} If the memory holds anything but zeroes or a
   * cell of this class, codec tag and capacity.
   */
  constructor(codec: Codec<T>, options: LazyInitOptions<NoInfer<T>> = {}) {
    this.#cell = Cell.place("LazyInit", codec, options);
    const { value } = options;
    // Out of line, as few cells have a value from the beginning
    if (value !== undefined) this.#store(value);
  }

  /** Initializes the cell, unless an agent that shares its memory was first. */
  #store(value: T): void {
    const result = this.#cell.store(value, this.#keep);
    if (result !== undefined) found(result);
  }

  /**
   * Attaches to a cell that another agent has placed.
   *
   * Never blocks. The crate needs no such call, as Rust's threads share statics.
   *
   * @example Usage
   * ```ts
   * import { int32, LazyInit } from "@lazyinit/lazyinit";
   * import { assertEquals } from "@std/assert";
   *
   * const cell = new LazyInit(int32);
   * const attached = LazyInit.from(cell.handle, int32);
   * attached.initOnce(42);
   * assertEquals(cell.get(), 42);
   * ```
   *
   * @typeParam T The type of the value.
   * @param handle The handle of the cell.
   * @param codec How the value is laid out, as where the cell was placed.
   * @returns The cell.
   * @throws {TypeError} If `handle` is not a handle or `codec` is not a codec.
   * @throws {RangeError} If the handle points outside of its buffer.
   * @throws {LayoutMismatchError} If there is no cell of this class, codec tag
   * and capacity.
   */
  static from<T>(
    handle: LazyInitHandle<NoInfer<T>, "LazyInit">,
    codec: Codec<T>,
  ): LazyInit<T> {
    const cell = new LazyInit(codec, attach("LazyInit", codec, handle));
    cell.#cell.share();
    return cell;
  }

  /**
   * Opens the cell of that name, which the first agent to ask makes: no handle needs to
   * be sent.
   *
   * All agents of a process that open the name get the same cell; in a browser, all agents
   * of an agent cluster, that is, of a page and its workers. Workers in a frame inside a
   * frame of another site share a cell only within their own storage partition. The cell
   * lives as long as any agent has it open. An agent has it open until it ends, or has
   * called {@linkcode LazyInit[Symbol.dispose]} on every cell that it got. After that, the
   * next agent to open the name makes another cell.
   *
   * Does not block, and keeps the event loop alive until it settles. If all agents that
   * have the cell are blocked, it waits until one of them goes on. The workers of some pools
   * block between two tasks, as Piscina's do by default: there, also open the name in the
   * thread that starts them. Await the call before you block: an agent that blocks earlier
   * may keep others from making the cell.
   *
   * Two tabs of one origin share locks, but no memory: in the second tab, the promise is
   * pending until the first tab has given the name up.
   *
   * It needs Web Locks and a `BroadcastChannel` that carries shared memory: Deno from
   * 2.9, Node from 24.5 or Firefox. In Deno, a cell that is open keeps the main thread
   * alive: in `deno serve`, dispose of it at SIGTERM. A web worker of Deno that is
   * terminated while it is blocked has the cell open until it is woken or the process
   * ends. For each name that it has open, however often, an agent holds one Web Lock, and
   * for all names together one channel. The originals share statics instead.
   *
   * @example Usage
   * ```ts
   * import { int32, LazyInit } from "@lazyinit/lazyinit";
   * import { assertEquals } from "@std/assert";
   *
   * // Any agent may run this
   * using cell = await LazyInit.open("answer", int32);
   * cell.initOnce(42);
   *
   * using again = await LazyInit.open("answer", int32);
   * assertEquals(again.get(), 42);
   * ```
   *
   * @typeParam T The type of the value.
   * @param name The name of the cell: any text.
   * @param codec How the value is laid out, as in every other agent that opens the name.
   * @param options How to end the wait.
   * @returns A promise of the cell. It rejects with a `TypeError` if the platform cannot
   * do it, `name` is not a string or `codec` is not a codec; with a
   * {@linkcode LayoutMismatchError} if the name belongs to something of another class,
   * codec tag or capacity; or with the reason of an aborted signal.
   */
  static async open<T>(
    name: string,
    codec: Codec<T>,
    options: LazyInitOpenOptions = {},
  ): Promise<LazyInit<T>> {
    assertCodec(codec);
    return await openByName(name, {
      make: () => new LazyInit(codec, { name }),
      attach: (handle) => LazyInit.from(handle as LazyInitHandle, codec),
    }, options);
  }

  /**
   * Returns how many bytes a cell takes: a header of 24 bytes, and its slot.
   *
   * @example Usage
   * ```ts
   * import { int32, LazyInit } from "@lazyinit/lazyinit";
   * import { assertEquals } from "@std/assert";
   *
   * assertEquals(LazyInit.byteLength(int32), 32);
   * ```
   *
   * @param codec How the value is laid out.
   * @returns The number of bytes, a multiple of 8.
   * @throws {TypeError} If `codec` is not a codec.
   */
  static byteLength(codec: Codec<unknown>): number {
    return cellByteLength(codec);
  }

  /**
   * The description of the cell that `postMessage` carries to other agents.
   *
   * In Node and Bun, a thread that has read the handle of a cell, or has attached to a
   * cell, recovers the cell when one of its workers ends. It does so when its event loop
   * runs next. This covers all workers that the thread has started since it loaded this
   * package. The thread recovers the cell as long as it holds the cell, the handle or the
   * memory; a cell that it has only sent away may be garbage collected.
   *
   * @example Usage
   * ```ts
   * import { int32, LazyInit } from "@lazyinit/lazyinit";
   * import { assertEquals } from "@std/assert";
   *
   * const { handle } = new LazyInit(int32);
   * assertEquals(LazyInit.from(structuredClone(handle), int32).initialized, false);
   * ```
   *
   * @returns A plain object.
   */
  get handle(): LazyInitHandle<T, "LazyInit"> {
    return this.#cell.handle as LazyInitHandle<T, "LazyInit">;
  }

  /**
   * The name of the cell, empty if it has none.
   *
   * @example Usage
   * ```ts
   * import { int32, LazyInit } from "@lazyinit/lazyinit";
   * import { assertEquals } from "@std/assert";
   *
   * assertEquals(new LazyInit(int32, { name: "answer" }).name, "answer");
   * ```
   *
   * @returns The name.
   */
  get name(): string {
    return this.#cell.name;
  }

  /**
   * Whether the value can be read. Never blocks.
   *
   * Corresponds to `is_inited`.
   *
   * @example Usage
   * ```ts
   * import { int32, LazyInit } from "@lazyinit/lazyinit";
   * import { assertEquals } from "@std/assert";
   *
   * const cell = new LazyInit(int32);
   * assertEquals(cell.initialized, false);
   * cell.initOnce(42);
   * assertEquals(cell.initialized, true);
   * ```
   *
   * @returns `true` once the cell is initialized.
   * @throws {LayoutMismatchError} If the memory has been overwritten.
   */
  get initialized(): boolean {
    return this.phase === "initialized";
  }

  /**
   * How far the initialization of the cell has come. Never blocks.
   *
   * @example Usage
   * ```ts
   * import { int32, LazyInit } from "@lazyinit/lazyinit";
   * import { assertEquals } from "@std/assert";
   *
   * const cell = new LazyInit(int32);
   * cell.callOnce(() => {
   *   assertEquals(cell.phase, "initializing");
   *   return 42;
   * });
   * assertEquals(cell.phase, "initialized");
   * ```
   *
   * @returns The phase.
   * @throws {LayoutMismatchError} If the memory has been overwritten.
   */
  get phase(): Phase {
    return this.#cell.phase;
  }

  /**
   * Returns the value, if there is one. Never blocks.
   *
   * Corresponds to `get`.
   *
   * @example Usage
   * ```ts
   * import { int32, LazyInit } from "@lazyinit/lazyinit";
   * import { assertEquals } from "@std/assert";
   *
   * const cell = new LazyInit(int32);
   * assertEquals(cell.get(), undefined);
   * cell.initOnce(42);
   * assertEquals(cell.get(), 42);
   * ```
   *
   * @returns The value, the same reference every time from this object; `undefined`
   * until the cell is initialized.
   * @throws {LayoutMismatchError} If the memory has been overwritten.
   */
  get(): Readonly<T> | undefined {
    const value = this.#value;
    // Out of line, so that this much is inlined where it is called
    return value !== undefined ? value : this.#load();
  }

  /** Cold: this agent has not seen the value yet. */
  #load(): Readonly<T> | undefined {
    return this.#cell.read(this.#keep) ? this.#value : undefined;
  }

  /** Remembers the value. */
  get #keep(): Keep<T> {
    return (value) => this.#value = value;
  }

  /**
   * Returns the value for writing in place, if there is one. Never blocks.
   *
   * For view codecs only. Nothing orders such writes among agents: use `Atomics`
   * or a `Mutex`. Corresponds to `get_mut`, for which the compiler ensures exclusive
   * access.
   *
   * @example Usage
   * ```ts
   * import { LazyInit, typedArray } from "@lazyinit/lazyinit";
   * import { assertEquals } from "@std/assert";
   *
   * const counters = new LazyInit(typedArray(Int32Array, 2));
   * counters.callOnce(() => {});
   * Atomics.add(counters.getMut()!, 0, 1);
   * assertEquals(counters.value[0], 1);
   * ```
   *
   * @returns The same view as {@linkcode LazyInit.get}, writable; `undefined`
   * until the cell is initialized.
   * @throws {TypeError} If the codec is not a view codec; with the codecs of this
   * package, this is already a type error.
   * @throws {LayoutMismatchError} If the memory has been overwritten.
   */
  getMut(
    this: [T] extends [ArrayBufferView] ? LazyInit<T> : never,
  ): T | undefined {
    (this as LazyInit<T>).#cell.assertView();
    return (this as LazyInit<T>).get() as T | undefined;
  }

  /**
   * Returns the value without checking whether there is one. Never blocks.
   *
   * Corresponds to `get_unchecked`.
   *
   * @example Usage
   * ```ts
   * import { int32, LazyInit } from "@lazyinit/lazyinit";
   * import { assertEquals } from "@std/assert";
   *
   * const cell = new LazyInit(int32);
   * cell.initOnce(42);
   * assertEquals(cell.getUnchecked(), 42);
   * ```
   *
   * @returns The value. If the cell is not initialized, what the codec decodes from the
   * slot, or the codec's error.
   * @throws {LayoutMismatchError} If the memory has been overwritten.
   */
  getUnchecked(): Readonly<T> {
    const value = this.#value;
    return value !== undefined ? value : this.#loadUnchecked();
  }

  /** Cold. A value that may not be final must not be kept. */
  #loadUnchecked(): Readonly<T> {
    return this.#load() ?? this.#cell.decode();
  }

  /**
   * The value of a cell that is initialized. Never blocks.
   *
   * Corresponds to `Deref`.
   *
   * @example Usage
   * ```ts
   * import { int32, LazyInit, NotInitializedError } from "@lazyinit/lazyinit";
   * import { assertEquals, assertThrows } from "@std/assert";
   *
   * const cell = new LazyInit(int32);
   * assertThrows(() => cell.value, NotInitializedError);
   * cell.initOnce(42);
   * assertEquals(cell.value, 42);
   * ```
   *
   * @returns The value, the same reference every time from this object.
   * @throws {NotInitializedError} If the cell is not initialized.
   * @throws {LayoutMismatchError} If the memory has been overwritten.
   */
  get value(): Readonly<T> {
    const value = this.#value;
    return value !== undefined ? value : this.#loadValue();
  }

  /** Cold. */
  #loadValue(): Readonly<T> {
    const value = this.#load();
    // A custom codec may decode to undefined
    if (value !== undefined || this.initialized) return value as Readonly<T>;
    throw this.#cell.notInitialized();
  }

  /**
   * Initializes the cell with a value, and fails if another call has done so or is
   * doing so. Never blocks.
   *
   * If the codec refuses the value, the cell stays uninitialized and usable.
   * Corresponds to `init_once`.
   *
   * @example Usage
   * ```ts
   * import { AlreadyInitializedError, int32, LazyInit } from "@lazyinit/lazyinit";
   * import { assertEquals, assertThrows } from "@std/assert";
   *
   * const cell = new LazyInit(int32);
   * assertEquals(cell.initOnce(42), 42);
   * assertThrows(() => cell.initOnce(43), AlreadyInitializedError);
   * ```
   *
   * @param value The value.
   * @returns The value as every agent will read it.
   * @throws {AlreadyInitializedError} If the cell is initialized (the error carries its
   * value), or if another agent is initializing it.
   * @throws {RecursiveInitializationError} If an initializer of this cell calls it.
   * @throws {OwnerLostError} If `recover()` has declared this agent dead meanwhile.
   * @throws {RangeError} If the value does not fit the slot or is out of range.
   * @throws {TypeError} If the codec cannot represent the value.
   * @throws {LayoutMismatchError} If the memory has been overwritten.
   */
  initOnce(value: T): Readonly<T> {
    const result = this.#cell.store(value, this.#keep);
    if (result === undefined) {
      this.#cell.assertNotOwned();
      throw this.#cell.alreadyInitialized(this.get(), this.phase);
    }
    return found(result);
  }

  /**
   * Initializes the cell with what a function returns, unless another call has done so
   * or is doing so. Does not block, but the function may.
   *
   * If the function throws, the cell is uninitialized again, its slot is zeroed, and
   * this call throws the error. The crate leaves the cell initialized with garbage in
   * that case. Corresponds to `call_once`.
   *
   * @example Usage
   * ```ts
   * import { int32, LazyInit } from "@lazyinit/lazyinit";
   * import { assertEquals } from "@std/assert";
   *
   * const cell = new LazyInit(int32);
   * assertEquals(cell.callOnce(() => 42), 42);
   * assertEquals(cell.callOnce(() => 43), undefined);
   * assertEquals(cell.value, 42);
   * ```
   *
   * @param initializer Makes the value; with a view codec, it gets the slot to fill.
   * @returns The value as every agent will read it; `undefined` if another call has made it
   * or is making it. In that case `initializer` is not called.
   * @throws {RecursiveInitializationError} If an initializer of this cell calls it.
   * @throws {OwnerLostError} If `recover()` has declared this agent dead meanwhile.
   * @throws {TypeError} If `initializer` is not a function or returns a promise,
   * or the codec cannot represent the value.
   * @throws {RangeError} If the value does not fit the slot or is out of range.
   * @throws {LayoutMismatchError} If the memory has been overwritten.
   */
  callOnce(initializer: Initializer<T>): Readonly<T> | undefined {
    assertInitializer(initializer);
    const result = this.#cell.make(
      initializer,
      "MutexLazyInit.getOrInitAsync()",
      this.#keep,
    );
    if (result !== undefined) return found(result);
    this.#cell.assertNotOwned();
    return undefined;
  }

  /**
   * Takes the cell from an agent that has ended while it was initializing it: the slot
   * is zeroed, the cell is uninitialized again, and waiters go on waiting for the next
   * initializer. Never blocks.
   *
   * If the agent is in fact still running, its call fails with an
   * {@linkcode OwnerLostError}. It can still write through a view of the slot that it
   * already has, or finish a write that it has begun. Where the platform reports the end of
   * an agent, no call is needed: see `announceAgent()`. Corresponds to no call of the
   * crate.
   *
   * @example Usage
   * ```ts
   * import { agentId, int32, LazyInit, OwnerLostError } from "@lazyinit/lazyinit";
   * import { assertEquals, assertThrows } from "@std/assert";
   *
   * const cell = new LazyInit(int32);
   * assertEquals(cell.recover(agentId()), false);
   * assertThrows(() =>
   *   cell.callOnce(() => {
   *     // As another agent would, when this one has ended
   *     assertEquals(cell.recover(agentId()), true);
   *     return 42;
   *   }), OwnerLostError);
   * assertEquals(cell.initOnce(43), 43);
   * ```
   *
   * @param agentId The agent that has ended, as returned by `agentId()` in that agent.
   * @returns Whether it was initializing the cell.
   * @throws {TypeError} If `agentId` is not a number.
   * @throws {RangeError} If `agentId` is not a positive integer.
   * @throws {LayoutMismatchError} If the memory has been overwritten.
   */
  recover(agentId: number): boolean {
    return this.#cell.recover(agentId);
  }

  /**
   * Blocks until any agent has initialized the cell, and returns the value.
   *
   * If the cell is initialized, returns immediately, even where blocking is not
   * allowed. Corresponds to no call of the crate.
   *
   * @example Usage
   * ```ts
   * import { int32, LazyInit } from "@lazyinit/lazyinit";
   * import { assertEquals, assertThrows } from "@std/assert";
   *
   * const cell = new LazyInit(int32);
   * assertThrows(() => cell.wait({ timeout: 1 }), DOMException);
   * cell.initOnce(42);
   * assertEquals(cell.wait(), 42);
   * ```
   *
   * @param options How long to wait.
   * @returns The value.
   * @throws {DOMException} Named `TimeoutError`, if the time is up.
   * @throws {RecursiveInitializationError} If an initializer of this cell calls it.
   * @throws {DeadlockError} If this call would close a cycle of initializers that wait
   * for each other.
   * @throws {TypeError} If the call would have to block where the agent may not, or
   * `timeout` is not a number.
   * @throws {RangeError} If `timeout` is negative or NaN.
   * @throws {LayoutMismatchError} If the memory has been overwritten.
   */
  wait(options?: LazyInitWaitOptions): Readonly<T> {
    const timeout = timeoutOf(options);
    const attempt = () => this.initialized || undefined;
    if (!attempt()) this.#cell.block(timeout, "waitAsync()", attempt, false);
    return this.value;
  }

  /**
   * Resolves with the value when any agent has initialized the cell. Does not block the
   * agent, and keeps its event loop alive.
   *
   * @example Usage
   * ```ts
   * import { int32, LazyInit } from "@lazyinit/lazyinit";
   * import { assertEquals } from "@std/assert";
   *
   * const cell = new LazyInit(int32);
   * const value = cell.waitAsync();
   * cell.initOnce(42);
   * assertEquals(await value, 42);
   * ```
   *
   * @param options How to end the wait.
   * @returns A promise of the value; it rejects with the reason of an aborted signal,
   * with a {@linkcode RecursiveInitializationError} if an initializer of this cell
   * calls it, or with a {@linkcode DeadlockError} as {@linkcode LazyInit.wait} throws it.
   */
  async waitAsync(
    options?: LazyInitWaitAsyncOptions,
  ): Promise<Readonly<T>> {
    const signal = signalOf(options);
    if (!this.initialized) {
      this.#cell.assertNotOwned();
      const attempt = () => this.initialized || undefined;
      await this.#cell.until(signal, attempt, false);
    }
    return this.value;
  }

  /**
   * Gives up the name by which this cell was opened. Does nothing if there is none, or
   * on a second call. The cell stays usable.
   *
   * @example Usage
   * ```ts
   * import { int32, LazyInit } from "@lazyinit/lazyinit";
   * import { assertEquals } from "@std/assert";
   *
   * {
   *   using cell = await LazyInit.open("answer", int32);
   *   cell.initOnce(42);
   * }
   * // No agent has it open, so this is another one
   * using cell = await LazyInit.open("answer", int32);
   * assertEquals(cell.get(), undefined);
   * ```
   */
  [Symbol.dispose](): void {
    closeByName(this);
  }

  /**
   * Shows the cell in Deno, as `LazyInit "name" { 42 }`. Never blocks.
   *
   * Corresponds to `Debug`.
   *
   * @example Usage
   * ```ts
   * import { int32, LazyInit } from "@lazyinit/lazyinit";
   * import { assertEquals } from "@std/assert";
   *
   * const cell = new LazyInit(int32, { name: "answer" });
   * cell.initOnce(42);
   * assertEquals(Deno.inspect(cell), 'LazyInit "answer" { 42 }');
   * ```
   *
   * @param inspect Shows the value.
   * @param options Passed on to `inspect`.
   * @returns The text.
   */
  [Symbol.for("Deno.customInspect")](
    inspect: (value: unknown, options?: unknown) => string,
    options?: unknown,
  ): string {
    return this.#cell.inspect((value) => inspect(value, options));
  }

  /**
   * Shows the cell in Node and Bun, as `LazyInit "name" { 42 }`. Never blocks.
   *
   * Corresponds to `Debug`.
   *
   * @example Usage
   * ```ts
   * import { int32, LazyInit } from "@lazyinit/lazyinit";
   * import { assertEquals } from "@std/assert";
   * import { inspect } from "node:util";
   *
   * assertEquals(inspect(new LazyInit(int32)), "LazyInit { <uninitialized> }");
   * ```
   *
   * @param _depth How many levels to show.
   * @param options Passed on to `inspect`.
   * @param inspect Shows the value.
   * @returns The text.
   */
  [Symbol.for("nodejs.util.inspect.custom")](
    _depth: number,
    options: unknown,
    inspect: (value: unknown, options?: unknown) => string,
  ): string {
    return this.#cell.inspect((value) => inspect(value, options));
  }
}
