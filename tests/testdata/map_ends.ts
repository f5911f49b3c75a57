// Copyright 2026 the lazyinit authors. MIT license.

/*
 * Ends a worker that runs the initializer of a key, and prints what a later call gets:
 * if this thread keeps only the handle of the map, or a worker passes on the handle that
 * it has got.
 */

import process from "node:process";
import { setImmediate } from "node:timers/promises";
import {
  isMainThread,
  parentPort,
  Worker,
  workerData,
} from "node:worker_threads";
import { int32, LazyInitMap, type LazyInitMapHandle } from "../../mod.ts";

interface Order {
  readonly handle: LazyInitMapHandle<number, number>;
  readonly role: "end" | "have another one end" | "make the value";
}

/** Resolves with what the worker has posted, when it has ended. */
async function run(order: Order): Promise<unknown> {
  const worker = new Worker(new URL(import.meta.url), { workerData: order });
  let message: unknown;
  worker.once("message", (posted) => message = posted);
  await new Promise((resolve) => worker.once("exit", resolve));
  return message;
}

if (isMainThread) {
  const results: unknown[] = [];
  for (const role of ["end", "have another one end"] as const) {
    const { handle } = new LazyInitMap<number, number>(int32, int32);
    for (let i = 0; i < 5; i++) {
      (globalThis as { gc?(): void }).gc?.();
      await setImmediate();
    }
    await run({ handle, role });
    results.push(await run({ handle, role: "make the value" }));
  }
  process.stdout.write(JSON.stringify(results));
} else {
  const { handle, role } = workerData as Order;
  const map = LazyInitMap.from(handle, int32, int32);
  if (role === "end") map.getOrInit(1, () => process.exit());
  else if (role === "make the value") {
    parentPort!.postMessage(map.getOrInit(1, () => 42, { timeout: 10_000 }));
  } else await run({ handle, role: "end" });
}
