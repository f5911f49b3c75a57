// Copyright 2026 the lazyinit authors. MIT license.
// deno-lint-ignore-file no-console

import {
  isMainThread,
  parentPort,
  Worker,
  workerData,
} from "node:worker_threads";
import {
  type LazyInitHandle,
  MutexLazyInit,
  typedArray,
} from "@lazyinit/lazyinit";

// Two cells, and which of them is read: one loads while the other serves
const codec = typedArray(Float32Array);

/** Stands for a download or a training. */
function load(model: number): Promise<Float32Array> {
  return Promise.resolve(new Float32Array(100_000).fill(model));
}

if (isMainThread) {
  const cells = [0, 1].map(() => new MutexLazyInit(codec));
  const current = new Int32Array(new SharedArrayBuffer(4));
  await cells[0]!.initAsync(() => load(0));

  const handles = cells.map(({ handle }) => handle);
  const data = { handles, current };
  const workers: Worker[] = [];
  for (let i = 0; i < 4; i++) {
    const worker = new Worker(new URL(import.meta.url), { workerData: data });
    await new Promise((resolve) => worker.once("message", resolve));
    workers.push(worker);
  }

  for (let model = 1; model <= 9; model++) {
    const next = cells[model % 2]!;
    await next.resetAsync(); // in slices: this thread goes on serving
    await next.initAsync(() => load(model));
    Atomics.store(current, 0, model);
  }
  for (const worker of workers) worker.postMessage("stop");
} else {
  const current: Int32Array = workerData.current;
  const cells = workerData.handles.map((handle: LazyInitHandle) =>
    MutexLazyInit.from(handle, codec)
  );

  const predict = (): number => {
    for (;;) {
      const cell = cells[Atomics.load(current, 0) % 2];
      // What a reset has torn is dropped; then the other cell has the model
      const mean = cell.read((weights: Float32Array) =>
        weights.reduce((sum, weight) => sum + weight, 0) / weights.length
      );
      if (mean !== undefined) return mean;
    }
  };

  let isStopped = false;
  parentPort!.once("message", () => isStopped = true);
  parentPort!.postMessage("ready");
  while (!isStopped) {
    if (!Number.isInteger(predict())) console.log("Torn"); // never
    await new Promise((resolve) => setTimeout(resolve));
  }
  console.log("Model", predict()); // in all four
}
