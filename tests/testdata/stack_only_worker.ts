// Copyright 2026 the lazyinit authors. MIT license.
/// <reference lib="deno.worker" />

/* An agent without asynchronous contexts, as those of browsers are. */

import type { LazyInitHandle } from "../../mod.ts";
import { Flag } from "../_flag.ts";

/** A cell to initialize, and another one that its initializer needs. */
export interface Need {
  handle: LazyInitHandle;
  inner: LazyInitHandle;
  method: "getOrInitAsync" | "waitAsync" | "resetAsync";
  entered: SharedArrayBuffer;
  leave: SharedArrayBuffer;
}

Reflect.deleteProperty(globalThis, "process");
const { MutexLazyInit, int32 } = await import("../../mod.ts");

self.onmessage = async ({ data }: MessageEvent<Need>) => {
  const inner = MutexLazyInit.from(data.inner, int32);
  try {
    await MutexLazyInit.from(data.handle, int32).getOrInitAsync(async () => {
      new Flag(data.entered).raise();
      new Flag(data.leave).block();
      // Before the first await
      if (data.method === "waitAsync") return await inner.waitAsync();
      if (data.method === "getOrInitAsync") {
        return await inner.getOrInitAsync(() => 1);
      }
      await inner.resetAsync();
      return 1;
    });
    self.postMessage("initialized");
  } catch (error) {
    self.postMessage((error as Error).name);
  }
};
self.postMessage("ready");
