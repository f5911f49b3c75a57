// Copyright 2026 the lazyinit authors. MIT license.
// deno-lint-ignore-file no-console

/*
 * What it costs to initialize once per cluster, for each engine, beside the engine's own
 * primitive:
 *
 *   deno run --allow-all --unstable-kv bench/cluster.ts [row …]
 *
 * Prints a row for each, as JSON. Engines are started for it, on this machine.
 */

import { globalCache } from "@vitalets/global-cache";
import { storageServer } from "@vitalets/global-cache/server";
import { DatabaseSync } from "node:sqlite";
import postgres from "postgres";
import { ClusterLazyInit } from "../cluster/mod.ts";
import { string } from "../codec.ts";
import { startEngine } from "../tests/cluster/engines.ts";
import { Member } from "../tests/cluster/member.ts";
import {
  type Engine,
  openStore,
  type StoreAddress,
} from "../tests/cluster/stores.ts";
import type { Told } from "./_global_cache_process.ts";
import type { Figures } from "./_suite.ts";
import { spreadOf, type TableRow } from "./report/results.ts";

type Row = Engine | "global-cache";
const ROWS: readonly Row[] = [
  "sqlite",
  "etcd",
  "postgres",
  "deno-kv",
  "global-cache",
];
const LEASE = 10_000;
const ROUNDS = 100;
const WARM_UP = 20;
const PROCESSES = 8;
const WAKE_ROUNDS = 30;
/** How long the initializer that the others wait for takes, in ms. */
const INITIALIZER = 100;
/** For how long waiting processes are watched, in ms. */
const IDLE = 3_000;
/** How long one engine may take, in ms; what was started for it ends then, too. */
const PATIENCE = 90_000;
const TICKS_PER_SECOND = 100;

/** Takes a lock of the engine, writes a value under it, and gives the lock back. */
interface Primitive extends AsyncDisposable {
  readonly name: string;
  run(key: string): Promise<void>;
}

function percentile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(Math.floor(part * sorted.length), sorted.length - 1)]!;
}

async function measure(
  rounds: number,
  run: (round: number) => Promise<void>,
): Promise<number> {
  const durations: number[] = [];
  for (let round = 0; round < WARM_UP + rounds; round++) {
    const start = performance.now();
    await run(round);
    if (round >= WARM_UP) durations.push(performance.now() - start);
  }
  return spreadOf(durations).median;
}

async function primitiveOf(
  { engine, places }: StoreAddress,
): Promise<Primitive> {
  switch (engine) {
    case "sqlite": {
      const database = new DatabaseSync(`${places[0]}.own`);
      database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL");
      database.exec("CREATE TABLE value (key TEXT PRIMARY KEY, value TEXT)");
      const insert = database.prepare("INSERT INTO value VALUES (?, ?)");
      return {
        name: "a bare transaction",
        run(key) {
          database.exec("BEGIN IMMEDIATE");
          insert.run(key, "value");
          database.exec("COMMIT");
          return Promise.resolve();
        },
        [Symbol.asyncDispose]() {
          database.close();
          return Promise.resolve();
        },
      };
    }
    case "etcd": {
      const ask = async (path: string, body: unknown) => {
        const response = await fetch(`${places[0]}/v3/${path}`, {
          method: "POST",
          body: JSON.stringify(body),
        });
        if (!response.ok) throw new Error(await response.text());
        return await response.json();
      };
      const lease = (await ask("lease/grant", { TTL: 60 })).ID;
      return {
        name: "its lock API, a put, and an unlock",
        async run(key) {
          const lock = await ask("lock/lock", {
            name: btoa(`lock ${key}`),
            lease,
          });
          await ask("kv/put", { key: btoa(key), value: btoa("value") });
          await ask("lock/unlock", { key: lock.key });
        },
        [Symbol.asyncDispose]: () => ask("lease/revoke", { ID: lease }),
      };
    }
    case "postgres": {
      const sql = postgres({
        host: places[0]!,
        port: Number(places[1]),
        user: "postgres",
        max: 1,
        onnotice: () => {},
      });
      await sql`CREATE TABLE own (key text PRIMARY KEY, value text)`;
      return {
        name: "an advisory lock, an insert, and an unlock",
        async run(key) {
          await sql`SELECT pg_advisory_lock(hashtext(${key}))`;
          await sql`INSERT INTO own VALUES (${key}, 'value')`;
          await sql`SELECT pg_advisory_unlock(hashtext(${key}))`;
        },
        [Symbol.asyncDispose]: () => sql.end(),
      };
    }
    case "deno-kv": {
      const kv = await Deno.openKv(`${places[0]}.own`);
      return {
        name: "an atomic check and set",
        async run(key) {
          await kv.atomic().check({ key: [key], versionstamp: null })
            .set([key], "value").commit();
        },
        [Symbol.asyncDispose]() {
          kv.close();
          return Promise.resolve();
        },
      };
    }
  }
}

/** From a fresh key to the value: two writes and the look before them. */
async function measureFresh(address: StoreAddress): Promise<number> {
  await using opened = await openStore(address);
  const codec = string(64);
  return await measure(ROUNDS, async (round) => {
    const cell = new ClusterLazyInit(opened.store, `fresh ${round}`, codec);
    await cell.getOrInit(() => "value");
    await cell[Symbol.asyncDispose]();
  });
}

/** A process that asks for a value, or makes it, and tells when. */
type Asker = (key: string) => Promise<Told>;

/** From the end of the initializer to the last of eight processes. */
async function measureWakeUps(askers: readonly Asker[]): Promise<Figures> {
  const durations: number[] = [];
  for (let round = 0; round < WAKE_ROUNDS; round++) {
    const told = await Promise.all(askers.map((ask) => ask(`wake ${round}`)));
    const made = told.find(({ made }) => made !== undefined)!.made!;
    durations.push(Math.max(...told.map(({ at }) => at)) - made);
  }
  return {
    "initializer's end to the last of 8 processes, ms": spreadOf(durations)
      .median,
    "the same, 90 % of times, ms": percentile(durations, 0.9),
  };
}

async function cpuTicks(pid: number): Promise<number> {
  const fields = (await Deno.readTextFile(`/proc/${pid}/stat`))
    .replace(/^.*\) /, "").split(" ");
  return Number(fields[11]) + Number(fields[12]);
}

/** How much of a processor a process takes whose cells all wait, in percent. */
async function measureIdle(
  address: StoreAddress,
  cells: number,
): Promise<number> {
  await using member = await Member.start(address, LEASE);
  for (let cell = 0; cell < cells; cell++) {
    member.tell({ key: `idle ${cell}`, call: "wait" });
  }
  await member.call({ key: "idle 0", call: "refresh" });
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  const before = await cpuTicks(member.pid);
  await new Promise((resolve) => setTimeout(resolve, IDLE));
  const ticks = await cpuTicks(member.pid) - before;
  return 100 * ticks / TICKS_PER_SECOND / (IDLE / 1_000);
}

async function rowOf(
  engine: Engine,
  address: StoreAddress,
): Promise<TableRow> {
  const fresh = await measureFresh(address);
  await using primitive = await primitiveOf(address);
  const own = await measure(ROUNDS, (round) => primitive.run(`own ${round}`));
  await using members = new AsyncDisposableStack();
  const askers = await times(PROCESSES, async (): Promise<Asker> => {
    const member = members.use(await Member.start(address, LEASE));
    return (key) =>
      member.tell({
        key,
        call: "getOrInit",
        value: "value",
        duration: INITIALIZER,
      }).settled;
  });
  const wakeUps = await measureWakeUps(askers);
  await members.disposeAsync();
  return {
    name: `${engine}, beside ${primitive.name}`,
    figures: {
      "a fresh key, alone, ms": fresh,
      "the engine's own primitive, ms": own,
      ...wakeUps,
      "processor time of a waiting cell, %": await measureIdle(address, 1),
      "processor time of 100 waiting cells, %": await measureIdle(address, 100),
    },
  };
}

function times<T>(count: number, make: () => Promise<T>): Promise<T[]> {
  return Promise.all(Array.from({ length: count }, make));
}

async function measureEngine(engine: Engine): Promise<TableRow> {
  await using running = await startEngine(engine);
  // In time, so that the engine is ended
  return await inTime(rowOf(engine, running.address));
}

/** Starts a process that asks the server of global-cache. */
async function startPeer(
  serverUrl: string,
  stack: AsyncDisposableStack,
): Promise<Asker> {
  const process = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--no-check",
      "--allow-all",
      new URL("_global_cache_process.ts", import.meta.url).pathname,
      serverUrl,
      String(INITIALIZER),
    ],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const input = process.stdin.getWriter();
  const output = process.stdout.pipeThrough(new TextDecoderStream())
    .getReader();
  stack.defer(async () => {
    await input.close();
    await process.status;
    await output.cancel();
  });
  await output.read();
  return async (key) => {
    await input.write(new TextEncoder().encode(key));
    return JSON.parse((await output.read()).value!);
  };
}

/** A package with a server of its own, which does the same without a store. */
async function measurePeer(): Promise<TableRow> {
  await using stack = new AsyncDisposableStack();
  const basePath = await Deno.makeTempDir();
  stack.defer(() => Deno.remove(basePath, { recursive: true }));
  await storageServer.start({ basePath });
  stack.defer(() => storageServer.stop());
  const serverUrl = `http://127.0.0.1:${storageServer.port}`;
  const config: object = { serverUrl };
  globalCache.defineConfig(config);
  const fresh = await measure(ROUNDS, async (round) => {
    await globalCache.get(`fresh ${round}`, () => "value");
  });
  const askers = await times(PROCESSES, () => startPeer(serverUrl, stack));
  return {
    name: "global-cache",
    figures: {
      "a fresh key, alone, ms": fresh,
      ...await measureWakeUps(askers),
    },
  };
}

async function inTime(row: Promise<TableRow>): Promise<TableRow> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    late.reject(new Error(`It takes more than ${PATIENCE} ms`));
  }, PATIENCE);
  try {
    return await Promise.race([row, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

const chosen = Deno.args.length > 0 ? Deno.args as Row[] : ROWS;
const rows: TableRow[] = [];
for (const row of chosen) {
  rows.push(
    row === "global-cache"
      ? await inTime(measurePeer())
      : await measureEngine(row),
  );
}
console.log(JSON.stringify(rows));
// Whatever is left of a peer's server
Deno.exit();
