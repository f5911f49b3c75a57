// Copyright 2026 the lazyinit authors. MIT license.
// deno-lint-ignore-file no-console

import { isMainThread } from "node:worker_threads";
import { MutexLazyInit, typedArray } from "@lazyinit/lazyinit";

declare const self: Worker; // or else TypeScript takes it for a page

const codec = typedArray(Float64Array, 1_000_000);

if (isMainThread) {
  const roots = new MutexLazyInit(codec, { name: "roots" });
  for (let i = 0; i < 4; i++) {
    const worker = new Worker(new URL(import.meta.url));
    worker.onmessage = ({ data: root }) => {
      console.log(root);
      worker.terminate();
    };
    worker.postMessage(roots.handle);
  }
} else {
  self.onmessage = ({ data: handle }) => {
    const roots = MutexLazyInit.from(handle, codec).getOrInit((slot) => {
      console.log("Filling the table"); // in one worker only
      for (let i = 0; i < slot.length; i++) slot[i] = Math.sqrt(i);
    });
    self.postMessage(roots[2]);
  };
}
