// Copyright 2026 the lazyinit authors. MIT license.

/**
 * {@linkcode DenoKvStore}: a Deno KV database as the store of `ClusterLazyInit` cells. Needs
 * `Deno.openKv()`, with `--unstable-kv`, or the package `@deno/kv` in Node.
 *
 * ```ts
 * import { json } from "@lazyinit/lazyinit";
 * import { ClusterLazyInit } from "@lazyinit/lazyinit/cluster";
 * import { type DenoKv, DenoKvStore } from "@lazyinit/lazyinit/cluster/deno-kv";
 * import { assertEquals } from "@std/assert";
 *
 * async function readPort(kv: DenoKv): Promise<number> {
 *   await using store = new DenoKvStore(kv);
 *   await using cell = new ClusterLazyInit(store, "config", json<{ port: number }>(1024));
 *   const { port } = await cell.getOrInit(() => ({ port: 80 }));
 *   return port;
 * }
 * // using kv = await Deno.openKv();
 * // await readPort(kv);
 * assertEquals(readPort.name, "readPort");
 * ```
 *
 * @module
 */

import { wrongType } from "../_checks.ts";
import { type Entry, PermanentStoreError, type Store } from "./store.ts";

// Taken once, as test runners replace them later
const { setTimeout, clearTimeout } = globalThis;

/** The most that Deno KV takes for a value, minus what its serialization adds. */
const MAX_BYTE_LENGTH = 65_536 - 64;
/** How often a key is read beside the watch, in ms. */
const POLL_INTERVAL = 100;
/** After how many ms a locked file is tried again; doubles up to the maximum. */
const FIRST_RETRY = 2;
const MAX_RETRY = 50;
/** After so many ms the caller gets the error that it is locked. */
const MAX_LOCKED = 1_000;
/** The first part of all keys. */
const PREFIX = "lazyinit";

/**
 * An entry of Deno KV.
 *
 * @example Usage
 * ```ts
 * import type { DenoKvEntry } from "@lazyinit/lazyinit/cluster/deno-kv";
 * import { assertEquals } from "@std/assert";
 *
 * const none: DenoKvEntry = { value: null, versionstamp: null };
 * assertEquals(none.versionstamp, null);
 * ```
 */
export interface DenoKvEntry {
  /** What is under the key. */
  readonly value: unknown;
  /** 20 hexadecimal digits; `null` if there is no entry. */
  readonly versionstamp: string | null;
}

/**
 * The part of an atomic operation that is used.
 *
 * @example Usage
 * ```ts
 * import type { DenoKvAtomic } from "@lazyinit/lazyinit/cluster/deno-kv";
 * import { assertEquals } from "@std/assert";
 *
 * const refused: DenoKvAtomic = {
 *   check: () => refused,
 *   set: () => refused,
 *   commit: () => Promise.resolve({ ok: false }),
 * };
 * const check = { key: ["answer"], versionstamp: null };
 * assertEquals(await refused.check(check).commit(), { ok: false });
 * ```
 */
export interface DenoKvAtomic {
  /**
   * Makes the operation depend on the version of a key.
   *
   * @param check The key, and the version that it must have.
   * @returns The operation.
   */
  check(check: { key: string[]; versionstamp: string | null }): DenoKvAtomic;
  /**
   * Makes the operation write a key.
   *
   * @param key The key.
   * @param value What to write.
   * @returns The operation.
   */
  set(key: string[], value: unknown): DenoKvAtomic;
  /**
   * Performs the operation.
   *
   * @returns A promise of whether it was, and of the new version.
   */
  commit(): Promise<{ ok: false } | { ok: true; versionstamp: string }>;
}

/**
 * The part of a `Deno.Kv` that is used. A `Kv` of `@deno/kv` fits, too.
 *
 * @example A database that is empty, and stays so
 * ```ts
 * import { type DenoKv, type DenoKvAtomic, DenoKvStore } from "@lazyinit/lazyinit/cluster/deno-kv";
 * import { assertEquals } from "@std/assert";
 *
 * const refused: DenoKvAtomic = {
 *   check: () => refused,
 *   set: () => refused,
 *   commit: () => Promise.resolve({ ok: false }),
 * };
 * const kv: DenoKv = {
 *   get: () => Promise.resolve({ value: null, versionstamp: null }),
 *   atomic: () => refused,
 *   watch: () => new ReadableStream(),
 * };
 * await using store = new DenoKvStore(kv);
 * assertEquals(await store.get("key"), null);
 * ```
 */
export interface DenoKv {
  /**
   * Reads a key, strongly consistent.
   *
   * @param key The key.
   * @returns A promise of what is under it.
   */
  get(key: string[]): Promise<DenoKvEntry>;
  /**
   * Begins an atomic operation.
   *
   * @returns The operation.
   */
  atomic(): DenoKvAtomic;
  /**
   * Reports changes of keys.
   *
   * @param keys The keys.
   * @returns A stream of what is under them.
   */
  watch(keys: string[][]): ReadableStream<readonly DenoKvEntry[]>;
}

/**
 * A store in a Deno KV database: denokv and Deno Deploy first, and a local file.
 *
 * The watch of a local file never reports what another process has written, so the store
 * also reads every watched key ten times a second. It only reads the keys of a file that
 * `@deno/kv` has open, as that package cannot end a watch. If another process has locked a
 * local file, the store tries again a little later.
 *
 * A value may take 64 KiB. Tested on local files of one machine, with several
 * processes of Deno, and of Node by `@deno/kv` 0.14; not against denokv or Deno Deploy.
 *
 * @example An empty database
 * ```ts
 * import { type DenoKvAtomic, DenoKvStore } from "@lazyinit/lazyinit/cluster/deno-kv";
 * import { assertEquals } from "@std/assert";
 *
 * const refused: DenoKvAtomic = {
 *   check: () => refused,
 *   set: () => refused,
 *   commit: () => Promise.resolve({ ok: false }),
 * };
 * await using store = new DenoKvStore({
 *   get: () => Promise.resolve({ value: null, versionstamp: null }),
 *   atomic: () => refused,
 *   watch: () => new ReadableStream(),
 * });
 * assertEquals(await store.get("key"), null);
 * ```
 */
export class DenoKvStore implements Store, AsyncDisposable {
  /**
   * The most bytes of a value: somewhat less than 64 KiB.
   *
   * @example Usage
   * ```ts
   * import { type DenoKv, DenoKvStore } from "@lazyinit/lazyinit/cluster/deno-kv";
   * import { assert } from "@std/assert";
   *
   * const kv = { get() {}, atomic() {}, watch() {} } as unknown as DenoKv;
   * assert(new DenoKvStore(kv).maxByteLength < 65_536);
   * ```
   */
  readonly maxByteLength: number = MAX_BYTE_LENGTH;
  readonly #kv: DenoKv;
  readonly #end = new AbortController();

  /**
   * Constructs a new instance. Does no I/O.
   *
   * @param kv The database, which stays open when the store is disposed.
   * @throws {TypeError} If `kv` is not a database.
   */
  constructor(kv: DenoKv) {
    const { get, atomic, watch } = Object(kv);
    if (
      ![get, atomic, watch].every((method) => typeof method === "function")
    ) {
      const wanted = "have 'get', 'atomic' and 'watch'";
      throw wrongType("create the store", "kv", wanted, kv);
    }
    this.#kv = kv;
  }

  /**
   * Returns what is under `key`, as of a moment during the call.
   *
   * @example An empty database
   * ```ts
   * import { type DenoKvAtomic, DenoKvStore } from "@lazyinit/lazyinit/cluster/deno-kv";
   * import { assertEquals } from "@std/assert";
   *
   * const refused: DenoKvAtomic = {
   *   check: () => refused,
   *   set: () => refused,
   *   commit: () => Promise.resolve({ ok: false }),
   * };
   * await using store = new DenoKvStore({
   *   get: () => Promise.resolve({ value: null, versionstamp: null }),
   *   atomic: () => refused,
   *   watch: () => new ReadableStream(),
   * });
   * assertEquals(await store.get("key"), null);
   * ```
   *
   * @param key The key.
   * @returns A promise of the entry, or of `null` if there is none.
   */
  async get(key: string): Promise<Entry | null> {
    return entryOf(await this.#persist(() => this.#kv.get([PREFIX, key])));
  }

  /**
   * Replaces what is under `key`, if that still is the entry of version `expected`.
   *
   * @example An empty database
   * ```ts
   * import { type DenoKvAtomic, DenoKvStore } from "@lazyinit/lazyinit/cluster/deno-kv";
   * import { assertEquals } from "@std/assert";
   *
   * const refused: DenoKvAtomic = {
   *   check: () => refused,
   *   set: () => refused,
   *   commit: () => Promise.resolve({ ok: false }),
   * };
   * await using store = new DenoKvStore({
   *   get: () => Promise.resolve({ value: null, versionstamp: null }),
   *   atomic: () => refused,
   *   watch: () => new ReadableStream(),
   * });
   * assertEquals(await store.set("key", new Uint8Array([42]), 0n), null);
   * ```
   *
   * @param key The key.
   * @param value The new bytes.
   * @param expected The version to replace; `0n` if there must be no entry.
   * @returns A promise of the new version, or of `null` if another entry, or none, is there.
   */
  async set(
    key: string,
    value: Uint8Array,
    expected: bigint,
  ): Promise<bigint | null> {
    const path = [PREFIX, key];
    const result = await this.#persist(() =>
      this.#kv.atomic()
        .check({ key: path, versionstamp: versionstampOf(expected) })
        .set(path, value)
        .commit()
    );
    return result.ok ? versionOf(result.versionstamp) : null;
  }

  /**
   * Yields what is under `key`, and then every change that is reported or found.
   *
   * @example An empty database
   * ```ts
   * import { type DenoKvAtomic, DenoKvStore } from "@lazyinit/lazyinit/cluster/deno-kv";
   * import { assertEquals } from "@std/assert";
   *
   * const refused: DenoKvAtomic = {
   *   check: () => refused,
   *   set: () => refused,
   *   commit: () => Promise.resolve({ ok: false }),
   * };
   * await using store = new DenoKvStore({
   *   get: () => Promise.resolve({ value: null, versionstamp: null }),
   *   atomic: () => refused,
   *   watch: () => new ReadableStream(),
   * });
   * const controller = new AbortController();
   * for await (const entry of store.watch("key", controller.signal)) {
   *   assertEquals(entry, null);
   *   controller.abort();
   * }
   * ```
   *
   * @param key The key.
   * @param signal Ends the watch.
   * @returns The changes. Of several changes between two looks, only the last is reported.
   */
  async *watch(
    key: string,
    signal: AbortSignal,
  ): AsyncIterable<Entry | null> {
    this.#end.signal.throwIfAborted();
    const end = AbortSignal.any([signal, this.#end.signal]);
    const reader = this.#readerOf(key);
    let isDue: boolean;
    let wake = () => {};
    const look = () => {
      isDue = true;
      wake();
    };
    end.addEventListener("abort", look);
    const followed = reader && follow(reader, look);
    let told: bigint | undefined;
    try {
      while (!end.aborted) {
        isDue = false;
        // Read again, as what the watch reports may be older than an earlier report
        const entry = await this.get(key);
        const version = entry?.version ?? 0n;
        if (version !== told) {
          told = version;
          yield entry;
        }
        if (followed?.isOver) return await followed.end;
        if (isDue) continue;
        const { promise, resolve } = Promise.withResolvers<void>();
        wake = resolve;
        const timer = setTimeout(resolve, POLL_INTERVAL);
        await promise;
        clearTimeout(timer);
      }
    } finally {
      end.removeEventListener("abort", look);
      await reader?.cancel().catch(() => {});
    }
  }

  /**
   * Ends the watches. Calls that come later reject; the database stays open. Calling it
   * again does nothing.
   *
   * @example An empty database
   * ```ts
   * import { type DenoKvAtomic, DenoKvStore } from "@lazyinit/lazyinit/cluster/deno-kv";
   * import { assertEquals } from "@std/assert";
   *
   * const refused: DenoKvAtomic = {
   *   check: () => refused,
   *   set: () => refused,
   *   commit: () => Promise.resolve({ ok: false }),
   * };
   * await using store = new DenoKvStore({
   *   get: () => Promise.resolve({ value: null, versionstamp: null }),
   *   atomic: () => refused,
   *   watch: () => new ReadableStream(),
   * });
   * await store[Symbol.asyncDispose]();
   * assertEquals(await store.get("key").catch(({ name }) => name), "PermanentStoreError");
   * ```
   *
   * @returns A promise that resolves at once.
   */
  [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort(
      new PermanentStoreError(
        "Cannot use the store as it must not be closed: it was closed",
      ),
    );
    return Promise.resolve();
  }

  #readerOf(key: string): ReadableStreamDefaultReader | undefined {
    // A file that `@deno/kv` has open: after the end of a watch, which tells of this
    // process alone, the database answers nothing more and keeps the process alive
    if ("napi" in this.#kv) return undefined;
    try {
      return this.#kv.watch([[PREFIX, key]]).getReader();
    } catch (error) {
      throw permanent(error);
    }
  }

  /** Carries `work` out as soon as the file is not locked. */
  async #persist<R>(work: () => Promise<R>): Promise<R> {
    let locked = 0;
    for (let wait = FIRST_RETRY;; wait = Math.min(2 * wait, MAX_RETRY)) {
      this.#end.signal.throwIfAborted();
      try {
        return await work();
      } catch (error) {
        if (!isLocked(error) || locked >= MAX_LOCKED) throw permanent(error);
      }
      const pause = wait * (1 + Math.random()) / 2;
      await new Promise((resolve) => setTimeout(resolve, pause));
      locked += pause;
    }
  }
}

/** Calls `look` for each report of a watch, and when it is over. */
function follow(
  reader: ReadableStreamDefaultReader,
  look: () => void,
): { isOver: boolean; end: Promise<void> } {
  const read = async () => {
    while (!(await reader.read()).done) look();
  };
  const followed = { isOver: false, end: read() };
  const over = () => {
    followed.isOver = true;
    look();
  };
  // It may fail before it is awaited
  followed.end.then(over, over);
  return followed;
}

function entryOf({ value, versionstamp }: DenoKvEntry): Entry | null {
  if (versionstamp === null) return null;
  // The cell refuses what is not bytes
  return { value: value as Uint8Array, version: versionOf(versionstamp) };
}

/** The versionstamp of the first write of a database is 0…010000, so all are above 0. */
function versionOf(versionstamp: string): bigint {
  return BigInt(`0x${versionstamp}`);
}

function versionstampOf(version: bigint): string | null {
  return version === 0n ? null : version.toString(16).padStart(20, "0");
}

function isLocked(error: unknown): boolean {
  return String(Object(error).message).includes("database is locked");
}

/** The error to reject with: of the class that says so if trying again is useless. */
function permanent(error: unknown): unknown {
  const { name, message } = Object(error);
  const isPermanent = name === "TypeError" || name === "BadResource" ||
    name === "NotCapable" || name === "PermissionDenied" ||
    /readonly database|disk is full|malformed|not a database|TooLong|after '.close'/
      .test(message);
  if (!isPermanent) return error;
  return new PermanentStoreError(
    // Without the stack that `@deno/kv` adds
    `Cannot use the store as Deno KV refuses: ${
      String(message).split("\n")[0]
    }`,
    { cause: error },
  );
}
