// Copyright 2026 the lazyinit authors. MIT license.

/*
 * Opens cells and a map, gives their names up, and has one more call aborted while its
 * holder does not answer. Its process must then end by itself.
 */

import { int32, LazyInit, LazyInitMap, MutexLazyInit } from "../../mod.ts";

{
  using _once = await LazyInit.open("once", int32);
  using _mutex = await MutexLazyInit.open("mutex", int32);
  using _map = await LazyInitMap.open("map", int32, int32);
}

interface Locks {
  request(name: string, granted: () => Promise<void>): Promise<void>;
}

// deno-lint-ignore no-explicit-any -- Deno does not declare Web Locks
const { locks } = navigator as any as { locks: Locks };
const { promise, resolve } = Promise.withResolvers<void>();
const silent = locks.request(
  '@lazyinit/lazyinit holders "silent"',
  () => promise,
);
const controller = new AbortController();
const opened = MutexLazyInit.open("silent", int32, controller);
setTimeout(() => controller.abort(new Error("Aborted")), 50);
try {
  await opened;
} catch (error) {
  Deno.stdout.writeSync(
    new TextEncoder().encode(`${(error as Error).message}\n`),
  );
}
resolve();
await silent;
