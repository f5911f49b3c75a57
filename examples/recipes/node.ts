// Copyright 2026 the lazyinit authors. MIT license.
// deno-lint-ignore-file no-console

import { isMainThread, Worker, workerData } from "node:worker_threads";
import { MutexLazyInit, typedArray } from "@lazyinit/lazyinit";

const codec = typedArray(Uint8Array, 1_000_000);

if (isMainThread) {
  const composite = new MutexLazyInit(codec, { name: "composite" });
  for (let i = 0; i < 4; i++) {
    new Worker(new URL(import.meta.url), { workerData: composite.handle });
  }
} else {
  const composite = MutexLazyInit.from(workerData, codec).getOrInit((slot) => {
    console.log("Sieving"); // in one worker only
    for (let i = 2; i * i < slot.length; i++) {
      for (let j = i * i; j < slot.length; j += i) slot[j] = 1;
    }
  });
  console.log(composite.lastIndexOf(0), "is prime"); // in all four
}
