// Copyright 2026 the lazyinit authors. MIT license.
// deno-lint-ignore-file no-console

import { parentPort, Worker, workerData } from "node:worker_threads";
import { float64, LazyInit, typedArray } from "@lazyinit/lazyinit";

// A handle does not carry the codec: both sides make the same one
const tableCodec = typedArray(Float64Array, 1000);

if (!parentPort) { // the main thread
  const scale = new LazyInit(float64, { name: "scale" });
  const table = new LazyInit(tableCodec, { name: "table" });
  const sum = new LazyInit(float64, { name: "sum" });
  scale.initOnce(2);

  const url = new URL(import.meta.url);
  const worker = new Worker(url, { workerData: { scale: scale.handle } });
  worker.postMessage({ cells: [table.handle, sum.handle] });
  console.log(await sum.waitAsync(), table.value[999]);
} else {
  const scale = LazyInit.from(workerData.scale, float64).value;
  parentPort.once("message", ({ cells: [tableHandle, sumHandle] }) => {
    const table = LazyInit.from(tableHandle, tableCodec);
    table.callOnce((slot) => {
      for (let i = 0; i < slot.length; i++) slot[i] = i * scale;
    });
    const sum = LazyInit.from(sumHandle, float64);
    sum.initOnce(table.value.reduce((a, b) => a + b));
  });
}
