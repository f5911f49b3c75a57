// Copyright 2026 the lazyinit authors. MIT license.
// deno-lint-ignore-file no-console

import { isMainThread, Worker, workerData } from "node:worker_threads";
import { MutexLazyInit, typedArray } from "@lazyinit/lazyinit";

const codec = typedArray(Float64Array, 1_000_000);
const handle = workerData ?? new MutexLazyInit(codec).handle;
if (isMainThread) new Worker(new URL(import.meta.url), { workerData: handle });
const cell = MutexLazyInit.from(handle, codec);
const weights = cell.getOrInit((slot) => slot.fill(Math.random()));
console.log(weights[0]); // the same number in both threads
