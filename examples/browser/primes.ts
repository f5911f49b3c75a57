// Copyright 2026 the lazyinit authors. MIT license.
/// <reference lib="dom" />

/**
 * A value of any size: as many primes as a worker finds.
 *
 * @module
 */

import { MutexLazyInit } from "../../mod.ts";
import { byId, onSubmit, startWorker, tell } from "./dom.ts";
import { primesCodec, type PrimesJob } from "./messages.ts";

/** Wires up the section. */
export function startPrimes(): void {
  const cell = new MutexLazyInit(primesCodec, { name: "primes" });
  const status = byId("primes-status", HTMLElement);
  let worker: Worker | undefined;
  onSubmit(byId("primes", HTMLFormElement), async () => {
    tell(status, "A worker looks for primes.");
    const limit = byId("limit", HTMLInputElement).valueAsNumber;
    await cell.resetAsync();
    worker ??= startWorker("primes_worker.js");
    worker.postMessage({ cell: cell.handle, limit } satisfies PrimesJob);
    const primes = await cell.waitAsync();
    show(primes, cell.handle.buffer);
    tell(
      status,
      `${formatted(primes.length)} primes, the largest is ${
        formatted(primes.at(-1)!)
      }.`,
    );
  });
}

function show(
  primes: Readonly<Uint32Array>,
  { byteLength, maxByteLength }: SharedArrayBuffer,
): void {
  const set = (id: string, bytes: number, more = "") => {
    byId(id, HTMLElement).textContent = `${formatted(bytes)} bytes${more}`;
  };
  set("primes-value", primes.byteLength);
  const isMore = byteLength > 2 * primes.byteLength;
  set("primes-committed", byteLength, isMore ? ", from a larger value" : "");
  set("primes-bound", maxByteLength, ", reserved only");
  const share = 100 * primes.byteLength / byteLength;
  byId("primes-share", HTMLElement).style.width = `${share}%`;
}

function formatted(count: number): string {
  return count.toLocaleString("en");
}
