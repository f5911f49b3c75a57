// Copyright 2026 the lazyinit authors. MIT license.
/// <reference lib="deno.worker" />

/**
 * A worker that reads a cell while another one reloads it: by `read()`, and through a
 * view that it got before.
 *
 * @module
 */

import { bool, LazyInit, MutexLazyInit } from "../../mod.ts";
import {
  copiesCodec,
  type Looks,
  type ReadingMessage,
  type ReloadJob,
  type Stretch,
} from "./messages.ts";

/** How often the page hears of it, in ms. */
const REPORT_MILLISECONDS = 100;

self.onmessage = ({ data }: MessageEvent<ReloadJob>) => {
  const cell = MutexLazyInit.from(data.cell, copiesCodec);
  const view = cell.value;
  const last = data.reloads + 1;
  const [read, kept] = [new Counter(), new Counter()];
  let torn: readonly Stretch[] = [];
  const report = (isLast: boolean) => post({ read, kept, torn, isLast });
  post("ready");
  LazyInit.from(data.start, bool).wait();

  let reported = performance.now();
  for (;;) {
    const stretches = cell.read(stretchesOf);
    read.add(stretches);
    const seen = stretchesOf(view);
    kept.add(seen);
    if (!isWhole(seen)) torn = seen;
    if (stretches?.[0]?.value === last) break;
    if (performance.now() - reported < REPORT_MILLISECONDS) continue;
    reported = performance.now();
    report(false);
  }
  report(true);
};

class Counter implements Looks {
  whole = 0;
  torn = 0;
  none = 0;

  /** Counts what was seen, or that there was nothing to see. */
  add(stretches: readonly Stretch[] | undefined): void {
    if (stretches === undefined) this.none++;
    else if (isWhole(stretches)) this.whole++;
    else this.torn++;
  }
}

/** Whether that is one value, from its beginning to its end. */
function isWhole(stretches: readonly Stretch[]): boolean {
  return stretches.length === 1 && stretches[0]!.value !== 0;
}

/** What lies in the memory, from its beginning to its end. */
function stretchesOf(view: Readonly<Uint32Array>): Stretch[] {
  const stretches: { value: number; count: number }[] = [];
  let latest: { value: number; count: number } | undefined;
  for (let i = 0; i < view.length; i++) {
    const value = view[i]!;
    if (latest?.value === value) latest.count++;
    else stretches.push(latest = { value, count: 1 });
  }
  return stretches;
}

function post(message: ReadingMessage): void {
  self.postMessage(message);
}
