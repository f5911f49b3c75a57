// Copyright 2026 the lazyinit authors. MIT license.
/// <reference lib="deno.worker" />

/**
 * A worker that asks a map for all its keys, in an order of its own, and makes the
 * values of those that it is the first to ask for.
 *
 * @module
 */

import { bool, int32, LazyInit, LazyInitMap } from "../../mod.ts";
import { type KeysJob, type KeysMessage, makerCodec } from "./messages.ts";
import { sleep } from "./sleep.ts";

/** How long it takes to make a value, in ms. */
const WORK_MILLISECONDS = 50;

self.onmessage = ({ data }: MessageEvent<KeysJob>) => {
  const map = LazyInitMap.from(data.map, int32, makerCodec);
  post("ready");
  LazyInit.from(data.start, bool).wait();
  for (const key of shuffled(data.keyCount)) {
    map.getOrInit(key, () => {
      Atomics.add(data.calls, 0, 1);
      sleep(WORK_MILLISECONDS);
      return data.worker;
    });
  }
  post("done");
};

function post(message: KeysMessage): void {
  self.postMessage(message);
}

/** The numbers from 0 on, in random order. */
function shuffled(count: number): number[] {
  return Array.from({ length: count }, (_, number) => number)
    .map((number) => ({ number, position: Math.random() }))
    .sort((a, b) => a.position - b.position)
    .map(({ number }) => number);
}
