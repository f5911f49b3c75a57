// Copyright 2026 the lazyinit authors. MIT license.

/**
 * {@linkcode ClusterLazyInit}: one-time initialization for many processes and
 * machines, over one entry of a store that they share.
 *
 * ```ts
 * import { json } from "@lazyinit/lazyinit";
 * import { ClusterLazyInit } from "@lazyinit/lazyinit/cluster";
 * import { SqliteStore } from "@lazyinit/lazyinit/cluster/sqlite";
 * import { assertEquals } from "@std/assert";
 *
 * await using store = new SqliteStore(":memory:");
 * await using cell = new ClusterLazyInit(store, "config", json<{ port: number }>(1024));
 * const { port } = await cell.getOrInit(() => ({ port: 80 }));
 * assertEquals(port, 80);
 * assertEquals(cell.get(), { port: 80 });
 * ```
 *
 * @module
 */

export * from "./cluster_lazy_init.ts";
export * from "./store.ts";
