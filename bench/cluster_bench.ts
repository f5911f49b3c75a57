// Copyright 2026 the lazyinit authors. MIT license.

/*
 * What it costs to read a value of the cluster, beside one of shared memory. What needs
 * engines and processes is in `cluster.ts`.
 */

import { ClusterLazyInit } from "../cluster/mod.ts";
import { SqliteStore } from "../cluster/sqlite.ts";
import { int32, LazyInit } from "../mod.ts";
import { expect, register, type Subject, type Suite } from "./_suite.ts";

/** So many that reading the clock is nothing beside them. */
const READS = 10_000;
const VALUES = [1, 2] as const;

async function readers(): Promise<Subject[]> {
  const store = new SqliteStore(":memory:");
  const cells = VALUES.map(() => new LazyInit(int32));
  const clusterCells = VALUES.map((value) =>
    new ClusterLazyInit(store, `value ${value}`, int32)
  );
  for (const [index, value] of VALUES.entries()) {
    await clusterCells[index]!.getOrInit(() => value);
    cells[index]!.initOnce(value);
  }
  // Nothing of it is kept alive
  for (const cell of clusterCells) await cell[Symbol.asyncDispose]();
  await store[Symbol.asyncDispose]();
  return [
    {
      name: "LazyInit.get()",
      baseline: true,
      run() {
        let sum = 0;
        for (let i = 0; i < READS; i++) sum += cells[i & 1]!.get()!;
        expect(sum, 1.5 * READS);
      },
    },
    {
      name: "ClusterLazyInit.get()",
      run() {
        let sum = 0;
        for (let i = 0; i < READS; i++) sum += clusterCells[i & 1]!.get()!;
        expect(sum, 1.5 * READS);
      },
    },
  ];
}

export const suite: Suite = {
  name: "cluster",
  groups: [{
    name: "read an initialized value of the cluster",
    operation: "read",
    operations: READS,
    rounds: 30,
    warmUpRounds: 10,
    create: readers,
  }],
};

if (Deno.mainModule === import.meta.url) await register(suite);
