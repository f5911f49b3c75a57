// Copyright 2026 the lazyinit authors. MIT license.
// This module is browser compatible.

/**
 * One-time initialization shared by every thread of a JavaScript program.
 *
 * The value lives in a `SharedArrayBuffer`. Exactly one agent (main thread or
 * worker) initializes it, and every agent reads it for about the price of a field
 * access.
 *
 * - {@linkcode LazyInit} never blocks: latecomers are told immediately.
 * - {@linkcode MutexLazyInit} lets latecomers wait, lets initializers fail, and can be
 *   reset.
 * - {@linkcode LazyInitMap} is a map of such cells, one for each key.
 *
 * ```ts
 * import { MutexLazyInit, typedArray } from "@lazyinit/lazyinit";
 * import { assertEquals } from "@std/assert";
 *
 * const primes = new MutexLazyInit(typedArray(Uint32Array, 3));
 * // postMessage(primes.handle) and MutexLazyInit.from(handle, …) in a worker
 *
 * const value = primes.getOrInit((slot) => slot.set([2, 3, 5]));
 * assertEquals([...value], [2, 3, 5]);
 * ```
 *
 * # Calls
 *
 * | call | of | does |
 * | --- | --- | --- |
 * | `from(handle, codec)`, `handle` | both | attaches to a cell in another agent |
 * | `open(name, codec, { signal })`, `[Symbol.dispose]()` | both | opens the cell of that name in any agent, without a handle; gives the name up |
 * | `byteLength(codec)` | both | returns the memory that a cell takes |
 * | `get()`, `value` | both | reads the value; without one, `undefined` or a `NotInitializedError` |
 * | `getUnchecked()`, `getMut()` | both | reads without a check; returns the writable view of a view codec |
 * | `initialized`, `phase`, `name` | both | describe the cell |
 * | `wait({ timeout })`, `waitAsync({ signal })` | both | wait until some agent has initialized the cell |
 * | `recover(agentId)` | both | frees the cell of an agent that has ended |
 * | `initOnce(value)` | `LazyInit` | initializes, or throws an `AlreadyInitializedError` |
 * | `callOnce(initializer)` | `LazyInit` | initializes, or returns `undefined` to a latecomer |
 * | `getOrInit(initializer, { timeout })` | `MutexLazyInit` | returns the value, and makes it if there is none |
 * | `init(initializer)` | `MutexLazyInit` | initializes, or throws |
 * | `tryInit(initializer)` | `MutexLazyInit` | initializes, and returns how that went |
 * | `read(reader)` | `MutexLazyInit` | reads a view beside a reset, and never a torn one |
 * | `reset()` | `MutexLazyInit` | empties the cell |
 * | `getOrInitAsync()`, `initAsync()`, `tryInitAsync()`, `resetAsync()` | `MutexLazyInit` | the same without blocking; initializers may be asynchronous |
 *
 * Timeouts are in ms. For an asynchronous call, `AbortSignal.timeout(ms)` is one.
 *
 * # Map to the originals
 *
 * `LazyInit` follows the Rust crate [`lazyinit`](https://docs.rs/lazyinit) (0.2.1; up to
 * 0.4.2 with the same calls), and `MutexLazyInit` the Linux kernel's
 * [patch series](https://lkml.iu.edu/2605.3/06032.html) `sync: Introduce LazyInit`.
 *
 * | crate | kernel | here |
 * | --- | --- | --- |
 * | `new`, `Default` | `new`, `new_lazy_init!` | constructors, `from()` |
 * | `init_once` | | `LazyInit.initOnce()`; an error in place of the panic |
 * | `call_once` | | `LazyInit.callOnce()`; rolls back if the initializer throws, and does not spin: a latecomer that should wait calls `wait()`, or uses `MutexLazyInit` |
 * | | `init` | `MutexLazyInit.init()`, `tryInit()`, `getOrInit()`, and their asynchronous forms |
 * | | `LazyInitError::AlreadyInit` | `AlreadyInitializedError` with its `value`; `"already-init"` |
 * | | `LazyInitError::DuringInit`, `From<E>` | the initializer's error, unchanged; `"during-init"` |
 * | `is_inited` | `as_ref().is_some()` | `initialized`, `phase` |
 * | `get` | `as_ref` | `get()`, which never takes a lock |
 * | `get_mut`, `DerefMut` | | `getMut()`, for view codecs; exclusive access is up to the caller |
 * | `get_unchecked` | | `getUnchecked()` |
 * | `get_mut_unchecked` | | none; `getMut()` costs as little |
 * | `Deref` | `as_ref().unwrap()` | `value`, which throws a `NotInitializedError` |
 * | `Debug` | | inspection in Deno, Node and Bun |
 * | | `reset` | `MutexLazyInit.reset()`, `resetAsync()` |
 * | `Drop` | `PinnedDrop` | none; the memory is garbage collected |
 * | `Send`, `Sync` | `Send + Sync` | codecs: what cannot be shared does not type-check |
 * | | `PinInit` | view codecs: the initializer fills the slot in place |
 *
 * Neither original has `wait()` or `waitAsync()`. Nor do they need `recover()` and
 * {@linkcode announceAgent}, as threads there do not end halfway.
 *
 * The faults of the originals do not occur here, and a test is named after each of them: a
 * value that can be read before it is written, a failed initializer that leaves garbage, a
 * first initialization that fails spuriously, readers that queue behind a lock, a reset
 * that other threads do not notice, an initializer that waits for itself.
 *
 * # Map to their relatives
 *
 * [`ax-lazyinit`](https://crates.io/crates/ax-lazyinit) 0.4.9 is the crate's successor;
 * the others are Rust's standard library, tokio, and the kernel's own `SetOnce`.
 *
 * | there | of | here |
 * | --- | --- | --- |
 * | `get_or_init` | `ax-lazyinit`, `OnceLock`; tokio `OnceCell` | `MutexLazyInit.getOrInit()`; `getOrInitAsync()` |
 * | `get_or_try_init` | the same | the same: an initializer that throws fails, and the call throws its error unchanged |
 * | rollback on panic | `ax-lazyinit` `call_once`, `OnceLock` | both cells; `LazyInit` may be tried again by any agent |
 * | poisoning | `LazyLock` | none; the next initializer runs |
 * | `call_once` of `OnceLock` | `ax-lazyinit` | `MutexLazyInit.getOrInit()` |
 * | `is_initialized` | `ax-lazyinit` `OnceLock`; tokio `initialized` | `initialized` |
 * | `LazyLock::new(f)`, `force`, `Deref` | `ax-lazyinit`, std | none, as no function reaches another agent; write `const get = () => cell.getOrInit(f)` |
 * | `set` | `OnceLock`, tokio | `LazyInit.initOnce(value)`; or `MutexLazyInit.tryInit(() => value).ok`, which waits as `OnceLock::set` does |
 * | `populate` | kernel `SetOnce` | `LazyInit.callOnce(() => value) !== undefined` |
 * | `copy` | kernel `SetOnce` | `get()`; a view is copied by `slice()` |
 * | `wait` | `OnceLock`; tokio `SetOnce` | `wait()`; `waitAsync()` |
 * | `try_insert` | `OnceLock` | `MutexLazyInit.tryInit(() => value)`, whose result has the `value` in either case |
 * | `get_mut_or_init`, `force_mut` | `OnceLock`; `LazyLock` | `cell.getOrInit(f); cell.getMut()` |
 * | `From<T>`, `new_with` | `OnceLock`; tokio | `new LazyInit(codec, { value })` |
 * | `take`, `into_inner` | `OnceLock`, tokio; `LazyLock` has `into_inner` | `const value = cell.get(); cell.reset()`; a view is copied by `slice()` first. Rust needs exclusive access for it, which is up to the caller here |
 * | `Clone` | `OnceLock`, tokio | a new cell with the same value: `new LazyInit(codec, { value: cell.value })` |
 *
 * @module
 */

export * from "./atomics.ts";
export * from "./codec.ts";
export * from "./errors.ts";
export * from "./lazy_init.ts";
export * from "./lazy_init_map.ts";
export * from "./mutex_lazy_init.ts";
