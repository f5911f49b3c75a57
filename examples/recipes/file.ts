// Copyright 2026 the lazyinit authors. MIT license.
// deno-lint-ignore-file no-console

import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { isMainThread, Worker, workerData } from "node:worker_threads";
import { MutexLazyInit, typedArray } from "@lazyinit/lazyinit";

const codec = typedArray(Uint8Array);
const path = new URL(import.meta.url); // any file will do

if (isMainThread) {
  const file = new MutexLazyInit(codec, { name: "file" });
  for (let i = 0; i < 4; i++) {
    new Worker(path, { workerData: file.handle });
  }
} else {
  const bytes = MutexLazyInit.from(workerData, codec).getOrInit(
    (_slot, allocate) => {
      console.log("Reading the file"); // in one worker only
      const file = openSync(path, "r");
      try {
        // Straight into the memory that all threads read
        const view = allocate(fstatSync(file).size);
        for (let read = 0; read < view.length;) {
          read += readSync(file, view, read, view.length - read, read);
        }
      } finally {
        closeSync(file);
      }
    },
  );
  console.log(String.fromCharCode(...bytes.subarray(3, 17))); // in all four
}
