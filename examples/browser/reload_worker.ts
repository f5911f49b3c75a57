// Copyright 2026 the lazyinit authors. MIT license.
/// <reference lib="deno.worker" />

/**
 * A worker that resets a cell over and over, and each time loads the next value.
 *
 * @module
 */

import { bool, LazyInit, MutexLazyInit } from "../../mod.ts";
import { copiesCodec, type ReloadJob } from "./messages.ts";
import { sleep } from "./sleep.ts";

/** How long half of a load takes, and how long each value serves, in ms. */
const LOAD_MILLISECONDS = 2;
const SERVE_MILLISECONDS = 10;

self.onmessage = ({ data }: MessageEvent<ReloadJob>) => {
  const cell = MutexLazyInit.from(data.cell, copiesCodec);
  LazyInit.from(data.start, bool).wait();
  for (let number = 2; number <= data.reloads + 1; number++) {
    cell.reset();
    cell.init((slot) => {
      sleep(LOAD_MILLISECONDS);
      slot.fill(number, 0, slot.length / 2);
      sleep(LOAD_MILLISECONDS);
      slot.fill(number, slot.length / 2);
    });
    sleep(SERVE_MILLISECONDS);
  }
};
