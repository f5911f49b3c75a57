// Copyright 2026 the lazyinit authors. MIT license.

import { MutexLazyInit, typedArray } from "@lazyinit/lazyinit";

declare const self: Worker; // or else TypeScript takes it for a page

self.onmessage = ({ data: handle }) => {
  const cell = MutexLazyInit.from(handle, typedArray(Float64Array, 1_000_000));
  const roots = cell.getOrInit((slot) => { // in one worker only
    for (let i = 0; i < slot.length; i++) slot[i] = Math.sqrt(i);
  });
  self.postMessage(roots[2]);
};
