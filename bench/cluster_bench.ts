// Copyright 2026 the lazyinit authors. MIT license.

/*
 * What it costs to read a value of the cluster, beside one of shared memory. What needs
 * engines and processes is in `cluster.ts`.
 */

import { ClusterLazyInit } from "../cluster/mod.ts";
import { SqliteStore } from "../cluster/sqlite.ts";
import { int32, LazyInit } from "../mod.ts";

/** So many that reading the clock is nothing beside them. */
const READS = 10_000;
const VALUES = [1, 2] as const;

const store = new SqliteStore(":memory:");
const clusterCells = VALUES.map((value) =>
  new ClusterLazyInit(store, `value ${value}`, int32)
);
const cells = VALUES.map(() => new LazyInit(int32));
for (const [index, value] of VALUES.entries()) {
  await clusterCells[index]!.getOrInit(() => value);
  cells[index]!.initOnce(value);
}
// Nothing of it is kept alive
for (const cell of clusterCells) await cell[Symbol.asyncDispose]();
await store[Symbol.asyncDispose]();

function check(total: number): void {
  if (total !== 1.5 * READS) throw new Error(`Read ${total}`);
}

Deno.bench("LazyInit.get()", { group: "cluster", baseline: true }, () => {
  let total = 0;
  for (let i = 0; i < READS; i++) total += cells[i & 1]!.get()!;
  check(total);
});

Deno.bench("ClusterLazyInit.get()", { group: "cluster" }, () => {
  let total = 0;
  for (let i = 0; i < READS; i++) total += clusterCells[i & 1]!.get()!;
  check(total);
});
