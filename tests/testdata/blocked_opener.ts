// Copyright 2026 the lazyinit authors. MIT license.
/// <reference lib="deno.worker" />

/* A web worker that opens the cell of a name, initializes it, and blocks. */

import { int32, MutexLazyInit } from "../../mod.ts";
import { Flag } from "../_flag.ts";

/** The name, and what it blocks for. */
export interface Task {
  readonly name: string;
  readonly entered: SharedArrayBuffer;
  readonly leave: SharedArrayBuffer;
}

self.onmessage = async ({ data }: MessageEvent<Task>) => {
  const cell = await MutexLazyInit.open(data.name, int32);
  cell.getOrInit(() => 1);
  new Flag(data.entered).raise();
  new Flag(data.leave).block();
};
