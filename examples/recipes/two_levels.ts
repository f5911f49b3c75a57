// Copyright 2026 the lazyinit authors. MIT license.

import type { LazyInitHandle } from "@lazyinit/lazyinit";
import { json, MutexLazyInit } from "@lazyinit/lazyinit";
import { ClusterLazyInit } from "@lazyinit/lazyinit/cluster";
import { SqliteStore } from "@lazyinit/lazyinit/cluster/sqlite";

/** How often the memory of this process is compared with what its cell has seen, in ms. */
const INTERVAL = 100;

interface Rates {
  [currency: string]: number;
}

const codec = json<{ [currency: string]: number }>(4096);
const store = new SqliteStore("rates.db");
/** Made once for the cluster. */
const cluster = new ClusterLazyInit(store, "rates", codec);
/** Kept once for this process: its workers read it for the price of a field access. */
const local = new MutexLazyInit(codec, { name: "rates" });
let generation = 0;

/** The handle for the workers, once there is a value. */
export async function share(
  load: () => Promise<Rates>,
): Promise<LazyInitHandle> {
  await local.getOrInitAsync(async () => {
    const rates = await cluster.getOrInit(load);
    generation = cluster.generation;
    return rates;
  });
  return local.handle;
}

/** Empties the memory of this process when any process has reset the cluster's cell. */
export function follow(load: () => Promise<Rates>): Disposable {
  const timer = setInterval(async () => {
    if (cluster.generation === generation) return;
    generation = cluster.generation;
    await local.resetAsync();
    await share(load);
  }, INTERVAL);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

/** Makes all processes get new rates. */
export async function renew(): Promise<void> {
  await cluster.reset();
}
