// Copyright 2026 the lazyinit authors. MIT license.

/**
 * What a store has under a key.
 *
 * @example Usage
 * ```ts
 * import type { Entry } from "@lazyinit/lazyinit/cluster";
 * import { SqliteStore } from "@lazyinit/lazyinit/cluster/sqlite";
 * import { assertEquals } from "@std/assert";
 *
 * await using store = new SqliteStore(":memory:");
 * await store.set("key", new Uint8Array([42]), 0n);
 * const entry: Entry | null = await store.get("key");
 * assertEquals(entry?.value, new Uint8Array([42]));
 * ```
 */
export interface Entry {
  /** The bytes, which are never changed in place. */
  readonly value: Uint8Array;
  /** Above 0, and grows with every write of the key, even past a deletion. */
  readonly version: bigint;
}

/**
 * What a `ClusterLazyInit` needs from an engine: one entry per key, compare-and-set, and
 * a hint of changes.
 *
 * Every method rejects with a {@linkcode PermanentStoreError} if nothing was done and
 * trying again is useless. Any other rejection means that the outcome is unknown, and that
 * the request may succeed later.
 *
 * @example A store in memory, for the tests of one process
 * ```ts
 * import type { Entry, Store } from "@lazyinit/lazyinit/cluster";
 * import { ClusterLazyInit } from "@lazyinit/lazyinit/cluster";
 * import { int32 } from "@lazyinit/lazyinit";
 * import { assertEquals } from "@std/assert";
 *
 * class MemoryStore implements Store {
 *   #entries = new Map<string, Entry>();
 *   get(key: string) {
 *     return Promise.resolve(this.#entries.get(key) ?? null);
 *   }
 *   set(key: string, value: Uint8Array, expected: bigint) {
 *     const version = this.#entries.get(key)?.version ?? 0n;
 *     if (version !== expected) return Promise.resolve(null);
 *     this.#entries.set(key, { value, version: version + 1n });
 *     return Promise.resolve(version + 1n);
 *   }
 *   async *watch(key: string, signal: AbortSignal) {
 *     while (!signal.aborted) {
 *       yield await this.get(key);
 *       await new Promise((resolve) => setTimeout(resolve, 10));
 *     }
 *   }
 * }
 *
 * await using cell = new ClusterLazyInit(new MemoryStore(), "answer", int32);
 * assertEquals(await cell.getOrInit(() => 42), 42);
 * ```
 */
export interface Store {
  /**
   * Returns what is under `key`. Linearizable: as of a moment during the call.
   *
   * @param key The key.
   * @returns The entry, or `null` if there is none.
   */
  get(key: string): Promise<Entry | null>;
  /**
   * Replaces what is under `key`, if that still is the entry of version `expected`.
   *
   * @param key The key.
   * @param value The new bytes.
   * @param expected The version to replace; `0n` if there must be no entry.
   * @returns The new version, or `null` if another entry, or none, is there.
   */
  set(key: string, value: Uint8Array, expected: bigint): Promise<bigint | null>;
  /**
   * Yields what is under `key` once the watch is set up, and then after changes.
   *
   * A watch is a hint: it may be late, leave changes out, repeat or reorder them, or end. If
   * it ends, the cell begins another one. A store that has no entry under `key`, or does not
   * know which one it has, yields `null`.
   *
   * @param key The key.
   * @param signal Ends the watch: the iterator then returns or throws, and nothing is
   * kept alive.
   * @returns The changes.
   */
  watch(key: string, signal: AbortSignal): AsyncIterable<Entry | null>;
  /** The most bytes that a value may have, if there is a limit. */
  readonly maxByteLength?: number;
}

/**
 * What a store rejects with if nothing was done, and if the same request would fail
 * again: the value is too large, there is no permission, or the store is closed.
 *
 * @example Usage
 * ```ts
 * import { ClusterLazyInit, PermanentStoreError } from "@lazyinit/lazyinit/cluster";
 * import { SqliteStore } from "@lazyinit/lazyinit/cluster/sqlite";
 * import { int32 } from "@lazyinit/lazyinit";
 * import { assertRejects } from "@std/assert";
 *
 * const store = new SqliteStore(":memory:");
 * await store[Symbol.asyncDispose]();
 * await using cell = new ClusterLazyInit(store, "answer", int32);
 * await assertRejects(() => cell.getOrInit(() => 42), PermanentStoreError);
 * ```
 */
export class PermanentStoreError extends Error {
  /**
   * The name of the class.
   *
   * @example Usage
   * ```ts
   * import { PermanentStoreError } from "@lazyinit/lazyinit/cluster";
   * import { assertEquals } from "@std/assert";
   *
   * assertEquals(new PermanentStoreError("No").name, "PermanentStoreError");
   * ```
   */
  override readonly name = "PermanentStoreError";

  /**
   * Constructs a new instance.
   *
   * @param message What was refused, and why.
   * @param options The error of the engine, as its `cause`.
   */
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
  }
}
