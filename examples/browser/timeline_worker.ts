// Copyright 2026 the lazyinit authors. MIT license.
/// <reference lib="deno.worker" />

/**
 * A worker of the timeline: races with the others for the cell, and reports
 * the outcome.
 *
 * @module
 */

import {
  agentId,
  announceAgent,
  bool,
  int32,
  LazyInit,
  MutexLazyInit,
} from "../../mod.ts";
import { isAsynchronous, type TimelineJob } from "./messages.ts";
import { getOrInitReporting, isTimeout, report } from "./reporting.ts";
import { sleep } from "./sleep.ts";

/** How long a latecomer waits before it tries again to be the one, in ms. */
const RETRY_MILLISECONDS = 500;

/** How an initializer ends when its time is up. */
type Fate = "works" | "fails" | "dies";

/** The worker does one thing at a time, even if it is told to start again meanwhile. */
let turn = Promise.resolve();
let takePart: () => Promise<void>;

self.onmessage = ({ data }: MessageEvent<TimelineJob | "again">) => {
  if (data === "again") turn = turn.then(takePart);
  else turn = begin(data);
};

async function begin(job: TimelineJob): Promise<void> {
  await holdForLife(job.lock);
  if (job.plan.freedBy === "waiters") await announceAgent();
  const value = valueGetter(job);
  takePart = async () => {
    try {
      report("done", ` of worker ${await value()}`);
    } catch (error) {
      report("failed", `: ${(error as Error).message}`);
    }
  };
  self.postMessage("ready");
  await LazyInit.from(job.start, bool).waitAsync();
  await takePart();
}

/** The page gets the lock when this worker has ended, and so knows that it has. */
function holdForLife(lock: string): Promise<void> {
  return new Promise((resolve) => {
    navigator.locks.request(lock, () => {
      resolve();
      return new Promise(() => {});
    });
  });
}

function valueGetter(job: TimelineJob): () => number | Promise<number> {
  const { plan: { kind, waits }, cell: handle } = job;
  if (kind === "LazyInit") {
    const cell = LazyInit.from(handle, int32);
    return () => callOnceOrWait(cell, job);
  }
  const cell = MutexLazyInit.from(handle, int32);
  return waits === "blocking"
    ? () => getOrInitReporting(cell, () => initialize(job))
    : () => getOrInitAsync(cell, job);
}

/**
 * Makes the value, or waits for it. A `LazyInit` does not tell when it is free again,
 * so a latecomer asks from time to time.
 */
async function callOnceOrWait(
  cell: LazyInit<number>,
  job: TimelineJob,
): Promise<number> {
  for (let late = false;; late = true) {
    const value = cell.callOnce(() => initialize(job));
    if (value !== undefined) return value;
    const blocking = job.plan.waits === "blocking";
    if (!late) {
      report("late", `, waits ${blocking ? "in wait()" : "for waitAsync()"}`);
    }
    try {
      return blocking
        ? cell.wait({ timeout: RETRY_MILLISECONDS })
        : await cell.waitAsync({
          signal: AbortSignal.timeout(RETRY_MILLISECONDS),
        });
    } catch (error) {
      if (!isTimeout(error)) throw error;
    }
  }
}

function getOrInitAsync(
  cell: MutexLazyInit<number>,
  job: TimelineJob,
): Promise<number> {
  let called = false;
  const value = cell.getOrInitAsync(() => {
    called = true;
    return isAsynchronous(job.plan) ? initializeAsync(job) : initialize(job);
  });
  // The initializer of the first worker is called before the method returns
  if (!called && !cell.initialized) {
    report("waiting", " for getOrInitAsync()");
  }
  return value;
}

function initialize(job: TimelineJob): number {
  const fate = beginInitializer(job);
  sleep(fate === "dies" ? Infinity : duration(job));
  return endInitializer(job, fate);
}

async function initializeAsync(job: TimelineJob): Promise<number> {
  const fate = beginInitializer(job);
  await new Promise((resolve) => {
    if (fate !== "dies") setTimeout(resolve, duration(job));
  });
  return endInitializer(job, fate);
}

function duration({ plan }: TimelineJob): number {
  return plan.initializer === "works" ? 0 : plan.milliseconds;
}

function beginInitializer({ plan, troubles }: TimelineJob): Fate {
  const troubled = Atomics.sub(troubles, 0, 1) > 0;
  const dies = troubled && plan.initializer === "dies";
  report("initializing", "", dies ? { dying: agentId() } : {});
  return dies ? "dies" : troubled ? "fails" : "works";
}

function endInitializer({ worker }: TimelineJob, fate: Fate): number {
  if (fate === "fails") throw new Error("its initializer threw");
  return worker;
}
