// Copyright 2026 the lazyinit authors. MIT license.

/*
 * For Node and Bun: workers end in an initializer, in one way after the other. Prints
 * for each in which phase the cell is when the platform has told of that end, what
 * recover() returns, and what who has waited gets then.
 */

import process from "node:process";
import {
  isMainThread,
  parentPort,
  Worker,
  workerData,
} from "node:worker_threads";
import { agentId, announceAgent, int32, MutexLazyInit } from "../../mod.ts";

const WAYS = [
  "is terminated",
  "exits",
  "throws",
  "is terminated in Atomics.wait",
  "is terminated in a loop",
] as const;
type Way = typeof WAYS[number];

function initializer(way: Way): Promise<number> {
  parentPort!.postMessage(agentId());
  switch (way) {
    case "exits":
      setTimeout(() => process.exit());
      break;
    case "throws":
      setTimeout(() => {
        throw new Error("Thrown on purpose");
      });
      break;
    case "is terminated in Atomics.wait":
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
      break;
    case "is terminated in a loop":
      for (;;);
  }
  return new Promise(() => {});
}

/** Has a worker end, and resolves with its id and what who has waited gets. */
async function end(cell: MutexLazyInit<number>, way: Way) {
  const worker = new Worker(new URL(import.meta.url), {
    workerData: { handle: cell.handle, way },
  });
  // It is meant
  worker.on("error", () => {});
  const exited = new Promise((resolve) => worker.once("exit", resolve));
  const id = await new Promise<number>((resolve) =>
    worker.once("message", resolve)
  );
  const value = cell.getOrInitAsync(() => 2);
  if (way.startsWith("is terminated")) worker.terminate();
  await exited;
  return { id, value };
}

if (isMainThread) {
  const seen = [];
  for (const way of WAYS) {
    const cell = new MutexLazyInit(int32);
    const { id, value } = await end(cell, way);
    // Time enough, if the platform told anything else of the first
    await end(new MutexLazyInit(int32), way);
    const { phase } = cell;
    const recovered = cell.recover(id);
    seen.push({ way, phase, recovered, value: await value });
  }
  process.stdout.write(JSON.stringify(seen));
  process.exit();
} else {
  const { handle, way } = workerData;
  await announceAgent();
  MutexLazyInit.from(handle, int32).initAsync(() => initializer(way));
}
