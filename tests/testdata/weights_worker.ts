// Copyright 2026 the lazyinit authors. MIT license.
/// <reference lib="deno.worker" />

/* Reads weights beside an agent that reloads them, and reports what it has seen. */

import { type LazyInitHandle, MutexLazyInit, typedArray } from "../../mod.ts";
import { Flag } from "../_flag.ts";

/** What the test asks for. */
export type Order =
  & { readonly handle: LazyInitHandle<Float32Array, "MutexLazyInit"> }
  & (
    | {
      /** To read again and again until `stop` is raised. */
      readonly kind: "read";
      /** Which model was read last, all of it. */
      readonly seen: SharedArrayBuffer;
      readonly stop: SharedArrayBuffer;
    }
    | {
      /** To read once, and to pause in the middle until another model is there. */
      readonly kind: "pause";
      readonly by: "read()" | "a held view";
      readonly half: SharedArrayBuffer;
      readonly reloaded: SharedArrayBuffer;
    }
  );

/** What came of reading again and again. */
export interface Report {
  readonly reads: number;
  readonly torn: number;
}

/** One weight of each line of the cache is looked at, as the rest of it is as old. */
const STEP = 16;

/** The model that the weights are of, or -1 if they are of several. */
function modelOf(weights: Readonly<Float32Array>, halfway = () => {}): number {
  const model = weights[0]!;
  const half = weights.length / 2;
  for (let i = 0; i < weights.length; i += STEP) {
    if (i === half) halfway();
    if (weights[i] !== model) return -1;
  }
  return model;
}

self.onmessage = ({ data }: MessageEvent<Order>) => {
  const cell = MutexLazyInit.from(data.handle, typedArray(Float32Array));
  if (data.kind === "pause") {
    let hasPaused = false;
    const pause = () => {
      if (hasPaused) return;
      hasPaused = true;
      new Flag(data.half).raise();
      new Flag(data.reloaded).block();
    };
    const read = (weights: Readonly<Float32Array>) => modelOf(weights, pause);
    const model = data.by === "read()" ? cell.read(read) : read(cell.value);
    return self.postMessage(model);
  }

  const seen = new Int32Array(data.seen);
  const stop = new Int32Array(data.stop);
  let [reads, torn] = [0, 0];
  while (Atomics.load(stop, 0) === 0) {
    const model = cell.read((weights) => modelOf(weights));
    if (model === undefined) continue;
    reads++;
    if (model === -1) torn++;
    Atomics.store(seen, 0, model);
  }
  self.postMessage({ reads, torn } satisfies Report);
};
