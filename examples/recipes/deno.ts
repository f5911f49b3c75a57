// Copyright 2026 the lazyinit authors. MIT license.

import { json, MutexLazyInit } from "@lazyinit/lazyinit";

const settings = new MutexLazyInit(json(), { name: "settings" });
for (let i = 0; i < 4; i++) {
  const url = new URL("./deno_worker.ts", import.meta.url);
  new Worker(url, { type: "module" }).postMessage(settings.handle);
}
