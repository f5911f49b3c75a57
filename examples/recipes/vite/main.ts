// Copyright 2026 the lazyinit authors. MIT license.
/// <reference lib="dom" />

import { MutexLazyInit, typedArray } from "@lazyinit/lazyinit";

function show(text: string) {
  const item = document.createElement("li");
  item.textContent = text;
  document.querySelector("ul")!.append(item);
}

const roots = new MutexLazyInit(typedArray(Float64Array, 1_000_000));
for (let i = 0; i < 4; i++) {
  // Vite bundles the worker only if it is named just like this
  const worker = new Worker(new URL("./worker.ts", import.meta.url), {
    type: "module",
  });
  worker.onmessage = ({ data }) => show(`worker: ${data}`);
  worker.postMessage(roots.handle);
}

// A page may not block: it waits asynchronously
show(`page: ${(await roots.waitAsync())[2]}`);
