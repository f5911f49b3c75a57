// Copyright 2026 the lazyinit authors. MIT license.
/// <reference lib="dom" />

/**
 * One run of the timeline: a cell, workers that race for it, and what the page does
 * about one that dies.
 *
 * @module
 */

import { bool, int32, LazyInit, MutexLazyInit } from "../../mod.ts";
import { startWorker } from "./dom.ts";
import {
  now,
  type Plan,
  type TimelineJob,
  type TimelineMessage,
} from "./messages.ts";
import type { Timeline } from "./timeline.ts";

export class Run {
  readonly #plan: Plan;
  readonly #timeline: Timeline;
  readonly #changed: () => void;
  readonly #cell: LazyInit<number> | MutexLazyInit<number>;
  readonly #start = new LazyInit(bool, { name: "start signal" });
  readonly #workers: ReadonlyMap<number, Worker>;
  #readyCount = 0;
  /** The worker whose initializer was called last. */
  #initializing = 0;
  /** The worker that has ended in its initializer, and which agent it was. */
  #lost: { worker: number; agentId: number } | undefined = undefined;
  #resetting = false;
  #stopped = false;

  /** Starts the workers; calls `changed` whenever something else can be done. */
  constructor(plan: Plan, timeline: Timeline, changed: () => void) {
    this.#plan = plan;
    this.#timeline = timeline;
    this.#changed = changed;
    const options = { name: "demo" };
    this.#cell = plan.kind === "LazyInit"
      ? new LazyInit(int32, options)
      : new MutexLazyInit(int32, options);
    const troubles = new Int32Array(new SharedArrayBuffer(4));
    troubles[0] = { works: 0, slow: 0, fails: plan.failures, dies: 1 }[
      plan.initializer
    ];
    timeline.begin(plan.workers);
    this.#workers = new Map(
      Array.from(
        { length: plan.workers },
        (_, i) => [i + 1, this.#startWorker(i + 1, troubles)],
      ),
    );
  }

  get phase(): string {
    return this.#cell.phase;
  }

  get canReset(): boolean {
    return this.#cell instanceof MutexLazyInit && this.#start.initialized &&
      !this.#resetting;
  }

  get canRecover(): boolean {
    return this.#lost !== undefined && this.phase === "initializing" &&
      this.#lost.worker === this.#initializing;
  }

  #startWorker(
    worker: number,
    troubles: Int32Array<SharedArrayBuffer>,
  ): Worker {
    const job: TimelineJob = {
      worker,
      plan: this.#plan,
      cell: this.#cell.handle,
      start: this.#start.handle,
      troubles,
      lock: `demo worker ${crypto.randomUUID()}`,
    };
    const started = startWorker("timeline_worker.js");
    started.onmessage = ({ data }: MessageEvent<TimelineMessage>) => {
      if (this.#stopped) return;
      if (data === "ready") {
        this.#readyCount++;
        if (this.#readyCount === this.#plan.workers) this.#startRace();
        return;
      }
      this.#timeline.report(worker, data);
      if (data.state === "initializing") this.#initializing = worker;
      this.#changed();
      const { dying } = data;
      if (dying !== undefined) {
        setTimeout(() => this.#kill(job, dying), this.#plan.milliseconds);
      }
    };
    started.postMessage(job);
    return started;
  }

  #startRace(): void {
    this.#start.initOnce(true);
    this.#changed();
  }

  #kill({ worker, lock }: TimelineJob, agentId: number): void {
    if (this.#stopped) return;
    this.#workers.get(worker)!.terminate();
    this.#timeline.report(worker, {
      state: "ending",
      at: now(),
      detail: "",
    });
    // Granted when the worker has ended, which takes a while if it was blocked
    navigator.locks.request(lock, () => {
      if (!this.#stopped) this.#mourn(worker, agentId);
    });
  }

  #mourn(worker: number, agentId: number): void {
    this.#timeline.report(worker, {
      state: "ended",
      at: now(),
      detail: " in the middle of its initializer",
    });
    this.#lost = { worker, agentId };
    if (this.#plan.freedBy === "page") this.recover();
    else if (this.#plan.waits === "blocking") {
      this.#timeline.mark(
        "Blocked workers do not notice. Recover the cell",
      );
    }
    this.#changed();
  }

  /** Frees the cell of the worker that has ended. */
  recover(): void {
    const { agentId } = this.#lost!;
    this.#lost = undefined;
    // Before, as others may go on before this one does
    const at = now();
    const held = this.#cell.recover(agentId);
    this.#timeline.mark(
      `The page calls recover(${agentId}): ${
        held ? "the cell is free" : "it was free already"
      }`,
      { label: "recover()", at },
    );
    this.#changed();
  }

  /** Empties the cell, and has all workers that live go again. */
  async reset(): Promise<void> {
    this.#resetting = true;
    this.#changed();
    const { phase } = this;
    this.#timeline.mark(`The page resets the cell, which is ${phase}`);
    const wasInitialized = await (this.#cell as MutexLazyInit<number>)
      .resetAsync();
    if (this.#stopped) return;
    this.#timeline.mark(
      `The cell is reset: it was ${
        wasInitialized ? "" : "not "
      }initialized. All workers that live go again`,
      { label: "reset()" },
    );
    this.#workers.forEach((worker) => worker.postMessage("again"));
    this.#resetting = false;
    this.#changed();
  }

  stop(): void {
    this.#stopped = true;
    this.#workers.forEach((worker) => worker.terminate());
  }
}
