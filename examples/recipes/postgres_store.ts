// Copyright 2026 the lazyinit authors. MIT license.

import {
  type Entry,
  PermanentStoreError,
  type Store,
} from "@lazyinit/lazyinit/cluster";
import { Buffer } from "node:buffer";
import type { Sql } from "postgres";

const CHANNEL = "lazyinit";
/** A notification takes less than 8,000 bytes, with the key and the version. */
const MAX_TOLD = 6_000;
/** Bad data, no login, no such database, no permission or no table; or the client was ended. */
const PERMANENT = /^(22|28|3D|42|CONNECTION_ENDED)/;

/**
 * A store in PostgreSQL: a row for each key, and a notification for each write, which tells
 * of the entry itself if that is small.
 *
 * Give `postgres()` the option `backoff: () => 0.1`, as by default it waits up to 20 s before it
 * connects again, which is longer than a lease.
 */
export class PostgresStore implements Store {
  readonly #sql: Sql;

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  /** Creates the table, once for the database. */
  static async createTable(sql: Sql): Promise<void> {
    // One at a time, as two that create the same sequence get in each other's way
    await sql.begin(async (sql) => {
      await sql`SELECT pg_advisory_xact_lock(hashtext(${CHANNEL}))`;
      await sql`CREATE SEQUENCE IF NOT EXISTS lazyinit_version`;
      await sql`
        CREATE TABLE IF NOT EXISTS lazyinit_entry (
          key text PRIMARY KEY,
          value bytea NOT NULL,
          version bigint NOT NULL DEFAULT nextval('lazyinit_version')
        )`;
    });
  }

  async get(key: string): Promise<Entry | null> {
    const [row] = await this.#sql`
      SELECT value, version FROM lazyinit_entry WHERE key = ${key}`
      .catch(refuse);
    return row === undefined ? null : entryOf(row.value, row.version);
  }

  async set(
    key: string,
    value: Uint8Array,
    expected: bigint,
  ): Promise<bigint | null> {
    const sql = this.#sql;
    const write = expected === 0n
      ? sql`
          INSERT INTO lazyinit_entry (key, value) VALUES (${key}, ${value})
          ON CONFLICT DO NOTHING RETURNING version`
      : sql`
          UPDATE lazyinit_entry
          SET value = ${value}, version = nextval('lazyinit_version')
          WHERE key = ${key} AND version = ${String(expected)}
          RETURNING version`;
    const text = Buffer.from(value).toString("base64");
    const told = `${text.length <= MAX_TOLD ? text : ""} ${key}`;
    const [row] = await sql`
      WITH written AS (${write})
      SELECT version, pg_notify(${CHANNEL}, version || ' ' || ${told})
      FROM written`.catch(refuse);
    return row === undefined ? null : BigInt(row.version);
  }

  async *watch(key: string, signal: AbortSignal): AsyncIterable<Entry | null> {
    let latest: Entry | null | undefined;
    let wake = () => {};
    const end = () => wake();
    signal.addEventListener("abort", end);
    function tell(entry: Entry | null): void {
      latest = entry;
      wake();
    }
    // Listens again after a dropped connection, and then looks for what it has missed
    const listener = await this.#sql.listen(CHANNEL, (told) => {
      const [, version, text, changed] = /^(\d+) (\S*) (.*)$/s.exec(told)!;
      if (changed !== key) return;
      tell(text ? entryOf(Buffer.from(text, "base64"), version!) : null);
    }, () => tell(null)).catch(refuse);
    try {
      while (!signal.aborted) {
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
      await listener.unlisten().catch(() => {});
    }
  }
}

function entryOf(bytes: Uint8Array, version: string): Entry {
  return { value: new Uint8Array(bytes), version: BigInt(version) };
}

/** Throws what the cell need not try again as an error of that class. */
function refuse(error: Error & { code?: string }): never {
  if (!PERMANENT.test(error.code ?? "")) throw error;
  throw new PermanentStoreError(
    `Cannot use the store as PostgreSQL refuses: ${error.message}`,
    { cause: error },
  );
}
