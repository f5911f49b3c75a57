// Copyright 2026 the lazyinit authors. MIT license.

import type { LazyInitHandle, Mutex } from "../mod.ts";
import { Flag, until } from "./_flag.ts";
import type { Job, Pair } from "./_jobs.ts";
import { Sleepers } from "./_sleepers.ts";

interface Report {
  result?: unknown;
  error?: { name: string; message: string };
}

type Method = Extract<Job, { kind: "initialize" }>["method"];
type Outcome = Extract<Job, { kind: "initialize" }>["outcome"];

/** A job in the middle of which an agent stands. */
interface Paused {
  /** Lets the agent go on. */
  leave(): void;
  // deno-lint-ignore no-explicit-any
  readonly done: Promise<any>;
}

/** Real workers that do jobs for a test and end with it. */
export class Agents implements Disposable {
  readonly #workers: Worker[];
  readonly #sleepers: Sleepers[];

  private constructor(workers: Worker[], sleepers: Sleepers[]) {
    this.#workers = workers;
    this.#sleepers = sleepers;
  }

  /** Starts agents, and resolves when all of them listen. */
  static async start(count: number): Promise<Agents> {
    const url = new URL("./testdata/agent_worker.ts", import.meta.url);
    const workers = Array.from(
      { length: count },
      () => new Worker(url, { type: "module" }),
    );
    const buffers = await Promise.all(workers.map(report));
    return new Agents(
      workers,
      buffers.map((buffer) => new Sleepers(buffer as SharedArrayBuffer)),
    );
  }

  /** Gives one agent a job and resolves with the result; it does one at a time. */
  // deno-lint-ignore no-explicit-any
  do(index: number, job: Job): Promise<any> {
    const worker = this.#workers[index]!;
    const reported = report(worker);
    // A test may look at a failure later than it comes
    reported.catch(() => {});
    worker.postMessage(job);
    return reported;
  }

  /** Gives every agent a job and resolves with all results. */
  // deno-lint-ignore no-explicit-any
  all(jobOf: (index: number) => Job): Promise<any[]> {
    return Promise.all(
      this.#workers.map((_, index) => this.do(index, jobOf(index))),
    );
  }

  /** Resolves when each of some agents, by default all, waits for a cell or a mutex and sleeps. */
  async asleep(
    ...indices: number[]
  ): Promise<void> {
    const waited = indices.length === 0
      ? this.#sleepers
      : indices.map((index) => this.#sleepers[index]!);
    await until(() => waited.every(({ count }) => count > 0));
  }

  /** How often an agent has fallen asleep so far while it waited for a cell or a mutex. */
  sleepsOf(index: number): number {
    return this.#sleepers[index]!.begun;
  }

  /** Has an agent hold a mutex, and resolves when it does. */
  hold(index: number, { buffer }: Mutex): Promise<Paused> {
    return this.#pause(
      index,
      (flags) => ({ kind: "hold", mutex: buffer, ...flags }),
    );
  }

  /** Has an agent call a method of `MutexLazyInit`, and resolves when its initializer runs. */
  initialize(
    index: number,
    { handle }: { handle: LazyInitHandle },
    outcome: Outcome,
    method: Method = "getOrInit",
  ): Promise<Paused> {
    return this.#pause(
      index,
      (flags) => ({ kind: "initialize", method, handle, outcome, ...flags }),
    );
  }

  /** As {@linkcode initialize}, for `LazyInit.callOnce`. */
  callOnce(
    index: number,
    { handle }: { handle: LazyInitHandle },
    value: Pair,
  ): Promise<Paused> {
    return this.#pause(
      index,
      (flags) => ({ kind: "callOnce", handle, value, ...flags }),
    );
  }

  /** Has an agent initialize a cell with what it gets from another when it is let. */
  nest(
    index: number,
    { handle }: { handle: LazyInitHandle },
    inner: { handle: LazyInitHandle },
    value: Pair,
    method: Extract<Job, { kind: "nest" }>["method"],
  ): Promise<Paused> {
    return this.#pause(
      index,
      (flags) => ({
        kind: "nest",
        handle,
        inner: inner.handle,
        method,
        value,
        ...flags,
      }),
    );
  }

  async #pause(
    index: number,
    jobOf: (flags: Record<"entered" | "leave", SharedArrayBuffer>) => Job,
  ): Promise<Paused> {
    const [entered, leave] = [new Flag(), new Flag()];
    const done = this.do(
      index,
      jobOf({ entered: entered.buffer, leave: leave.buffer }),
    );
    await entered.raised();
    return { leave: () => leave.raise(), done };
  }

  [Symbol.dispose](): void {
    for (const worker of this.#workers) worker.terminate();
  }
}

function report(worker: Worker): Promise<unknown> {
  return new Promise((resolve, reject) => {
    worker.onmessage = ({ data }: MessageEvent<Report>) => {
      if (data.error === undefined) return resolve(data.result);
      const error = new Error(data.error.message);
      error.name = data.error.name;
      reject(error);
    };
    worker.onerror = (event) => {
      event.preventDefault();
      reject(new Error(event.message));
    };
  });
}
