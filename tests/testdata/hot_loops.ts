// Copyright 2026 the lazyinit authors. MIT license.

/*
 * Prints which methods, called in a hot loop that does nothing else, see the reset and
 * the new value of another agent.
 */

import process from "node:process";
import {
  isMainThread,
  parentPort,
  Worker,
  workerData,
} from "node:worker_threads";
import { int32, MutexLazyInit } from "../../mod.ts";

/** How long the engine has to optimize a loop, and then how long the loop has to see it, in ms. */
const WARM_UP = 1_000;
const PATIENCE = 10_000;

const three = () => 3;

const loops: Record<string, (cell: MutexLazyInit<number>) => void> = {
  get(cell) {
    while (cell.get() !== 2);
  },
  value(cell) {
    while (cell.value !== 2);
  },
  getUnchecked(cell) {
    while (cell.getUnchecked() !== 2);
  },
  getOrInit(cell) {
    while (cell.getOrInit(three) === 1);
  },
};

async function sees(method: string): Promise<boolean> {
  const cell = new MutexLazyInit(int32);
  cell.init(() => 1);
  const worker = new Worker(new URL(import.meta.url), {
    workerData: { handle: cell.handle, method },
  });
  const told = () =>
    new Promise<boolean>((resolve) => worker.once("message", resolve));
  await told();
  await new Promise((resolve) => setTimeout(resolve, WARM_UP));
  const seen = told();
  cell.reset();
  cell.getOrInit(() => 2);
  const late = new Promise<boolean>((resolve) =>
    setTimeout(resolve, PATIENCE, false)
  );
  return await Promise.race([seen, late]);
}

if (isMainThread) {
  const seen = [];
  for (const method of Object.keys(loops)) {
    if (await sees(method)) seen.push(method);
  }
  process.stdout.write(JSON.stringify(seen));
  process.exit();
} else {
  const { handle, method } = workerData;
  const cell = MutexLazyInit.from<number>(handle, int32);
  cell.get();
  parentPort!.postMessage(true);
  for (;;) {
    try {
      loops[method]!(cell);
      break;
    } catch {
      // Between the reset and the new value
    }
  }
  parentPort!.postMessage(true);
}
