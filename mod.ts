// Copyright 2026 the lazyinit authors. MIT license.
// This module is browser compatible.

/**
 * One-time initialization shared by every thread of a JavaScript program.
 *
 * The value lives in a `SharedArrayBuffer`: exactly one agent (main thread or
 * worker) initializes it, and every agent reads it for about the price of a field access.
 *
 * - {@linkcode LazyInit} never blocks: who comes too late is told so at once.
 * - {@linkcode MutexLazyInit} lets racers wait, lets initializers fail, and can be
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
 * @module
 */

export * from "./atomics.ts";
export * from "./codec.ts";
export * from "./errors.ts";
export * from "./lazy_init.ts";
export * from "./lazy_init_map.ts";
export * from "./mutex_lazy_init.ts";
