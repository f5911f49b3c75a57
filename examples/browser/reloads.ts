// Copyright 2026 the lazyinit authors. MIT license.
/// <reference lib="dom" />

/**
 * Reading beside a reset: by `read()`, and through a view that was kept.
 *
 * @module
 */

import { bool, LazyInit, MutexLazyInit } from "../../mod.ts";
import { byId, onSubmit, startWorker, tell } from "./dom.ts";
import {
  copiesCodec,
  type Looks,
  type ReadingMessage,
  type ReadingReport,
  type ReloadJob,
} from "./messages.ts";

const RELOADS = 100;

/** Wires up the section. */
export function startReloads(): void {
  const status = byId("reloads-status", HTMLElement);
  onSubmit(byId("reloads", HTMLFormElement), async () => {
    tell(status, "One worker reloads, another one reads.");
    const { read, kept } = await reload();
    tell(
      status,
      `${RELOADS} reloads: read() saw ${
        read.torn === 0 ? "no torn value" : `${read.torn} torn values`
      }, the kept view saw ${kept.torn}.`,
    );
  });
}

/** Has the workers do it, and resolves with what the one that reads has seen. */
async function reload(): Promise<ReadingReport> {
  const cell = new MutexLazyInit(copiesCodec, { name: "copies" });
  cell.init((slot) => {
    slot.fill(1);
  });
  const start = new LazyInit(bool, { name: "start signal" });
  const job: ReloadJob = {
    cell: cell.handle,
    reloads: RELOADS,
    start: start.handle,
  };
  const reader = startWorker("reading_worker.js");
  const writer = startWorker("reload_worker.js");
  const report = await new Promise<ReadingReport>((resolve) => {
    reader.onmessage = ({ data }: MessageEvent<ReadingMessage>) => {
      if (data === "ready") start.initOnce(true);
      else {
        show(data);
        if (data.isLast) resolve(data);
      }
    };
    reader.postMessage(job);
    writer.postMessage(job);
  });
  reader.terminate();
  writer.terminate();
  return report;
}

function show({ read, kept, torn }: ReadingReport): void {
  const set = (id: string, count: number) => {
    byId(id, HTMLElement).textContent = count.toLocaleString("en");
  };
  const rows: [string, Looks][] = [["read", read], ["kept", kept]];
  for (const [row, { whole, torn }] of rows) {
    set(`${row}-whole`, whole);
    set(`${row}-torn`, torn);
  }
  set("read-none", read.none);
  if (torn.length === 0) return;
  const parts = torn.map(({ value, count }) =>
    `${count.toLocaleString("en")} times ${value}`
  );
  byId("torn", HTMLElement).textContent = `Last seen torn: ${
    parts.join(", then ")
  }.`;
}
