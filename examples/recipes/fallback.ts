// Copyright 2026 the lazyinit authors. MIT license.
// deno-lint-ignore-file no-console

import process from "node:process";
import { isMainThread, Worker, workerData } from "node:worker_threads";
import { MutexLazyInit, typedArray } from "@lazyinit/lazyinit";

const LENGTH = 1_000;
const codec = typedArray(Float64Array, LENGTH);

/** Whether memory can be shared; a page that is not cross-origin isolated has none. */
const canShare = typeof SharedArrayBuffer === "function" &&
  !process.argv.includes("--not-isolated"); // to see what comes of that

/** Fills the slot of a cell, or memory of this thread alone. */
function fill(table: Float64Array): Float64Array {
  console.log("Filling the table");
  for (let i = 0; i < LENGTH; i++) table[i] = Math.sqrt(i);
  return table;
}

if (isMainThread) {
  const handle = canShare ? new MutexLazyInit(codec).handle : undefined;
  for (let i = 0; i < 4; i++) {
    new Worker(new URL(import.meta.url), { workerData: { handle } });
  }
} else {
  const { handle } = workerData;
  // The rest of the program does not know the difference
  const table: Readonly<Float64Array> = handle === undefined
    ? fill(new Float64Array(LENGTH)) // in each worker
    : MutexLazyInit.from(handle, codec).getOrInit(fill); // in one worker only
  console.log(table[4]); // in all four
}
