// Copyright 2026 the lazyinit authors. MIT license.

import postgres from "postgres";
import { DenoKvStore } from "../../cluster/deno_kv.ts";
import { EtcdStore } from "../../cluster/etcd.ts";
import type { Store } from "../../cluster/mod.ts";
import { SqliteStore } from "../../cluster/sqlite.ts";
import { PostgresStore } from "../../examples/recipes/postgres_store.ts";

/** The engines that are tested. */
export type Engine = "sqlite" | "deno-kv" | "etcd" | "postgres";

/** Says where a store is, in a form that other processes can be given. */
export interface StoreAddress {
  readonly engine: Engine;
  /** The path of the file, the URLs of the servers, or the folder of the socket. */
  readonly places: readonly string[];
}

/** A store and how to close it. */
export interface OpenStore extends AsyncDisposable {
  readonly store: Store;
}

/** Opens the store of that address. */
export async function openStore(
  { engine, places }: StoreAddress,
): Promise<OpenStore> {
  switch (engine) {
    case "sqlite": {
      const store = new SqliteStore(places[0]!);
      return {
        store,
        [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
      };
    }
    case "etcd": {
      const store = new EtcdStore(places);
      return {
        store,
        [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
      };
    }
    case "deno-kv": {
      const kv = await Deno.openKv(places[0]!);
      const store = new DenoKvStore(kv);
      return {
        store,
        async [Symbol.asyncDispose]() {
          await store[Symbol.asyncDispose]();
          kv.close();
        },
      };
    }
    case "postgres": {
      const [host, port] = places;
      const sql = postgres({
        host: host!,
        port: Number(port),
        user: "postgres",
        database: "postgres",
        max: 4,
        // By default it waits up to 20 s, which is longer than leases are
        backoff: () => 0.1,
        onnotice: () => {},
      });
      for (;;) {
        try {
          await PostgresStore.createTable(sql);
          break;
        } catch {
          // The server may be starting
          await new Promise((resolve) => setTimeout(resolve, 50));
        }
      }
      return {
        store: new PostgresStore(sql),
        [Symbol.asyncDispose]: () => sql.end({ timeout: 1 }),
      };
    }
  }
}
