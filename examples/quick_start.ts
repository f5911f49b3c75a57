// Copyright 2026 the lazyinit authors. MIT license.

import { MutexLazyInit, typedArray } from "@lazyinit/lazyinit";

const roots = new MutexLazyInit(typedArray(Float64Array, 1_000_000));
for (let i = 0; i < 4; i++) {
  const url = new URL("./quick_start_worker.ts", import.meta.url);
  new Worker(url, { type: "module" }).postMessage(roots.handle);
}
