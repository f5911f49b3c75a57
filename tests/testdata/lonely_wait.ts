// Copyright 2026 the lazyinit authors. MIT license.

/*
 * A program whose only pending work is an asynchronous wait. Its signal's timer
 * does not keep the event loop alive, so the last line is reached only if the
 * wait does.
 */

import process from "node:process";
import { int32, LazyInit, Mutex, MutexLazyInit } from "../../mod.ts";

const signal = AbortSignal.timeout(200);
const mutex = new Mutex();
mutex.lock();

const wait = {
  "LazyInit.waitAsync": () => new LazyInit(int32).waitAsync({ signal }),
  "MutexLazyInit.waitAsync": () =>
    new MutexLazyInit(int32).waitAsync({ signal }),
  "Mutex.lockAsync": () => mutex.lockAsync({ signal }),
}[process.argv[2]!]!;

try {
  await wait();
} catch (error) {
  process.stdout.write((error as Error).name);
}
