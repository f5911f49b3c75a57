// Copyright 2026 the lazyinit authors. MIT license.

/*
 * Ends a worker that owns one cell while the memory of another cell is overwritten, and
 * prints what the other threads get.
 */

import process from "node:process";
import {
  isMainThread,
  parentPort,
  Worker,
  workerData,
} from "node:worker_threads";
import { int32, MutexLazyInit } from "../../mod.ts";

if (isMainThread) {
  const overwritten = new MutexLazyInit(int32);
  new Uint8Array(overwritten.handle.buffer).fill(0xff);
  const cell = new MutexLazyInit(int32);
  const worker = new Worker(new URL(import.meta.url), {
    workerData: cell.handle,
  });
  worker.once("message", async () => {
    const value = cell.getOrInitAsync(() => 42);
    await worker.terminate();
    process.stdout.write(JSON.stringify(await value));
  });
} else {
  MutexLazyInit.from(workerData, int32).init(() => {
    parentPort!.postMessage("owns the cell");
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
    return 1;
  });
}
