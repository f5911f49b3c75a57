// Copyright 2026 the lazyinit authors. MIT license.
// deno-lint-ignore-file no-console

import { scryptSync } from "node:crypto";
import { isMainThread, workerData } from "node:worker_threads";
import { LazyInitMap, string } from "@lazyinit/lazyinit";
import { Piscina } from "piscina";

/** Has all workers of a pool call `fn` once for each key. */
function memoize(fn: (key: string) => string) {
  const map = isMainThread
    ? new LazyInitMap(string(), string(), { name: fn.name })
    : LazyInitMap.from(workerData, string(), string());
  const memoized = (key: string) => map.getOrInit(key, fn);
  return Object.assign(memoized, { handle: map.handle });
}

const hash = memoize((password) => {
  console.log(`Hashing ${password}`); // in one worker only
  return scryptSync(password, "salt", 8).toString("hex");
});

/** What the pool has its workers do. */
export default function log(password: string): void {
  console.log(password, hash(password)); // in any of them
}

if (isMainThread) {
  const pool = new Piscina({
    filename: import.meta.url,
    workerData: hash.handle,
    minThreads: 4,
    maxThreads: 4,
  });
  const passwords = ["hunter2", "correct horse"].flatMap((password) =>
    Array<string>(4).fill(password)
  );
  await Promise.all(passwords.map((password) => pool.run(password)));
  await pool.destroy();
}
