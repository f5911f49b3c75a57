// Copyright 2026 the lazyinit authors. MIT license.
// This module is browser compatible.

/**
 * {@linkcode MutexLazyInit}: one-time initialization that latecomers wait for, that may
 * fail, and that can be undone.
 *
 * ```ts
 * import { int32 } from "@lazyinit/lazyinit/codec";
 * import { MutexLazyInit } from "@lazyinit/lazyinit/mutex-lazy-init";
 * import { assertEquals } from "@std/assert";
 *
 * const cell = new MutexLazyInit(int32);
 * assertEquals(cell.getOrInit(() => 42), 42);
 * assertEquals(cell.getOrInit(() => 43), 42);
 * assertEquals(cell.reset(), true);
 * ```
 *
 * @module
 */

import {
  type AnyInitializer,
  assertInitializer,
  Cell,
  found,
  type InitResult,
  isPromiseLike,
  type LazyInitWaitAsyncOptions,
  type LazyInitWaitOptions,
} from "./_cell.ts";
import {
  assertCodec,
  assertFunction,
  signalOf,
  throwIfAborted,
  timeoutOf,
} from "./_checks.ts";
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
import type { Run } from "./_running.ts";
import type { Keep } from "./_value.ts";
import type { Phase } from "./atomics.ts";
import type { AsyncInitializer, Codec, Initializer } from "./codec.ts";

export type {
  InitResult,
  LazyInitWaitAsyncOptions,
  LazyInitWaitOptions,
} from "./_cell.ts";
export type { CellKind, LazyInitHandle, LazyInitOptions } from "./_layout.ts";
export type { LazyInitOpenOptions } from "./_rendezvous.ts";

/** Equal to no state word. */
const UNREAD = new Int32Array([-1]);

/**
 * A value in shared memory that one agent at a time may initialize while the
 * others wait, and that every agent reads for the price of two field accesses.
 *
 * If an initializer fails, its caller gets the error, and one of the waiters runs
 * its own. Of the asynchronous calls of one agent through one buffer, the earliest is
 * next. Reading never takes the lock. The value can be reset. If no caller needs to wait,
 * to fail or to reset, use `LazyInit`, which is simpler and even faster.
 *
 * A live view that was handed out before a reset stays valid memory: it then shows
 * zeroes, and later the next value while that is being made. {@linkcode MutexLazyInit.read}
 * reads views safely beside a reset.
 *
 * Corresponds to `LazyInit` of the Linux kernel's patch series.
 *
 * @example Usage
 * ```ts
 * import { json, MutexLazyInit } from "@lazyinit/lazyinit";
 * import { assertEquals } from "@std/assert";
 *
 * type Config = { port: number };
 * const config = new MutexLazyInit(json<Config>(1024), { name: "config" });
 * // In a worker: MutexLazyInit.from(handle, json<Config>(1024))
 * const handle = config.handle;
 *
 * const value = await config.getOrInitAsync(() => Promise.resolve({ port: 80 }));
 * assertEquals(value.port, 80);
 * assertEquals(MutexLazyInit.from(handle, json<Config>(1024)).value.port, 80);
 * ```
 *
 * @typeParam T The type of the value.
 */
export class MutexLazyInit<T> {
  // What get() reads comes first, as it then lies in one cache line or two
  /** The state word, once the value has been read: a view of one element is fast to index. */
  #state: Int32Array = UNREAD;
  /** The state word with which {@linkcode #value} was in the slot, if it was. */
  #word: number | undefined = undefined;
  #value: Readonly<T> | undefined = undefined;
  readonly #cell: Cell<T>;

  /**
   * Constructs a new instance: places a cell, or attaches to the cell of the same
   * layout that the memory already holds. All agents that share a buffer may therefore run
   * this.
   *
   * Corresponds to `LazyInit::new` and `new_lazy_init!`. Never blocks.
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
    // The entry of a map is a cell already
    this.#cell = options instanceof Cell
      ? options
      : Cell.place("MutexLazyInit", codec, options);
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
   * Never blocks. The kernel needs no such call, as its threads share statics.
   *
   * @example Usage
   * ```ts
   * import { int32, MutexLazyInit } from "@lazyinit/lazyinit";
   * import { assertEquals } from "@std/assert";
   *
   * const cell = new MutexLazyInit(int32);
   * const attached = MutexLazyInit.from(cell.handle, int32);
   * attached.init(() => 42);
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
    handle: LazyInitHandle<NoInfer<T>, "MutexLazyInit">,
    codec: Codec<T>,
  ): MutexLazyInit<T> {
    const cell = new MutexLazyInit(
      codec,
      attach("MutexLazyInit", codec, handle),
    );
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
   * called {@linkcode MutexLazyInit[Symbol.dispose]} on every cell that it got. After that,
   * the next agent to open the name makes another cell.
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
   * import { int32, MutexLazyInit } from "@lazyinit/lazyinit";
   * import { assertEquals } from "@std/assert";
   *
   * // Any agent may run this
   * using cell = await MutexLazyInit.open("answer", int32);
   * cell.init(() => 42);
   *
   * using again = await MutexLazyInit.open("answer", int32);
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
  ): Promise<MutexLazyInit<T>> {
    assertCodec(codec);
    return await openByName(name, {
      make: () => new MutexLazyInit(codec, { name }),
      attach: (handle) => MutexLazyInit.from(handle as LazyInitHandle, codec),
    }, options);
  }

  /**
   * Returns how many bytes a cell takes: a header of 24 bytes, and its slot.
   *
   * @example Usage
   * ```ts
   * import { int32, MutexLazyInit } from "@lazyinit/lazyinit";
   * import { assertEquals } from "@std/assert";
   *
   * assertEquals(MutexLazyInit.byteLength(int32), 32);
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
   * import { int32, MutexLazyInit } from "@lazyinit/lazyinit";
   * import { assertEquals } from "@std/assert";
   *
   * const { handle } = new MutexLazyInit(int32);
   * assertEquals(MutexLazyInit.from(structuredClone(handle), int32).initialized, false);
   * ```
   *
   * @returns A plain object.
   */
  get handle(): LazyInitHandle<T, "MutexLazyInit"> {
    return this.#cell.handle as LazyInitHandle<T, "MutexLazyInit">;
  }

  /**
   * The name of the cell, empty if it has none.
   *
   * @example Usage
   * ```ts
   * import { int32, MutexLazyInit } from "@lazyinit/lazyinit";
   * import { assertEquals } from "@std/assert";
   *
   * assertEquals(new MutexLazyInit(int32, { name: "answer" }).name, "answer");
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
   * Corresponds to `as_ref().is_some()`.
   *
   * @example Usage
   * ```ts
   * import { int32, MutexLazyInit } from "@lazyinit/lazyinit";
   * import { assertEquals } from "@std/assert";
   *
   * const cell = new MutexLazyInit(int32);
   * assertEquals(cell.initialized, false);
   * cell.init(() => 42);
   * assertEquals(cell.initialized, true);
   * ```
   *
   * @returns `true` from the initialization to the next reset.
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
   * import { int32, MutexLazyInit } from "@lazyinit/lazyinit";
   * import { assertEquals } from "@std/assert";
   *
   * const cell = new MutexLazyInit(int32);
   * cell.init(() => {
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
   * Returns the value, if there is one. Never blocks, and never takes the lock.
   *
   * If this agent does not learn of a reset by another agent in some other way, it sees the
   * reset soon, but at no guaranteed time: in a loop that only reads, ECMAScript lets an
   * engine read the memory just once. The engines that the tests run in do not do so.
   * `phase` always looks.
   *
   * Corresponds to `as_ref`, which takes the lock.
   *
   * @example Usage
   * ```ts
   * import { int32, MutexLazyInit } from "@lazyinit/lazyinit";
   * import { assertEquals } from "@std/assert";
   *
   * const cell = new MutexLazyInit(int32);
   * assertEquals(cell.get(), undefined);
   * cell.init(() => 42);
   * assertEquals(cell.get(), 42);
   * ```
   *
   * @returns The value, the same reference every time from this object until the
   * next reset or recovery; `undefined` while the cell is not initialized.
   * @throws {LayoutMismatchError} If the memory has been overwritten.
   */
  get(): Readonly<T> | undefined {
    // Plain: a stale word is one that nothing orders after the reset. Out of line
    // otherwise, so that this much is inlined where it is called
    return this.#state[0] === this.#word ? this.#value : this.#load();
  }

  /** Cold: the cell is not initialized, or this agent has not seen that value yet. */
  #load(): Readonly<T> | undefined {
    return this.#refresh() ? this.#value : undefined;
  }

  /** Reads the slot into the cache, if the cell is initialized, and returns whether it is. */
  #refresh(): boolean {
    if (this.#cell.load() !== this.#word) {
      this.#forget();
      if (!this.#cell.read(this.#keep)) return false;
    }
    if (this.#state === UNREAD) this.#state = this.#cell.stateView;
    return true;
  }

  /** Remembers a value, and the state word with which it is in the slot. */
  get #keep(): Keep<T> {
    return (value, word) => {
      this.#value = value;
      this.#word = word;
    };
  }

  #forget(): void {
    this.#word = undefined;
    this.#value = undefined;
  }

  /**
   * Returns what `reader` returns for the value, if there is one, and never for a value
   * that another agent was just resetting. Never blocks, and never takes the lock.
   *
   * This is how views are read beside a reset. When `reader` has returned, a single atomic
   * step shows whether the cell still holds that value. If not, what `reader` has returned
   * or thrown is dropped, and it is called again with the next value, if there is one. So
   * `reader` must not act on what it sees, only return it: numbers or copies, not the view.
   *
   * What it sees of a value that is being reset may be torn, but lies within the value's
   * memory. Writes through {@linkcode MutexLazyInit.getMut} are not noticed. Corresponds to
   * no call of the kernel, whose compiler keeps references from outliving a reset.
   *
   * @example Usage
   * ```ts
   * import { MutexLazyInit, typedArray } from "@lazyinit/lazyinit";
   * import { assertEquals } from "@std/assert";
   *
   * const weights = new MutexLazyInit(typedArray(Float32Array));
   * const sum = () => weights.read((value) => value.reduce((a, b) => a + b, 0));
   * assertEquals(sum(), undefined);
   * weights.init(() => Float32Array.of(1, 2, 3));
   * // Whatever another agent does meanwhile, this is the sum of one whole value
   * assertEquals(sum(), 6);
   * ```
   *
   * @typeParam R The type of what `reader` returns.
   * @param reader A function that gets the value. It is called again if a reset comes
   * in between.
   * @returns What `reader` has returned for a value that was complete all that time;
   * `undefined` if the cell is not initialized, or no longer is.
   * @throws {TypeError} If `reader` is not a function, or returns a promise: the value
   * may be torn by the time the promise settles. This call throws whatever else
   * `reader` throws.
   * @throws {LayoutMismatchError} If the memory has been overwritten.
   */
  read<R>(reader: (value: Readonly<T>) => R): R | undefined {
    assertFunction(reader, "reader", "read the cell");
    while (this.#refresh()) {
      // Taken first, as `reader` may use the cell itself
      const value = this.#value as Readonly<T>;
      const read = this.#cell.confirmed(this.#word!, () => {
        const result = reader(value);
        assertNoPromise(result);
        return result;
      });
      if (read !== undefined) return read.result;
    }
    return undefined;
  }

  /**
   * Returns the value for writing in place, if there is one. Never blocks.
   *
   * For view codecs only. Nothing orders such writes among agents: use `Atomics`
   * or a `Mutex`. The view may also show the zeroes of a reset: for reading,
   * {@linkcode MutexLazyInit.read} prevents that. The kernel has no such call.
   *
   * @example Usage
   * ```ts
   * import { MutexLazyInit, typedArray } from "@lazyinit/lazyinit";
   * import { assertEquals } from "@std/assert";
   *
   * const counters = new MutexLazyInit(typedArray(Int32Array, 2));
   * counters.init(() => {});
   * Atomics.add(counters.getMut()!, 0, 1);
   * assertEquals(counters.value[0], 1);
   * ```
   *
   * @returns The same view as {@linkcode MutexLazyInit.get}, writable; `undefined`
   * while the cell is not initialized.
   * @throws {TypeError} If the codec is not a view codec; with the codecs of this
   * package, this is already a type error.
   * @throws {LayoutMismatchError} If the memory has been overwritten.
   */
  getMut(
    this: [T] extends [ArrayBufferView] ? MutexLazyInit<T> : never,
  ): T | undefined {
    (this as MutexLazyInit<T>).#cell.assertView();
    return (this as MutexLazyInit<T>).get() as T | undefined;
  }

  /**
   * Returns the value without checking whether there is one. Never blocks.
   *
   * The kernel has no such call; the crate's is `get_unchecked`.
   *
   * @example Usage
   * ```ts
   * import { int32, MutexLazyInit } from "@lazyinit/lazyinit";
   * import { assertEquals } from "@std/assert";
   *
   * const cell = new MutexLazyInit(int32);
   * cell.init(() => 42);
   * assertEquals(cell.getUnchecked(), 42);
   * ```
   *
   * @returns The value. If the cell is not initialized, what the codec decodes from the
   * slot, or the codec's error.
   * @throws {LayoutMismatchError} If the memory has been overwritten.
   */
  getUnchecked(): Readonly<T> {
    return this.#state[0] === this.#word
      ? this.#value as Readonly<T>
      : this.#loadUnchecked();
  }

  /** Cold. A value that may not be final must not be kept. */
  #loadUnchecked(): Readonly<T> {
    return this.#refresh() ? this.#value as Readonly<T> : this.#cell.decode();
  }

  /**
   * The value of a cell that is initialized. Never blocks.
   *
   * Corresponds to `as_ref().unwrap()`.
   *
   * @example Usage
   * ```ts
   * import { int32, MutexLazyInit, NotInitializedError } from "@lazyinit/lazyinit";
   * import { assertEquals, assertThrows } from "@std/assert";
   *
   * const cell = new MutexLazyInit(int32);
   * assertThrows(() => cell.value, NotInitializedError);
   * cell.init(() => 42);
   * assertEquals(cell.value, 42);
   * ```
   *
   * @returns The value, the same reference every time from this object until the
   * next reset.
   * @throws {NotInitializedError} If the cell is not initialized.
   * @throws {LayoutMismatchError} If the memory has been overwritten.
   */
  get value(): Readonly<T> {
    return this.#state[0] === this.#word
      ? this.#value as Readonly<T>
      : this.#loadValue();
  }

  /** Cold. */
  #loadValue(): Readonly<T> {
    if (this.#refresh()) return this.#value as Readonly<T>;
    throw this.#cell.notInitialized();
  }

  /**
   * Initializes the cell, and fails if it is initialized already. Blocks while
   * another agent's initializer runs.
   *
   * Corresponds to `init`.
   *
   * @example Usage
   * ```ts
   * import { AlreadyInitializedError, int32, MutexLazyInit } from "@lazyinit/lazyinit";
   * import { assertEquals, assertThrows } from "@std/assert";
   *
   * const cell = new MutexLazyInit(int32);
   * assertThrows(() => cell.init(() => JSON.parse("{")), SyntaxError);
   * assertEquals(cell.init(() => 42), 42);
   * assertThrows(() => cell.init(() => 43), AlreadyInitializedError);
   * ```
   *
   * @param initializer Makes the value; with a view codec, it gets the slot to fill. If it
   * throws, this call throws the same error, and the cell is uninitialized again.
   * @param options How long to wait for another initializer.
   * @returns The value as every agent reads it.
   * @throws {AlreadyInitializedError} If the cell is initialized; it carries the value.
   * @throws {RecursiveInitializationError} If this agent is initializing the cell.
   * @throws {OwnerLostError} If `recover()` has declared this agent dead meanwhile.
   * @throws {DeadlockError} If this call would close a cycle of initializers that wait
   * for each other.
   * @throws {DOMException} Named `TimeoutError`, if the time is up.
   * @throws {TypeError} If `initializer` is not a function or returns a promise,
   * `timeout` is not a number, the call would have to block where the agent may not, or
   * the codec cannot represent the value.
   * @throws {RangeError} If `timeout` is negative or NaN, or the value does not
   * fit the slot.
   * @throws {LayoutMismatchError} If the memory has been overwritten.
   */
  init(
    initializer: Initializer<T>,
    options?: LazyInitWaitOptions,
  ): Readonly<T> {
    assertInitializer(initializer);
    const timeout = timeoutOf(options);
    return this.#made(this.#tryInit(initializer, timeout, "initAsync()"));
  }

  /**
   * Initializes the cell, and returns how that went. Blocks while another agent's
   * initializer runs.
   *
   * Corresponds to `init`, whose `Result` this returns.
   *
   * @example Usage
   * ```ts
   * import { int32, MutexLazyInit } from "@lazyinit/lazyinit";
   * import { assertEquals } from "@std/assert";
   *
   * const cell = new MutexLazyInit(int32);
   * assertEquals(cell.tryInit(() => 42), { ok: true, value: 42 });
   * assertEquals(cell.tryInit(() => 43), {
   *   ok: false,
   *   reason: "already-init",
   *   value: 42,
   * });
   * ```
   *
   * @param initializer Makes the value; with a view codec, it gets the slot to fill.
   * @param options How long to wait for another initializer.
   * @returns The value, and whether this call made it, or the initializer's error.
   * @throws {RecursiveInitializationError} If this agent is initializing the cell.
   * @throws {OwnerLostError} If `recover()` has declared this agent dead meanwhile.
   * @throws {DeadlockError} If this call would close a cycle of initializers that wait
   * for each other.
   * @throws {DOMException} Named `TimeoutError`, if the time is up.
   * @throws {TypeError} If `initializer` is not a function, `timeout` is not a number,
   * or the call would have to block where the agent may not.
   * @throws {RangeError} If `timeout` is negative or NaN.
   * @throws {LayoutMismatchError} If the memory has been overwritten.
   */
  tryInit(
    initializer: Initializer<T>,
    options?: LazyInitWaitOptions,
  ): InitResult<T> {
    assertInitializer(initializer);
    return this.#tryInit(initializer, timeoutOf(options), "tryInitAsync()");
  }

  /**
   * Returns the value, and initializes the cell if it is not initialized. Blocks
   * while another agent's initializer runs.
   *
   * Corresponds to `init` where both `Ok` and `AlreadyInit` will do.
   *
   * @example Usage
   * ```ts
   * import { int32, MutexLazyInit } from "@lazyinit/lazyinit";
   * import { assertEquals } from "@std/assert";
   *
   * const cell = new MutexLazyInit(int32);
   * assertEquals(cell.getOrInit(() => 42), 42);
   * assertEquals(cell.getOrInit(() => 43), 42);
   * ```
   *
   * @param initializer Makes the value; with a view codec, it gets the slot to fill. If it
   * throws, this call throws the same error, and the cell is uninitialized again.
   * @param options How long to wait for another initializer.
   * @returns The value, made by this call or another.
   * @throws {RecursiveInitializationError} If this agent is initializing the cell.
   * @throws {OwnerLostError} If `recover()` has declared this agent dead meanwhile.
   * @throws {DeadlockError} If this call would close a cycle of initializers that wait
   * for each other.
   * @throws {DOMException} Named `TimeoutError`, if the time is up.
   * @throws {TypeError} If `initializer` is not a function or returns a promise,
   * `timeout` is not a number, the call would have to block where the agent may not, or
   * the codec cannot represent the value.
   * @throws {RangeError} If `timeout` is negative or NaN, or the value does not
   * fit the slot.
   * @throws {LayoutMismatchError} If the memory has been overwritten.
   */
  getOrInit(
    initializer: Initializer<T>,
    options?: LazyInitWaitOptions,
  ): Readonly<T> {
    // As in get(), in whose place this is called. All else is out of line, including
    // the checks of the arguments
    return this.#state[0] === this.#word && options === undefined &&
        typeof initializer === "function"
      ? this.#value as Readonly<T>
      : this.#getOrInit(initializer, options);
  }

  #getOrInit(
    initializer: Initializer<T>,
    options?: LazyInitWaitOptions,
  ): Readonly<T> {
    assertInitializer(initializer);
    const timeout = timeoutOf(options);
    return found(this.#tryInit(initializer, timeout, "getOrInitAsync()"));
  }

  /**
   * Initializes the cell without blocking the agent, and fails if it is
   * initialized already. Keeps the event loop alive while it waits for another
   * initializer.
   *
   * Corresponds to `init`; the kernel has no asynchronous form.
   *
   * @example Usage
   * ```ts
   * import { AlreadyInitializedError, int32, MutexLazyInit } from "@lazyinit/lazyinit";
   * import { assertEquals, assertRejects } from "@std/assert";
   *
   * const cell = new MutexLazyInit(int32);
   * assertEquals(await cell.initAsync(() => Promise.resolve(42)), 42);
   * await assertRejects(() => cell.initAsync(() => 43), AlreadyInitializedError);
   * ```
   *
   * @param initializer Makes the value, now or later; with a view codec, it gets the slot
   * to fill.
   * @param options How to end the wait. An initializer that has been called goes
   * on after that, and its value is published.
   * @returns A promise of the value. It rejects with the errors that
   * {@linkcode MutexLazyInit.init} throws, except those of blocking, or with the reason
   * of an aborted signal.
   */
  async initAsync(
    initializer: AsyncInitializer<T>,
    options?: LazyInitWaitAsyncOptions,
  ): Promise<Readonly<T>> {
    return this.#made(await this.tryInitAsync(initializer, options));
  }

  /**
   * Initializes the cell without blocking the agent, and resolves with how that went.
   * Keeps the event loop alive while it waits for another initializer.
   *
   * Corresponds to `init`, whose `Result` this resolves with.
   *
   * @example Usage
   * ```ts
   * import { int32, MutexLazyInit } from "@lazyinit/lazyinit";
   * import { assertEquals } from "@std/assert";
   *
   * const cell = new MutexLazyInit(int32);
   * const error = new Error("No network");
   * assertEquals(await cell.tryInitAsync(() => Promise.reject(error)), {
   *   ok: false,
   *   reason: "during-init",
   *   error,
   * });
   * ```
   *
   * @param initializer Makes the value, now or later; with a view codec, it gets the slot
   * to fill.
   * @param options How to end the wait. An initializer that has been called goes
   * on after that, and its value is published.
   * @returns A promise of the value, and whether this call made it, or of the
   * initializer's error. It rejects with the errors that
   * {@linkcode MutexLazyInit.tryInit} throws, except those of blocking, or with the
   * reason of an aborted signal.
   */
  tryInitAsync(
    initializer: AsyncInitializer<T>,
    options?: LazyInitWaitAsyncOptions,
  ): Promise<InitResult<T>> {
    // Without `async`, which would make one more promise
    try {
      assertInitializer(initializer);
      return Promise.resolve(
        this.#tryInitAsync(initializer, signalOf(options)),
      );
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #tryInitAsync(
    initializer: AnyInitializer,
    signal: AbortSignal | undefined,
  ): InitResult<T> | Promise<InitResult<T>> {
    const attempt = (outer?: Run) =>
      this.#attemptAsync(initializer, signal, outer);
    // A newcomer stands behind the tasks that wait already, or it could starve them
    const first = this.#cell.hasLine && !this.#refresh()
      ? undefined
      : attempt();
    return first !== undefined
      ? first.result
      : this.#cell.until(signal, attempt).then(({ result }) => result);
  }

  /** Boxed, as a promise of the result must not delay the waiters that are next in line. */
  #attemptAsync(
    initializer: AnyInitializer,
    signal: AbortSignal | undefined,
    outer?: Run,
  ): { result: InitResult<T> | Promise<InitResult<T>> } | undefined {
    const already = this.#already();
    if (already !== undefined) return { result: already };
    throwIfAborted(signal);
    // In the same turn, so that no abort and no other task comes in between
    const run = this.#cell.makeAsync(initializer, this.#keep, outer);
    return run && { result: abortable(run, signal) };
  }

  /**
   * Resolves with the value, and initializes the cell if it is not initialized,
   * without blocking the agent. Keeps the event loop alive while it waits for
   * another initializer.
   *
   * Corresponds to `init` where both `Ok` and `AlreadyInit` will do.
   *
   * @example Usage
   * ```ts
   * import { int32, MutexLazyInit } from "@lazyinit/lazyinit";
   * import { assertEquals } from "@std/assert";
   *
   * const cell = new MutexLazyInit(int32);
   * assertEquals(await cell.getOrInitAsync(() => Promise.resolve(42)), 42);
   * assertEquals(await cell.getOrInitAsync(() => 43), 42);
   * ```
   *
   * @param initializer Makes the value, now or later; with a view codec, it gets the slot
   * to fill.
   * @param options How to end the wait. An initializer that has been called goes
   * on after that, and its value is published.
   * @returns A promise of the value, made by this call or another. It rejects with the
   * errors that {@linkcode MutexLazyInit.getOrInit} throws, except those of blocking,
   * or with the reason of an aborted signal.
   */
  getOrInitAsync(
    initializer: AsyncInitializer<T>,
    options?: LazyInitWaitAsyncOptions,
  ): Promise<Readonly<T>> {
    // As in getOrInit()
    return this.#state[0] === this.#word && options === undefined &&
        typeof initializer === "function"
      ? Promise.resolve(this.#value as Readonly<T>)
      : this.tryInitAsync(initializer, options).then(found);
  }

  #tryInit(
    initializer: AnyInitializer,
    timeout: number,
    alternative: string,
  ): InitResult<T> {
    return this.#attempt(initializer, alternative) ??
      this.#contend(initializer, timeout, alternative);
  }

  /** Cold: another agent is in the way. */
  #contend(
    initializer: AnyInitializer,
    timeout: number,
    alternative: string,
  ): InitResult<T> {
    return this.#cell.block(
      timeout,
      alternative,
      // In the order in which most find it
      () => this.#already() ?? this.#attempt(initializer, alternative),
    );
  }

  /** Begins first, as that is one operation where no agent came before. */
  #attempt(
    initializer: AnyInitializer,
    alternative: string,
  ): InitResult<T> | undefined {
    return this.#cell.make(initializer, alternative, this.#keep) ??
      this.#already();
  }

  #already(): InitResult<T> | undefined {
    if (!this.#refresh()) return undefined;
    return {
      ok: false,
      reason: "already-init",
      value: this.#value as Readonly<T>,
    };
  }

  #made(result: InitResult<T>): Readonly<T> {
    if (result.ok) return result.value;
    throw result.reason === "during-init"
      ? result.error
      : this.#cell.alreadyInitialized(result.value);
  }

  /**
   * Empties the cell, in all agents. Blocks while an initializer runs.
   *
   * The slot is zeroed, so that no secret stays in it, and values that agents have
   * cached are no longer returned. A live view that was handed out before stays valid
   * memory, and an agent may read it during the reset: use {@linkcode MutexLazyInit.read}
   * where another agent may reset the cell. Corresponds to `reset`, for which the compiler
   * ensures exclusive access.
   *
   * @example Usage
   * ```ts
   * import { int32, MutexLazyInit } from "@lazyinit/lazyinit";
   * import { assertEquals } from "@std/assert";
   *
   * const cell = new MutexLazyInit(int32);
   * assertEquals(cell.reset(), false);
   * cell.init(() => 42);
   * assertEquals(cell.reset(), true);
   * assertEquals(cell.init(() => 43), 43);
   * ```
   *
   * @param options How long to wait for an initializer.
   * @returns Whether the cell was initialized.
   * @throws {OwnerLostError} If `recover()` has declared this agent dead meanwhile.
   * @throws {RecursiveInitializationError} If this agent is initializing the cell.
   * @throws {DeadlockError} If this call would close a cycle of initializers that wait
   * for each other.
   * @throws {DOMException} Named `TimeoutError`, if the time is up.
   * @throws {TypeError} If the call would have to block where the agent may not, or
   * `timeout` is not a number.
   * @throws {RangeError} If `timeout` is negative or NaN.
   * @throws {LayoutMismatchError} If the memory has been overwritten.
   */
  reset(options?: LazyInitWaitOptions): boolean {
    const timeout = timeoutOf(options);
    const attempt = () => this.#tryReset(() => this.#cell.reset());
    const { result } = attempt() ??
      this.#cell.block(timeout, "resetAsync()", attempt);
    return result;
  }

  /** Returns `undefined` while another agent or an initializer of this one owns the cell. */
  #tryReset<R>(reset: () => R): { result: R | false } | undefined {
    this.#forget();
    const result = reset();
    return result || this.#cell.phase === "uninitialized"
      ? { result }
      : undefined;
  }

  /**
   * Empties the cell, in all agents, without blocking this one. Keeps the event loop
   * alive while it waits for an initializer.
   *
   * A large value is zeroed in slices, between which the event loop runs. The cell is
   * `initializing` until all is zero, and a synchronous call of this agent that would have
   * to wait for it finishes the rest itself. Otherwise as {@linkcode MutexLazyInit.reset}.
   *
   * @example Usage
   * ```ts
   * import { int32, MutexLazyInit } from "@lazyinit/lazyinit";
   * import { assertEquals } from "@std/assert";
   *
   * const cell = new MutexLazyInit(int32);
   * cell.init(() => 42);
   * assertEquals(await cell.resetAsync(), true);
   * assertEquals(cell.get(), undefined);
   * ```
   *
   * @param options How to end the wait. A reset that has begun goes on after that.
   * @returns A promise of whether the cell was initialized. It rejects with the reason
   * of an aborted signal, with a {@linkcode RecursiveInitializationError} if an
   * initializer of this cell calls it, or with an {@linkcode OwnerLostError} if
   * `recover()` has declared this agent dead meanwhile.
   */
  async resetAsync(options?: LazyInitWaitAsyncOptions): Promise<boolean> {
    const signal = signalOf(options);
    const attempt = () => this.#tryReset(() => this.#cell.resetInTurns());
    throwIfAborted(signal);
    const { result } = attempt() ?? await this.#cell.until(signal, attempt);
    return await abortable(result, signal);
  }

  /**
   * Blocks until any agent has initialized the cell, and returns the value.
   *
   * If the cell is initialized, returns immediately, even where blocking is not
   * allowed. Corresponds to no call of the kernel.
   *
   * @example Usage
   * ```ts
   * import { int32, MutexLazyInit } from "@lazyinit/lazyinit";
   * import { assertEquals, assertThrows } from "@std/assert";
   *
   * const cell = new MutexLazyInit(int32);
   * assertThrows(() => cell.wait({ timeout: 1 }), DOMException);
   * cell.init(() => 42);
   * assertEquals(cell.wait(), 42);
   * ```
   *
   * @param options How long to wait.
   * @returns The value.
   * @throws {RecursiveInitializationError} If this agent is initializing the cell.
   * @throws {DeadlockError} If this call would close a cycle of initializers that wait
   * for each other.
   * @throws {DOMException} Named `TimeoutError`, if the time is up.
   * @throws {TypeError} If the call would have to block where the agent may not, or
   * `timeout` is not a number.
   * @throws {RangeError} If `timeout` is negative or NaN.
   * @throws {LayoutMismatchError} If the memory has been overwritten.
   */
  wait(options?: LazyInitWaitOptions): Readonly<T> {
    const timeout = timeoutOf(options);
    const attempt = () => this.#refresh() || undefined;
    if (!attempt()) this.#cell.block(timeout, "waitAsync()", attempt, false);
    return this.#value as Readonly<T>;
  }

  /**
   * Resolves with the value when any agent has initialized the cell. Does not block the
   * agent, and keeps its event loop alive.
   *
   * @example Usage
   * ```ts
   * import { int32, MutexLazyInit } from "@lazyinit/lazyinit";
   * import { assertEquals } from "@std/assert";
   *
   * const cell = new MutexLazyInit(int32);
   * const value = cell.waitAsync();
   * cell.init(() => 42);
   * assertEquals(await value, 42);
   * ```
   *
   * @param options How to end the wait.
   * @returns A promise of the value; it rejects with the reason of an aborted signal,
   * with a {@linkcode RecursiveInitializationError} if an initializer of this cell
   * calls it, or with a {@linkcode DeadlockError} as {@linkcode MutexLazyInit.wait} throws it.
   */
  async waitAsync(
    options?: LazyInitWaitAsyncOptions,
  ): Promise<Readonly<T>> {
    const signal = signalOf(options);
    // Taken at once, as another task may reset the cell before this goes on
    const attempt = () => this.#refresh() ? { value: this.#value } : undefined;
    const { value } = attempt() ??
      await this.#cell.until(signal, attempt, false);
    return value as Readonly<T>;
  }

  /**
   * Takes the cell from an agent that has ended while it was initializing or resetting
   * it: the slot is zeroed, the cell is uninitialized again, and one of the waiters
   * runs its initializer. A value that the agent had published, or had not yet
   * begun to reset, stays. Never blocks.
   *
   * If the agent is in fact still running, its call fails with an
   * {@linkcode OwnerLostError}. It can still write through a view of the slot that it
   * already has, or finish a write that it has begun. Where the platform reports the end of
   * an agent, no call is needed: see `announceAgent()`. Corresponds to no call of the
   * kernel.
   *
   * @example Usage
   * ```ts
   * import { agentId, int32, MutexLazyInit, OwnerLostError } from "@lazyinit/lazyinit";
   * import { assertEquals, assertThrows } from "@std/assert";
   *
   * const cell = new MutexLazyInit(int32);
   * assertEquals(cell.recover(agentId()), false);
   * assertThrows(() =>
   *   cell.init(() => {
   *     // As another agent would, when this one has ended
   *     assertEquals(cell.recover(agentId()), true);
   *     return 42;
   *   }), OwnerLostError);
   * assertEquals(cell.init(() => 43), 43);
   * ```
   *
   * @param agentId The agent that has ended, as returned by `agentId()` in that agent.
   * @returns Whether it was initializing or resetting the cell.
   * @throws {TypeError} If `agentId` is not a number.
   * @throws {RangeError} If `agentId` is not a positive integer.
   * @throws {LayoutMismatchError} If the memory has been overwritten.
   */
  recover(agentId: number): boolean {
    return this.#cell.recover(agentId);
  }

  /**
   * Gives up the name by which this cell was opened. Does nothing if there is none, or
   * on a second call. The cell stays usable.
   *
   * @example Usage
   * ```ts
   * import { int32, MutexLazyInit } from "@lazyinit/lazyinit";
   * import { assertEquals } from "@std/assert";
   *
   * {
   *   using cell = await MutexLazyInit.open("answer", int32);
   *   cell.init(() => 42);
   * }
   * // No agent has it open, so this is another one
   * using cell = await MutexLazyInit.open("answer", int32);
   * assertEquals(cell.get(), undefined);
   * ```
   */
  [Symbol.dispose](): void {
    closeByName(this);
  }

  /**
   * Shows the cell in Deno, as `MutexLazyInit "name" { 42 }`. Never blocks.
   *
   * @example Usage
   * ```ts
   * import { int32, MutexLazyInit } from "@lazyinit/lazyinit";
   * import { assertEquals } from "@std/assert";
   *
   * const cell = new MutexLazyInit(int32, { name: "answer" });
   * cell.init(() => 42);
   * assertEquals(Deno.inspect(cell), 'MutexLazyInit "answer" { 42 }');
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
   * Shows the cell in Node and Bun, as `MutexLazyInit "name" { 42 }`. Never blocks.
   *
   * @example Usage
   * ```ts
   * import { int32, MutexLazyInit } from "@lazyinit/lazyinit";
   * import { assertEquals } from "@std/assert";
   * import { inspect } from "node:util";
   *
   * assertEquals(inspect(new MutexLazyInit(int32)), "MutexLazyInit { <uninitialized> }");
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

/** Throws if a reader goes on after its call. */
function assertNoPromise(result: unknown): void {
  if (!isPromiseLike(result)) return;
  // The error reports it, so its rejection counts as handled
  result.then(undefined, () => {});
  throw new TypeError(
    "Cannot read the cell as 'reader' must not return a promise: the value may be torn by the time the promise settles",
  );
}

/** Settles as `result` does, or rejects with the reason of the signal if that is aborted first. */
function abortable<T>(
  result: T | Promise<T>,
  signal: AbortSignal | undefined,
): T | Promise<T> {
  if (signal === undefined || !isPromiseLike(result)) return result;
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort);
    result.then(resolve, reject).finally(() =>
      signal.removeEventListener("abort", abort)
    );
  });
}
