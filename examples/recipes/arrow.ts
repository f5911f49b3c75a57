// Copyright 2026 the lazyinit authors. MIT license.
// deno-lint-ignore-file no-console

import { isMainThread, Worker, workerData } from "node:worker_threads";
import { MutexLazyInit, typedArray } from "@lazyinit/lazyinit";
import { tableFromArrays, tableFromIPC, tableToIPC } from "apache-arrow";

const codec = typedArray(Uint8Array);

/** Stands for a query or a download that returns the bytes of a table. */
function fetchTable(): Uint8Array {
  const celsius = Float64Array.from({ length: 100_000 }, (_, i) => i % 40);
  return tableToIPC(tableFromArrays({ celsius }), "stream");
}

if (isMainThread) {
  const weather = new MutexLazyInit(codec, { name: "weather" });
  for (let i = 0; i < 4; i++) {
    new Worker(new URL(import.meta.url), { workerData: weather.handle });
  }
} else {
  const bytes = MutexLazyInit.from(workerData, codec).getOrInit(() => {
    console.log("Fetching the table"); // in one worker only
    return fetchTable();
  });
  const { values } = tableFromIPC(bytes).getChild("celsius")!.data[0]!;
  // Columns lie where the cell does: nothing was copied
  console.log(values.buffer === bytes.buffer, values[39]); // in all four
}
