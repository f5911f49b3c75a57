// Copyright 2026 the lazyinit authors. MIT license.
// deno-lint-ignore-file no-console

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
/** What the memory of this process was made of. */
let shared: Readonly<Rates> | undefined;

/** The handle for the workers, once there is a value. */
export async function share(
  load: () => Promise<Rates>,
): Promise<LazyInitHandle> {
  await local.getOrInitAsync(async () =>
    shared = await cluster.getOrInit(load)
  );
  return local.handle;
}

/** Renews the memory of this process when any process has reset the cluster's cell. */
export async function follow(
  load: () => Promise<Rates>,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    await new Promise((resolve) => setTimeout(resolve, INTERVAL));
    // A reset, or another value after it: a value keeps its reference until then
    if (cluster.get() === shared) continue;
    try {
      await local.resetAsync();
      await share(load);
    } catch (error) {
      console.error("Cannot renew the rates, and tries again:", error);
    }
  }
}

/** Makes all processes get new rates. */
export async function renew(): Promise<void> {
  await cluster.reset();
}
