// Copyright 2026 the lazyinit authors. MIT license.

/**
 * A process of `cluster.ts`: gets the index, once for the cluster, puts it in shared
 * memory, once for the process, and has its workers answer from it.
 *
 * @module
 */

import { EtcdStore } from "../cluster/etcd.ts";
import { ClusterLazyInit } from "../cluster/mod.ts";
import { SqliteStore } from "../cluster/sqlite.ts";
import { MutexLazyInit } from "../mod.ts";
import {
  type Cities,
  citiesCodec,
  type Event,
  type Job,
  LEASE,
  type Task,
} from "./cluster_index.ts";

const task: Task = JSON.parse(Deno.args[0]!);
const input = Deno.stdin.readable.getReader();
const encoder = new TextEncoder();

function tell(event: Event): void {
  Deno.stdout.writeSync(encoder.encode(`${JSON.stringify(event)}\n`));
}

let built = 0;

async function compute(
  { token }: { readonly token: bigint },
): Promise<Cities> {
  tell({ kind: "begins", token: String(token) });
  // The first that begins is killed while it waits here
  await input.read();
  const start = performance.now();
  // In a worker, as a process that is busy for longer than its lease would lose the cell
  const cities = await work<Cities>({ cityCount: task.cityCount });
  built = performance.now() - start;
  return cities;
}

/** Has a new worker do a job. */
async function work<R>(job: Job): Promise<R> {
  const worker = new Worker(import.meta.resolve("./cluster_worker.ts"), {
    type: "module",
  });
  const result = new Promise<R>((resolve) =>
    worker.onmessage = ({ data }) => resolve(data)
  );
  worker.postMessage(job);
  try {
    return await result;
  } finally {
    worker.terminate();
  }
}

await using store = task.engine === "sqlite"
  ? new SqliteStore(task.places[0]!)
  : new EtcdStore(task.places);
await using cluster = new ClusterLazyInit(store, task.key, citiesCodec, {
  lease: LEASE,
});
const local = new MutexLazyInit(citiesCodec, { name: "cities" });
const { coordinates, index } = await local.getOrInitAsync(() =>
  cluster.getOrInit(compute)
);
tell({
  kind: "has",
  built,
  bytes: coordinates.byteLength + index.byteLength,
});

const answers = await Promise.all(
  Array.from(
    { length: task.workers },
    () => work<string>({ cityCount: task.cityCount, handle: local.handle }),
  ),
);
tell({ kind: "answers", answers });
// The end of the input, when all others are done, too
await input.read();
