// Copyright 2026 the lazyinit authors. MIT license.
// deno-lint-ignore-file no-console

import { isMainThread, Worker, workerData } from "node:worker_threads";
import { MutexLazyInit, typedArray } from "@lazyinit/lazyinit";

const codec = typedArray(Int32Array, 1000);

/** Starts a worker, and resolves when it has ended. */
function work(data: unknown): Promise<void> {
  const worker = new Worker(new URL(import.meta.url), { workerData: data });
  return new Promise((resolve) => worker.once("exit", () => resolve()));
}

if (isMainThread) {
  // (module (func (export "square") (param i32) (result i32)
  //   (i32.mul (local.get 0) (local.get 0))))
  const bytes = `00 61 73 6d 01 00 00 00 01 06 01 60 01 7f 01 7f 03 02 01 00
    07 0a 01 06 73 71 75 61 72 65 00 00 0a 09 01 07 00 20 00 20 00 6c 0b`;
  const wasm = Uint8Array.from(
    bytes.split(/\s+/),
    (byte) => parseInt(byte, 16),
  );
  // No cell can hold a module, but messages can: engines share the code of its clones.
  // The thread that starts workers keeps it beside the handle, for latecomers, too
  const module = await WebAssembly.compile(wasm);
  const squares = new MutexLazyInit(codec, { name: "squares" });
  const data = { module, handle: squares.handle };
  await Promise.all([work(data), work(data)]);
  await work(data); // a latecomer finds all done
} else {
  const { module, handle } = workerData;
  const squares = MutexLazyInit.from(handle, codec).getOrInit((slot) => {
    console.log("Filling the table"); // in one worker only
    const { exports } = new WebAssembly.Instance(module);
    const square = exports.square as (number: number) => number;
    for (let i = 0; i < slot.length; i++) slot[i] = square(i);
  });
  console.log(squares[12]); // in all three
}
