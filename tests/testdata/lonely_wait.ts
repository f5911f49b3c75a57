// Copyright 2026 the lazyinit authors. MIT license.

/*
 * A program whose only pending work is an asynchronous wait. Its signal's timer
 * does not keep the event loop alive, so the last line is reached only if the
 * wait does.
 */

import { int32, LazyInit, Mutex, MutexLazyInit } from "../../mod.ts";

const signal = AbortSignal.timeout(200);
const mutex = new Mutex();
mutex.lock();

const wait = {
  "LazyInit.waitAsync": () => new LazyInit(int32).waitAsync({ signal }),
  "MutexLazyInit.waitAsync": () =>
    new MutexLazyInit(int32).waitAsync({ signal }),
  "Mutex.lockAsync": () => mutex.lockAsync({ signal }),
}[Deno.args[0]!]!;

try {
  await wait();
} catch (error) {
  await Deno.stdout.write(new TextEncoder().encode((error as Error).name));
}
