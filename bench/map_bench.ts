// Copyright 2026 the lazyinit authors. MIT license.

/*
 * What keyed cells cost: beside a `Map` in one thread, and beside what else several
 * threads may share values by key with.
 *
 * lmdb and global-cache take more permissions than `deno bench --allow-read` has: they
 * are left out unless all are granted.
 */

import type { RootDatabase } from "lmdb";
import { SharedJsonBuffer } from "multithreading";
import { int32, LazyInitMap, string } from "../mod.ts";
import { keyOf, type MapOrder, render, type Way } from "./_map_worker.ts";
import {
  consume,
  expect,
  type Figures,
  type Group,
  note,
  register,
  type Subject,
  type Suite,
} from "./_suite.ts";

const KEYS = 10_000;
const MILLION = 1_000_000;
/** How many of a million are looked up. */
const LOOK_UPS = 100_000;
const WORKERS = 4;
/** How many keys each worker looks up where some are asked for more often than others. */
const ACCESSES = 10_000;
/** Some 50 µs of work. */
const STEPS = 10_000;
/** `multithreading` looks through all properties of an object for each. */
const PEER_KEYS = 1_000;
/** The server of global-cache is asked for each. */
const SERVER_KEYS = 200;
/** For permissions that some peers take. */
const PEER_PERMISSIONS = ["ffi", "read", "write", "env", "sys", "net"] as const;

const keys = Array.from({ length: KEYS }, (_, i) => keyOf(i));

/** Whether a peer may run, which says so if it may not. */
async function isPermitted(peer: string): Promise<boolean> {
  const states = await Promise.all(
    PEER_PERMISSIONS.map((name) => Deno.permissions.query({ name })),
  );
  if (states.every(({ state }) => state === "granted")) return true;
  note(`${peer} is left out: it takes --allow-all`);
  return false;
}

function temporaryDirectory(): string {
  const path = Deno.makeTempDirSync();
  globalThis.addEventListener("unload", () => {
    Deno.removeSync(path, { recursive: true });
  });
  return path;
}

/** Opens a database, where that is permitted. */
async function openDatabase(): Promise<
  { database: RootDatabase<string, string>; path: string } | undefined
> {
  if (!await isPermitted("lmdb")) return undefined;
  const { open } = await import("lmdb");
  const path = temporaryDirectory();
  return { database: open({ path, noSync: true }), path };
}

/** Starts the server of global-cache, where that is permitted. */
async function startServer(): Promise<
  { clear(): Promise<void>; serverUrl: string } | undefined
> {
  if (!await isPermitted("global-cache")) return undefined;
  const { storageServer } = await import("@vitalets/global-cache/server");
  const { globalCache } = await import("@vitalets/global-cache");
  await storageServer.start({ basePath: temporaryDirectory() });
  const serverUrl = `http://127.0.0.1:${storageServer.port}`;
  const config: object = { serverUrl };
  globalCache.defineConfig(config);
  return { clear: () => globalCache.clearSession(), serverUrl };
}

async function readers(): Promise<Subject[]> {
  const plain = new Map<string, string>();
  const map = new LazyInitMap(string(), string());
  const opened = await openDatabase();
  for (const key of keys) {
    const value = map.getOrInit(key, (key) => render(key, 1));
    plain.set(key, value);
    opened?.database.putSync(key, value);
  }
  const subject = (
    name: string,
    get: (key: string) => unknown,
    baseline = false,
  ): Subject => ({
    name,
    baseline,
    run() {
      for (const key of keys) consume(get(key));
    },
  });
  return [
    subject("Map.get()", (key) => plain.get(key), true),
    subject("LazyInitMap.get()", (key) => map.get(key)),
    subject(
      "LazyInitMap.getOrInit()",
      (key) => map.getOrInit(key, (key) => render(key, 1)),
    ),
    ...(opened === undefined
      ? []
      : [subject("lmdb get()", (key) => opened.database.get(key))]),
  ];
}

function firstReaders(): Subject[] {
  const map = new LazyInitMap(int32, int32, { maxSize: MILLION });
  for (let key = 0; key < MILLION; key++) map.getOrInit(key, (key) => key);
  // Far apart from each other
  const asked = Array.from(
    { length: LOOK_UPS },
    (_, i) => (i * 7_919) % MILLION,
  );
  return [
    {
      name: "Map.set()",
      baseline: true,
      run() {
        const plain = new Map<number, { value: number }>();
        for (const key of asked) plain.set(key, { value: key });
        consume(plain);
      },
    },
    {
      name: "LazyInitMap.get() of a key not seen before",
      run() {
        const attached = LazyInitMap.from(map.handle, int32, int32);
        for (const key of asked) consume(attached.get(key));
      },
    },
    {
      name: "LazyInitMap.get() of a key that is not there",
      run() {
        const attached = LazyInitMap.from(map.handle, int32, int32);
        for (const key of asked) consume(attached.get(-1 - key));
      },
    },
  ];
}

async function startWorkers(): Promise<(order: MapOrder[]) => Promise<void>> {
  const url = new URL("./_map_worker.ts", import.meta.url);
  const workers = Array.from(
    { length: WORKERS },
    () => new Worker(url, { type: "module" }),
  );
  const answers = () =>
    Promise.all(
      workers.map((worker) =>
        new Promise((resolve, reject) => {
          worker.onmessage = resolve;
          worker.onerror = reject;
        })
      ),
    );
  await answers();
  // Deno would wait for ever for workers that listen
  globalThis.addEventListener("unload", () => {
    for (const worker of workers) worker.terminate();
  });
  return async (orders) => {
    const answered = answers();
    workers.forEach((worker, i) => worker.postMessage(orders[i]));
    await answered;
  };
}

/** Four workers that look keys up, and make what is not there. */
async function makers(
  numbersOf: (worker: number) => Uint32Array,
  steps: number,
  ways: readonly Way[],
): Promise<Subject[]> {
  const opened = ways.includes("lmdb") ? await openDatabase() : undefined;
  const server = ways.includes("global-cache")
    ? await startServer()
    : undefined;
  const all = Array.from({ length: WORKERS }, (_, i) => numbersOf(i));
  const distinct = new Set(all.flatMap((numbers) => [...numbers])).size;
  const subjectOf = async (way: Way): Promise<Subject> => {
    // Of its own, so that its memory is, too
    const give = await startWorkers();
    const figures: Figures = {};
    return {
      name: way,
      baseline: way !== "LazyInitMap",
      figures,
      async run(timer) {
        const map = new LazyInitMap(string(), string());
        const values = new SharedArrayBuffer(2 ** 24);
        if (way === "multithreading") {
          new SharedJsonBuffer<Record<string, string>>({}, values);
        }
        opened?.database.clearSync();
        await server?.clear();
        const made = new SharedArrayBuffer(4);
        const order: Omit<MapOrder, "numbers"> = {
          way,
          steps,
          handle: map.handle,
          ...(opened === undefined ? {} : { path: opened.path }),
          ...(server === undefined ? {} : { serverUrl: server.serverUrl }),
          peer: [values, new SharedArrayBuffer(4)],
          made,
        };
        const before = Deno.memoryUsage().rss;
        timer.start();
        await give(all.map((numbers) => ({ ...order, numbers })));
        timer.end();
        const times = new Int32Array(made)[0]!;
        if (way !== "a Map of its own") expect(times, distinct);
        figures["values made"] = times;
        // Later runs have what earlier ones have left
        figures["memory of the first run, MiB"] ??=
          (Deno.memoryUsage().rss - before) / 2 ** 20;
      },
    };
  };
  return await Promise.all(
    ways
      .filter((way) => way !== "lmdb" || opened !== undefined)
      .filter((way) => way !== "global-cache" || server !== undefined)
      .map(subjectOf),
  );
}

/** A group in which each worker asks for all keys, and begins elsewhere, as programs do. */
function fresh(count: number, rounds: number, ways: readonly Way[]): Group {
  const numbersOf = (worker: number) => {
    const first = worker * count / WORKERS;
    return Uint32Array.from({ length: count }, (_, i) => (first + i) % count);
  };
  return {
    name: `look up ${count} fresh keys in each of ${WORKERS} workers`,
    operation: "look-up",
    operations: WORKERS * count,
    rounds,
    // As many, as the workers have a lot to compile
    warmUpRounds: rounds,
    single: true,
    create: () => makers(numbersOf, 1, ways),
  };
}

/** Numbers of keys, the first ones more often than the others: the k-th 1/k as often. */
function zipf(seed: number): Uint32Array {
  const sums = new Float64Array(KEYS);
  let sum = 0;
  for (let i = 0; i < KEYS; i++) sums[i] = sum += 1 / (i + 1);
  return Uint32Array.from({ length: ACCESSES }, () => {
    seed = Math.imul(seed ^ seed >>> 15, 0x2c1b3c6d) + 0x9e3779b9 | 0;
    const drawn = (seed >>> 0) / 2 ** 32 * sum;
    let [low, high] = [0, KEYS - 1];
    while (low < high) {
      const middle = low + high >> 1;
      if (sums[middle]! < drawn) low = middle + 1;
      else high = middle;
    }
    return low;
  });
}

const many: Pick<Group, "rounds" | "warmUpRounds"> = {
  rounds: 100,
  warmUpRounds: 30,
};

export const suite: Suite = {
  name: "map",
  groups: [
    {
      name: "read the values of keys seen before",
      operation: "key",
      operations: KEYS,
      ...many,
      create: readers,
    },
    {
      name: "look up keys among a million",
      operation: "key",
      operations: LOOK_UPS,
      rounds: 10,
      warmUpRounds: 3,
      create: firstReaders,
    },
    fresh(KEYS, 5, ["LazyInitMap", "a Map of its own", "lmdb"]),
    fresh(PEER_KEYS, 8, ["LazyInitMap", "multithreading"]),
    fresh(SERVER_KEYS, 4, ["LazyInitMap", "global-cache"]),
    {
      name:
        `look up ${KEYS} keys by Zipf's law in ${WORKERS} workers, each made in some 50 µs`,
      operation: "look-up",
      operations: WORKERS * ACCESSES,
      rounds: 3,
      warmUpRounds: 1,
      single: true,
      create: () =>
        makers(zipf, STEPS, ["LazyInitMap", "a Map of its own", "lmdb"]),
    },
  ],
};

if (Deno.mainModule === import.meta.url) {
  // To start workers takes it; `deno bench` at a terminal asks
  const { state } = await Deno.permissions.request({ name: "read" });
  if (state === "granted") await register(suite);
  else note("What keyed cells cost is left out: it takes --allow-read");
}
