// Copyright 2026 the lazyinit authors. MIT license.

import type { Entry, Store } from "@lazyinit/lazyinit/cluster";
import type { Sql } from "postgres";

const CHANNEL = "lazyinit";

/**
 * A store in PostgreSQL: a row for each key, and a notification for each write.
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
    const [row] = await this
      .#sql`SELECT value, version FROM lazyinit_entry WHERE key = ${key}`;
    return row === undefined ? null : {
      value: new Uint8Array(row.value),
      version: BigInt(row.version),
    };
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
    const [row] = await sql`
      WITH written AS (${write})
      SELECT version, pg_notify(${CHANNEL}, ${key}) FROM written`;
    return row === undefined ? null : BigInt(row.version);
  }

  async *watch(key: string, signal: AbortSignal): AsyncIterable<null> {
    let changed = false;
    let wake = () => {};
    const change = () => {
      changed = true;
      wake();
    };
    signal.addEventListener("abort", change);
    // Listens again after a dropped connection, and then looks for what it has missed
    const listener = await this.#sql.listen(
      CHANNEL,
      (changedKey) => changedKey === key && change(),
      change,
    );
    try {
      while (!signal.aborted) {
        if (changed) {
          changed = false;
          yield null;
        } else await new Promise<void>((resolve) => wake = resolve);
      }
    } finally {
      signal.removeEventListener("abort", change);
      await listener.unlisten().catch(() => {});
    }
  }
}
