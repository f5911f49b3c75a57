// Copyright 2026 the lazyinit authors. MIT license.
// This module is browser compatible.

/**
 * The errors that callers of this package catch by class.
 *
 * Wrong types are `TypeError`s, values out of range are `RangeError`s, and an elapsed
 * timeout is a `DOMException` named `TimeoutError`. For everything else that a program may
 * want to handle, there is a class here.
 *
 * ```ts
 * import { int32, LazyInit } from "@lazyinit/lazyinit";
 * import { AlreadyInitializedError } from "@lazyinit/lazyinit/errors";
 * import { assertThrows } from "@std/assert";
 *
 * const cell = new LazyInit(int32);
 * cell.initOnce(1);
 * assertThrows(() => cell.initOnce(2), AlreadyInitializedError);
 * ```
 *
 * @module
 */

/**
 * Thrown by a call that must be the one that initializes a cell, if the cell is already
 * initialized or, with `LazyInit`, is being initialized.
 *
 * Corresponds to the panic of the crate's `init_once` and to the kernel's
 * `LazyInitError::AlreadyInit`, which also carries the value.
 *
 * @example Usage
 * ```ts
 * import { AlreadyInitializedError, int32, MutexLazyInit } from "@lazyinit/lazyinit";
 * import { assertEquals, assertThrows } from "@std/assert";
 *
 * const cell = new MutexLazyInit(int32);
 * cell.init(() => 1);
 * const error = assertThrows(() => cell.init(() => 2), AlreadyInitializedError);
 * assertEquals(error.value, 1);
 * ```
 *
 * @typeParam T The type of the cell's value.
 */
export class AlreadyInitializedError<T = unknown> extends Error {
  /**
   * The name of this class.
   *
   * @example Usage
   * ```ts
   * import { AlreadyInitializedError } from "@lazyinit/lazyinit/errors";
   * import { assertEquals } from "@std/assert";
   *
   * assertEquals(new AlreadyInitializedError("What went wrong").name, "AlreadyInitializedError");
   * ```
   */
  override readonly name = "AlreadyInitializedError";

  /**
   * The value that the cell holds; `undefined` while it is being initialized.
   *
   * @example Usage
   * ```ts
   * import { AlreadyInitializedError, int32, LazyInit } from "@lazyinit/lazyinit";
   * import { assertEquals, assertThrows } from "@std/assert";
   *
   * const cell = new LazyInit(int32);
   * cell.initOnce(1);
   * const error = assertThrows(() => cell.initOnce(2), AlreadyInitializedError);
   * assertEquals(error.value, 1);
   * ```
   */
  readonly value: Readonly<T> | undefined;

  /**
   * Constructs a new instance.
   *
   * @param message What was attempted and why it was refused.
   * @param value The value that the cell holds, if it holds one.
   */
  constructor(message: string, value?: Readonly<T>) {
    super(message);
    this.value = value;
  }
}

/**
 * Thrown by the `value` getter of a cell that is not initialized.
 *
 * Corresponds to the panic of the crate's `Deref`.
 *
 * @example Usage
 * ```ts
 * import { int32, LazyInit, NotInitializedError } from "@lazyinit/lazyinit";
 * import { assertThrows } from "@std/assert";
 *
 * const cell = new LazyInit(int32);
 * assertThrows(() => cell.value, NotInitializedError);
 * ```
 */
export class NotInitializedError extends Error {
  /**
   * The name of this class.
   *
   * @example Usage
   * ```ts
   * import { NotInitializedError } from "@lazyinit/lazyinit/errors";
   * import { assertEquals } from "@std/assert";
   *
   * assertEquals(new NotInitializedError("What went wrong").name, "NotInitializedError");
   * ```
   */
  override readonly name = "NotInitializedError";

  /**
   * Constructs a new instance.
   *
   * @param message Which cell was read and what to do instead.
   */
  constructor(message: string) {
    super(message);
  }
}

/**
 * Thrown if an initializer initializes, waits for or resets the cell that it is
 * initializing, or if a synchronous call would block its agent for an asynchronous
 * initialization that runs in that same agent.
 *
 * While an asynchronous initializer runs, everything that it has started counts as part of
 * it. In Deno 2.9, if it calls a dynamic `import()`, requests that a server gets meanwhile
 * may count, too: import such modules earlier. Both originals deadlock or corrupt the cell
 * here.
 *
 * @example Usage
 * ```ts
 * import { int32, MutexLazyInit, RecursiveInitializationError } from "@lazyinit/lazyinit";
 * import { assertThrows } from "@std/assert";
 *
 * const cell = new MutexLazyInit(int32);
 * assertThrows(
 *   () => cell.getOrInit(() => cell.getOrInit(() => 1)),
 *   RecursiveInitializationError,
 * );
 * ```
 */
export class RecursiveInitializationError extends Error {
  /**
   * The name of this class.
   *
   * @example Usage
   * ```ts
   * import { RecursiveInitializationError } from "@lazyinit/lazyinit/errors";
   * import { assertEquals } from "@std/assert";
   *
   * assertEquals(new RecursiveInitializationError("What went wrong").name, "RecursiveInitializationError");
   * ```
   */
  override readonly name = "RecursiveInitializationError";

  /**
   * Constructs a new instance.
   *
   * @param message Which cell was entered again and what to do instead.
   */
  constructor(message: string) {
    super(message);
  }
}

/**
 * Thrown if memory does not hold the expected cell: it holds another kind, codec or
 * capacity, no cell was placed in it, or its state is one that no cell can have.
 *
 * @example Usage
 * ```ts
 * import { float64, int32, LayoutMismatchError, LazyInit } from "@lazyinit/lazyinit";
 * import { assertThrows } from "@std/assert";
 *
 * const cell = new LazyInit(int32);
 * assertThrows(() => LazyInit.from(cell.handle, float64), LayoutMismatchError);
 * ```
 */
export class LayoutMismatchError extends Error {
  /**
   * The name of this class.
   *
   * @example Usage
   * ```ts
   * import { LayoutMismatchError } from "@lazyinit/lazyinit/errors";
   * import { assertEquals } from "@std/assert";
   *
   * assertEquals(new LayoutMismatchError("What went wrong").name, "LayoutMismatchError");
   * ```
   */
  override readonly name = "LayoutMismatchError";

  /**
   * Constructs a new instance.
   *
   * @param message What was expected in the memory and what was found there.
   */
  constructor(message: string) {
    super(message);
  }
}

/**
 * Thrown by a call that initializes or resets a cell if `recover()` has declared its
 * agent dead meanwhile. The cell may belong to another agent by now, and the call has
 * neither published nor reset anything.
 *
 * Corresponds to no error of the originals.
 *
 * @example Usage
 * ```ts
 * import { agentId, int32, MutexLazyInit, OwnerLostError } from "@lazyinit/lazyinit";
 * import { assertEquals, assertThrows } from "@std/assert";
 *
 * const cell = new MutexLazyInit(int32);
 * assertThrows(
 *   () =>
 *     cell.init(() => {
 *       // As another agent would, when this one seems to have ended
 *       cell.recover(agentId());
 *       return 42;
 *     }),
 *   OwnerLostError,
 * );
 * assertEquals(cell.initialized, false);
 * ```
 */
export class OwnerLostError extends Error {
  /**
   * The name of this class.
   *
   * @example Usage
   * ```ts
   * import { OwnerLostError } from "@lazyinit/lazyinit/errors";
   * import { assertEquals } from "@std/assert";
   *
   * assertEquals(new OwnerLostError("What went wrong").name, "OwnerLostError");
   * ```
   */
  override readonly name = "OwnerLostError";

  /**
   * Constructs a new instance.
   *
   * @param message Which cell was lost.
   */
  constructor(message: string) {
    super(message);
  }
}

/**
 * Thrown by a call that would wait for a cell whose initializer waits, directly or
 * through others, for an initializer that the call is part of or blocks.
 *
 * The package finds cycles of up to 16 initializers, in any agents. Each of them waits for
 * the cell of the next one, by any method of either kind of cell, with or without a
 * timeout. An initializer waits for:
 *
 * - every cell that a call within it waits for, until that call or the initializer
 * ends. A wait that an initializer has begun counts even if the initializer does not await
 * it, as the platform does not say what it awaits. A wait that races with a fallback may
 * therefore be refused, although the initializer would go on without it.
 * - every cell for which its agent blocks, even in another task: no initializer of a
 * blocked agent goes on.
 *
 * A call is known to be within an asynchronous initializer up to that initializer's
 * first `await`, and after it where the platform has `AsyncLocalStorage`: Deno, Node
 * and Bun. Cycles through a `Mutex`, or through agents that are blocked by other means,
 * are not found: use timeouts there.
 *
 * If their agents are idle, two or three initializers find out within tens of milliseconds,
 * and 16 within hundreds. It may take seconds if an initializer of the cycle also waits for
 * a cell outside of the cycle, and that cell's initializer waits, too. Corresponds to no
 * error of the originals, which hang.
 *
 * @example Usage
 * ```ts
 * import { DeadlockError, int32, MutexLazyInit } from "@lazyinit/lazyinit";
 * import { assertEquals, assertRejects } from "@std/assert";
 *
 * const a = new MutexLazyInit(int32, { name: "a" });
 * const b = new MutexLazyInit(int32, { name: "b" });
 * const calls = [
 *   a.getOrInitAsync(async () => {
 *     await Promise.resolve();
 *     return b.getOrInitAsync(() => 1);
 *   }),
 *   b.getOrInitAsync(() => a.getOrInitAsync(() => 2)),
 * ];
 * const error = await assertRejects(() => Promise.all(calls), DeadlockError);
 * assertEquals(error.cells.toSorted(), ["a", "b"]);
 *
 * // One gave way, and the other went on
 * await Promise.any(calls);
 * ```
 */
export class DeadlockError extends Error {
  /**
   * The name of this class.
   *
   * @example Usage
   * ```ts
   * import { DeadlockError } from "@lazyinit/lazyinit/errors";
   * import { assertEquals } from "@std/assert";
   *
   * assertEquals(new DeadlockError("They wait for each other").name, "DeadlockError");
   * ```
   */
  override readonly name = "DeadlockError";

  /**
   * The names of the cells of the cycle that this agent knows of, in the order in which
   * they need each other: the cell that it is initializing, those that it is
   * initializing for that one, and the cell that the call would wait for. The cells that
   * this last one waits for are not named, as only other agents may know their names.
   *
   * @example Usage
   * ```ts
   * import { DeadlockError } from "@lazyinit/lazyinit/errors";
   * import { assertEquals } from "@std/assert";
   *
   * const error = new DeadlockError("They wait for each other", ["index", "table"]);
   * assertEquals(error.cells.join(" → "), "index → table");
   * ```
   */
  readonly cells: readonly string[];

  /**
   * Constructs a new instance.
   *
   * @param message Which cells wait for each other.
   * @param cells The names of these cells.
   */
  constructor(message: string, cells: readonly string[] = []) {
    super(message);
    this.cells = cells;
  }
}
