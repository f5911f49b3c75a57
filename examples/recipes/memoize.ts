// Copyright 2026 the lazyinit authors. MIT license.
// deno-lint-ignore-file no-console

import { scryptSync } from "node:crypto";
import { isMainThread, Worker, workerData } from "node:worker_threads";
import {
  LazyInitMap,
  type LazyInitMapHandle,
  string,
} from "@lazyinit/lazyinit";

/** Has all workers that get the handle call `fn` once for each key. */
function memoize(
  fn: (key: string) => string,
  handle?: LazyInitMapHandle<string, string>,
) {
  const map = handle === undefined
    ? new LazyInitMap(string(), string(), { name: fn.name })
    : LazyInitMap.from(handle, string(), string());
  const memoized = (key: string) => map.getOrInit(key, fn);
  return Object.assign(memoized, { handle: map.handle });
}

function hash(password: string): string {
  console.log(`Hashing ${password}`); // in one worker only
  return scryptSync(password, "salt", 8).toString("hex");
}

if (isMainThread) {
  const { handle } = memoize(hash);
  for (let i = 0; i < 4; i++) {
    // With piscina: new Piscina({ filename, workerData: handle })
    new Worker(new URL(import.meta.url), { workerData: handle });
  }
} else {
  const memoized = memoize(hash, workerData);
  for (const password of ["hunter2", "correct horse"]) {
    console.log(password, memoized(password)); // in all four
  }
}
