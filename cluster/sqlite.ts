// Copyright 2026 the lazyinit authors. MIT license.

/**
 * {@linkcode SqliteStore}: one SQLite file that the processes of a machine share, as
 * the store of `ClusterLazyInit` cells. Needs `node:sqlite`: Deno, Node from 22.13 on, and Bun
 * from 1.4 on.
 *
 * ```ts
 * import { int32 } from "@lazyinit/lazyinit";
 * import { ClusterLazyInit } from "@lazyinit/lazyinit/cluster";
 * import { SqliteStore } from "@lazyinit/lazyinit/cluster/sqlite";
 * import { assertEquals } from "@std/assert";
 *
 * await using store = new SqliteStore(":memory:");
 * await using cell = new ClusterLazyInit(store, "answer", int32);
 * assertEquals(await cell.getOrInit(() => 42), 42);
 * ```
 *
 * @module
 */

import { statSync } from "node:fs";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { show, wrongType } from "../_checks.ts";
import { type Entry, PermanentStoreError, type Store } from "./store.ts";

// Taken once, as test runners replace them later
const { setTimeout, clearTimeout } = globalThis;

/** After how many ms a busy database is tried again; doubles up to the maximum. */
const FIRST_RETRY = 1;
const MAX_RETRY = 20;
/** After so many ms the caller gets the error that it is busy. */
const MAX_BUSY = 1_000;
/** How often the file is asked whether another process has written, in ms. */
const POLL_INTERVAL = 5;
/** The most that SQLite itself takes for a value. */
const MAX_BYTE_LENGTH = 1_000_000_000;

/** SQLite's primary result codes, which are the lowest byte of the extended ones. */
const PRIMARY_CODE_MASK = 0xff;
const SQLITE_BUSY = 5;
const SQLITE_LOCKED = 6;
/** Codes that the same statement would get again: about the file, its permissions, its space. */
const PERMANENT_CODES: ReadonlySet<number> = new Set([
  1, // no such table or column: the tables are another program's
  3, // permission denied
  8, // read-only
  11, // the file is damaged
  13, // the disk is full
  14, // cannot open
  18, // too large
  19, // a constraint does not hold: another program has changed a table
  23, // not authorized
  26, // not a database
]);

/** The same, of errors without a code: Deno's on opening, and those of permissions. */
const PERMANENT_MESSAGE =
  /unable to open|not a database|malformed|readonly|disk is full|access|no such/;
const BUSY_MESSAGE = /database is locked/;

/*
 * The versions come from one sequence for all keys. So they grow even past a deletion, and
 * one look finds what has changed, however many keys there are.
 */
const SCHEMA = `
  CREATE TABLE IF NOT EXISTS lazyinit_entry (
    key TEXT PRIMARY KEY,
    value BLOB NOT NULL,
    version INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE UNIQUE INDEX IF NOT EXISTS lazyinit_entry_version
    ON lazyinit_entry (version);
  CREATE TABLE IF NOT EXISTS lazyinit_version (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    last INTEGER NOT NULL
  ) STRICT;
  INSERT OR IGNORE INTO lazyinit_version VALUES (1, 0);
`;

/** A watch of one key. */
interface Watcher {
  /** The version that was last reported to it; `undefined` before the first report. */
  told: bigint | undefined;
  /** Reports to it. */
  tell(entry: Entry | null): void;
}

interface Statements {
  readonly begin: StatementSync;
  readonly commit: StatementSync;
  readonly rollback: StatementSync;
  readonly select: StatementSync;
  readonly version: StatementSync;
  readonly grow: StatementSync;
  readonly write: StatementSync;
  readonly last: StatementSync;
  readonly changed: StatementSync;
  readonly poll: StatementSync;
}

/**
 * A store in one SQLite file: for the processes of one machine.
 *
 * The file is opened by the first call, in WAL mode. One poll of `PRAGMA data_version` every
 * few milliseconds finds the writes of other processes for all cells of the store, and
 * runs only while a cell watches. SQLite works within the calling thread; a file that
 * another process is writing is tried again later, so the event loop goes on.
 *
 * Do not put the file on a network drive, as its locks cannot be relied upon there. If the file
 * is deleted or replaced while a process uses it, the next call of that process refuses it.
 *
 * @example Usage
 * ```ts
 * import { SqliteStore } from "@lazyinit/lazyinit/cluster/sqlite";
 * import { assertEquals } from "@std/assert";
 *
 * await using store = new SqliteStore(":memory:");
 * const version = await store.set("key", new Uint8Array([42]), 0n);
 * assertEquals(await store.set("key", new Uint8Array([43]), 0n), null);
 * assertEquals((await store.get("key"))?.version, version);
 * ```
 */
export class SqliteStore implements Store, AsyncDisposable {
  /**
   * The most bytes of a value: what SQLite takes.
   *
   * @example Usage
   * ```ts
   * import { SqliteStore } from "@lazyinit/lazyinit/cluster/sqlite";
   * import { assertEquals } from "@std/assert";
   *
   * assertEquals(new SqliteStore(":memory:").maxByteLength, 1_000_000_000);
   * ```
   */
  readonly maxByteLength: number = MAX_BYTE_LENGTH;
  readonly #path: string;
  /** The watches, by key. */
  readonly #watchers = new Map<string, Set<Watcher>>();
  #database: DatabaseSync | undefined = undefined;
  #statements: Statements | undefined = undefined;
  /** Which file was opened; `undefined` if it is not in the file system. */
  #file: string | undefined = undefined;
  #closed = false;
  #timer: ReturnType<typeof setTimeout> | undefined = undefined;
  /** The last answer of the file to the question whether another process has written. */
  #dataVersion: unknown = undefined;
  /** All entries up to this version have been reported. */
  #told = 0n;

  /**
   * Constructs a new instance. Does no I/O: the first call opens the file, and creates it
   * if there is none.
   *
   * @param path The path of the file, on a local disk. `":memory:"` is a store of its own,
   * for tests.
   * @throws {TypeError} If `path` is not a string or is empty.
   */
  constructor(path: string) {
    if (typeof path !== "string" || path === "") {
      const wanted = "be the path of a file";
      throw wrongType("create the store", "path", wanted, path);
    }
    this.#path = path;
  }

  /**
   * Returns what is under `key`.
   *
   * @example Usage
   * ```ts
   * import { SqliteStore } from "@lazyinit/lazyinit/cluster/sqlite";
   * import { assertEquals } from "@std/assert";
   *
   * await using store = new SqliteStore(":memory:");
   * assertEquals(await store.get("key"), null);
   * ```
   *
   * @param key The key.
   * @returns A promise of the entry, or of `null` if there is none.
   */
  async get(key: string): Promise<Entry | null> {
    return await this.#persist((statements) => select(statements, key));
  }

  /**
   * Replaces what is under `key`, if that still is the entry of version `expected`.
   *
   * @example Usage
   * ```ts
   * import { SqliteStore } from "@lazyinit/lazyinit/cluster/sqlite";
   * import { assertEquals } from "@std/assert";
   *
   * await using store = new SqliteStore(":memory:");
   * assertEquals(await store.set("key", new Uint8Array([42]), 0n), 1n);
   * assertEquals(await store.set("key", new Uint8Array([43]), 1n), 2n);
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
    return await this.#persist((statements) => {
      statements.begin.run();
      let version: bigint | null;
      try {
        version = write(statements, key, value, expected);
        statements.commit.run();
      } catch (error) {
        rollBack(statements);
        throw error;
      }
      if (version !== null) {
        // The poll does not see what this connection has written
        queueMicrotask(() => this.#tell(key, { value, version }));
      }
      return version;
    });
  }

  /**
   * Yields what is under `key`, and then after every change that is found.
   *
   * @example Usage
   * ```ts
   * import { SqliteStore } from "@lazyinit/lazyinit/cluster/sqlite";
   * import { assertEquals } from "@std/assert";
   *
   * await using store = new SqliteStore(":memory:");
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
    let latest: Entry | null | undefined;
    let wake = () => {};
    const watcher: Watcher = {
      told: undefined,
      tell(entry) {
        latest = entry;
        wake();
      },
    };
    const end = () => wake();
    signal.addEventListener("abort", end);
    const watchers = this.#watchers.get(key) ?? new Set();
    this.#watchers.set(key, watchers.add(watcher));
    try {
      await this.#persist((statements) =>
        tell(watcher, select(statements, key))
      );
      this.#poll();
      while (!signal.aborted && !this.#closed) {
        if (latest === undefined) {
          await new Promise<void>((resolve) => wake = resolve);
          continue;
        }
        const entry = latest;
        latest = undefined;
        yield entry;
      }
    } finally {
      signal.removeEventListener("abort", end);
      watchers.delete(watcher);
      if (watchers.size === 0) this.#watchers.delete(key);
      if (this.#watchers.size === 0) this.#stopPolling();
    }
  }

  /**
   * Closes the file. Calls that come later reject; watches end. Calling it again does nothing.
   *
   * @example Usage
   * ```ts
   * import { PermanentStoreError } from "@lazyinit/lazyinit/cluster";
   * import { SqliteStore } from "@lazyinit/lazyinit/cluster/sqlite";
   * import { assertRejects } from "@std/assert";
   *
   * const store = new SqliteStore(":memory:");
   * await store[Symbol.asyncDispose]();
   * await assertRejects(() => store.get("key"), PermanentStoreError);
   * ```
   *
   * @returns A promise that resolves when the file is closed.
   */
  [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    this.#stopPolling();
    for (const watchers of this.#watchers.values()) {
      for (const watcher of watchers) watcher.tell(null);
    }
    this.#statements = undefined;
    this.#database?.close();
    this.#database = undefined;
    return Promise.resolve();
  }

  /** Runs `work` as soon as the file is not busy, without blocking the event loop meanwhile. */
  async #persist<R>(work: (statements: Statements) => R): Promise<R> {
    let busy = 0;
    for (let wait = FIRST_RETRY;; wait = Math.min(2 * wait, MAX_RETRY)) {
      try {
        const statements = this.#open();
        this.#assertSameFile();
        return work(statements);
      } catch (error) {
        if (!isBusy(error) || busy >= MAX_BUSY) {
          throw permanent(this.#path, error);
        }
      }
      const pause = wait * (1 + Math.random()) / 2;
      await new Promise((resolve) => setTimeout(resolve, pause));
      busy += pause;
    }
  }

  /** SQLite itself would go on with a file that other processes no longer see. */
  #assertSameFile(): void {
    if (this.#file === undefined || identityOf(this.#path) === this.#file) {
      return;
    }
    throw new PermanentStoreError(
      `Cannot use the store ${
        show(this.#path)
      } as its file must be the one that was opened: it was deleted or replaced`,
    );
  }

  #open(): Statements {
    if (this.#closed) {
      throw new PermanentStoreError(
        `Cannot use the store ${
          show(this.#path)
        } as it must not be closed: it was closed`,
      );
    }
    if (this.#statements !== undefined) return this.#statements;
    // This class retries busy files itself, without blocking
    const database = new DatabaseSync(this.#path, { timeout: 0 });
    try {
      database.exec("PRAGMA journal_mode = WAL");
      database.exec("PRAGMA synchronous = NORMAL");
      database.exec(`BEGIN IMMEDIATE; ${SCHEMA} COMMIT`);
      const prepare = (sql: string) => {
        const statement = database.prepare(sql);
        statement.setReadBigInts(true);
        return statement;
      };
      this.#statements = {
        begin: prepare("BEGIN IMMEDIATE"),
        commit: prepare("COMMIT"),
        rollback: prepare("ROLLBACK"),
        select: prepare(
          "SELECT value, version FROM lazyinit_entry WHERE key = ?",
        ),
        version: prepare("SELECT version FROM lazyinit_entry WHERE key = ?"),
        grow: prepare(
          "UPDATE lazyinit_version SET last = last + 1 RETURNING last",
        ),
        write: prepare(
          `INSERT INTO lazyinit_entry VALUES (?, ?, ?) ON CONFLICT (key)
            DO UPDATE SET value = excluded.value, version = excluded.version`,
        ),
        last: prepare("SELECT last FROM lazyinit_version"),
        changed: prepare(
          "SELECT key, version FROM lazyinit_entry WHERE version > ? ORDER BY version",
        ),
        poll: prepare("PRAGMA data_version"),
      };
      // A watch that begins later gets the entry of that time
      this.#told = this.#statements.last.get()!.last as bigint;
      this.#database = database;
      this.#file = identityOf(this.#path);
      return this.#statements;
    } catch (error) {
      database.close();
      throw error;
    }
  }

  /** Looks for the writes of other processes as long as a key is watched. */
  #poll(): void {
    if (this.#timer !== undefined || this.#closed) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (this.#watchers.size === 0 || this.#closed) return;
      try {
        this.#lookForWrites(this.#open());
      } catch {
        // Busy, or broken, which the next call reports
      }
      this.#poll();
    }, POLL_INTERVAL);
  }

  #lookForWrites(statements: Statements): void {
    const { data_version: dataVersion } = statements.poll.get()!;
    if (dataVersion === this.#dataVersion) return;
    for (const { key, version } of statements.changed.all(this.#told)) {
      if (this.#watchers.has(key as string)) {
        const entry = select(statements, key as string);
        if (entry !== null) this.#tell(key as string, entry);
      }
      this.#told = version as bigint;
    }
    // Last, so that the next poll looks again if anything above has failed
    this.#dataVersion = dataVersion;
  }

  #tell(key: string, entry: Entry): void {
    for (const watcher of this.#watchers.get(key) ?? []) {
      if (watcher.told !== entry.version) tell(watcher, entry);
    }
  }

  #stopPolling(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}

/** What distinguishes a file from another in its place; `undefined` if there is none. */
function identityOf(path: string): string | undefined {
  const stats = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stats && `${stats.dev} ${stats.ino}`;
}

function tell(watcher: Watcher, entry: Entry | null): void {
  watcher.told = entry?.version ?? 0n;
  watcher.tell(entry);
}

function select(statements: Statements, key: string): Entry | null {
  const row = statements.select.get(key);
  if (row === undefined) return null;
  return {
    value: new Uint8Array(row.value as Uint8Array),
    version: row.version as bigint,
  };
}

function versionOf(statements: Statements, key: string): bigint {
  return statements.version.get(key)?.version as bigint | undefined ?? 0n;
}

function write(
  statements: Statements,
  key: string,
  value: Uint8Array,
  expected: bigint,
): bigint | null {
  if (versionOf(statements, key) !== expected) return null;
  const version = statements.grow.get()!.last as bigint;
  statements.write.run(key, value, version);
  return version;
}

function rollBack({ rollback }: Statements): void {
  try {
    rollback.run();
  } catch {
    // SQLite has done so itself, such as where the disk is full
  }
}

/** The result code of an error of SQLite, or 0. */
function codeOf(error: unknown): number {
  const { errcode } = Object(error);
  return typeof errcode === "number" ? errcode & PRIMARY_CODE_MASK : 0;
}

function messageOf(error: unknown): string {
  return String(Object(error).message);
}

function isBusy(error: unknown): boolean {
  const code = codeOf(error);
  return code === SQLITE_BUSY || code === SQLITE_LOCKED ||
    code === 0 && BUSY_MESSAGE.test(messageOf(error));
}

/** The error to reject with: of the class that says so if trying again is useless. */
function permanent(path: string, error: unknown): unknown {
  if (error instanceof PermanentStoreError) return error;
  const code = codeOf(error);
  const isPermanent = code === 0
    ? PERMANENT_MESSAGE.test(messageOf(error))
    : PERMANENT_CODES.has(code);
  if (!isPermanent) return error;
  return new PermanentStoreError(
    `Cannot use the store ${show(path)} as SQLite refuses: ${messageOf(error)}`,
    { cause: error },
  );
}
