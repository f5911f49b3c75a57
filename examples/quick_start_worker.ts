// Copyright 2026 the lazyinit authors. MIT license.
/// <reference lib="deno.worker" />
// deno-lint-ignore-file no-console

import { MutexLazyInit, typedArray } from "@lazyinit/lazyinit";

self.onmessage = ({ data: handle }) => {
  const cell = MutexLazyInit.from(handle, typedArray(Float64Array, 1_000_000));
  const roots = cell.getOrInit((slot) => { // in one worker only
    for (let i = 0; i < slot.length; i++) slot[i] = Math.sqrt(i);
  });
  console.log(roots[2]); // in all four, from the same memory
  self.close();
};
