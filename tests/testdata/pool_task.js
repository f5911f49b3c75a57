// Copyright 2026 the lazyinit authors. MIT license.

/* A task of `pool_main.js`. */

import process from "node:process";
import { int32, MutexLazyInit } from "@lazyinit/lazyinit";

export default function work({ handle, entered, exits }) {
  return MutexLazyInit.from(handle, int32).getOrInit(() => {
    if (!exits) return 42;
    const word = new Int32Array(entered);
    Atomics.store(word, 0, 1);
    Atomics.wait(word, 0, 1);
    process.exit(1);
  });
}
