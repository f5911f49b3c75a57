// Copyright 2026 the lazyinit authors. MIT license.
// deno-lint-ignore-file no-console

import { isMainThread, Worker, workerData } from "node:worker_threads";
import { MutexLazyInit, typedArray } from "@lazyinit/lazyinit";

if (isMainThread) {
  const pages = { initial: 1, maximum: 1, shared: true };
  const memory = new WebAssembly.Memory(pages);
  for (let i = 0; i < 4; i++) {
    new Worker(new URL(import.meta.url), { workerData: memory });
  }
} else {
  const cell = new MutexLazyInit(typedArray(Float64Array, 1000), {
    buffer: workerData.buffer,
    byteOffset: 1024, // where the module keeps nothing of its own
  });
  const roots = cell.getOrInit((slot) => {
    console.log("Filling the table"); // in one worker only
    for (let i = 0; i < slot.length; i++) slot[i] = Math.sqrt(i);
  });

  // (module (import "env" "memory" (memory 1 1 shared))
  //   (func (export "load") (param i32) (result f64) (f64.load (local.get 0))))
  const bytes = `00 61 73 6d 01 00 00 00 01 06 01 60 01 7f 01 7c 02 10 01 03
    65 6e 76 06 6d 65 6d 6f 72 79 02 03 01 01 03 02 01 00 07 08 01 04 6c 6f
    61 64 00 00 0a 09 01 07 00 20 00 2b 03 00 0b`.split(/\s+/);
  const wasm = Uint8Array.from(bytes, (byte) => parseInt(byte, 16));
  const env = { memory: workerData };
  const { instance } = await WebAssembly.instantiate(wasm, { env });
  const load = instance.exports.load as (address: number) => number;
  console.log(load(roots.byteOffset + 2 * 8)); // in all four
}
