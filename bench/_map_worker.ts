// Copyright 2026 the lazyinit authors. MIT license.
/// <reference lib="deno.worker" />

/*
 * A worker that looks up keys, and makes the values of those that have none, by one of
 * several stores.
 */

import type { RootDatabase } from "lmdb";
import { Mutex, SharedJsonBuffer } from "multithreading";
import { LazyInitMap, type LazyInitMapHandle, string } from "../mod.ts";
import { consume } from "./_suite.ts";

/** What a worker does at a time. */
export interface MapOrder {
  readonly way: Way;
  /** The keys to look up, by their numbers. */
  readonly numbers: Uint32Array;
  /** How much work it is to make a value. */
  readonly steps: number;
  readonly handle: LazyInitMapHandle<string, string>;
  /** Where lmdb has its files. */
  readonly path?: string;
  /** Where the server of global-cache is. */
  readonly serverUrl?: string;
  /** Where `multithreading` has its values, and their lock. */
  readonly peer: readonly [values: SharedArrayBuffer, lock: SharedArrayBuffer];
  /** How often values were made. */
  readonly made: SharedArrayBuffer;
}

export type Way =
  | "LazyInitMap"
  | "a Map of its own"
  | "lmdb"
  | "multithreading"
  | "global-cache";

type Store = (
  key: string,
  make: (key: string) => string,
) => string | Promise<string>;

export function keyOf(number: number): string {
  return `https://example.org/${number}`;
}

/** Does some work, and returns some text. */
export function render(key: string, steps: number): string {
  let hash = 0;
  for (let i = 0; i < steps; i++) {
    hash = Math.imul(hash ^ key.charCodeAt(i % key.length), 31);
  }
  return `${key} ${hash}`;
}

async function storeOf(
  { way, handle, path, serverUrl, peer }: MapOrder,
): Promise<Store> {
  switch (way) {
    case "LazyInitMap": {
      const map = LazyInitMap.from(handle, string(), string());
      return (key, make) => map.getOrInit(key, make);
    }
    case "a Map of its own": {
      const map = new Map<string, string>();
      return (key, make) => {
        let value = map.get(key);
        if (value === undefined) map.set(key, value = make(key));
        return value;
      };
    }
    case "lmdb": {
      const { open } = await import("lmdb");
      const database: RootDatabase<string, string> = open({
        path: path!,
        noSync: true,
      });
      return (key, make) =>
        database.get(key) ?? database.transactionSync(() => {
          // Another worker may have come first
          const found = database.get(key);
          if (found !== undefined) return found;
          const value = make(key);
          database.putSync(key, value);
          return value;
        });
    }
    case "global-cache": {
      const { globalCache } = await import("@vitalets/global-cache");
      // As its own setup tells processes by their environment
      const config: object = { serverUrl };
      globalCache.defineConfig(config);
      return (key, make) => globalCache.get(key, () => make(key));
    }
    case "multithreading": {
      const [values, lock] = peer;
      const shared = new SharedJsonBuffer<Record<string, string>>({}, values);
      const mutex = new Mutex(shared, lock);
      return (key, make) => {
        const guard = mutex.blockingLock();
        try {
          const found: Record<string, string> = guard.value;
          return found[key] ??= make(key);
        } finally {
          guard.dispose();
        }
      };
    }
  }
}

async function perform(order: MapOrder): Promise<void> {
  const store = await storeOf(order);
  const made = new Int32Array(order.made);
  const make = (key: string) => {
    Atomics.add(made, 0, 1);
    return render(key, order.steps);
  };
  // The others come as soon
  for (const number of order.numbers) {
    const value = store(keyOf(number), make);
    // Most stores are not asynchronous, and must not pay for it
    consume(typeof value === "string" ? value : await value);
  }
}

// The main thread has its orders from here
if (typeof WorkerGlobalScope !== "undefined") {
  self.onmessage = async ({ data }: MessageEvent<MapOrder>) => {
    await perform(data);
    self.postMessage("done");
  };
  self.postMessage("ready");
}
