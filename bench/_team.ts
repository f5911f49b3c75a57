// Copyright 2026 the lazyinit authors. MIT license.

/*
 * Workers that do the same at the same time, round after round. A worker that has nothing
 * to do sleeps, the main thread too, as there may be fewer cores than workers.
 */

import { Mutex as SharedMutex } from "multithreading";
import { int32, LazyInit, Mutex, MutexLazyInit } from "../mod.ts";
import { BareMutex } from "./_peers.ts";
import { consume } from "./_suite.ts";

/** What workers are asked to do: to wait for a value, or to take turns. */
export const TASKS = [
  "wait for a flag",
  "wait for a flag and check",
  "wait for a LazyInit",
  "wait for a MutexLazyInit",
  "wait for a mutex of multithreading",
  "take a bare mutex",
  "take a Mutex",
  "take a mutex of multithreading",
] as const;
export type Task = typeof TASKS[number];

/** How often each worker takes a mutex in one round. */
export const TURNS = 1_000;
/** How much work is done under the mutex, and as much without it: some microseconds. */
const STEPS = 1_000;
/** What workers wait for. */
export const VALUE = 42;

/** How long the main thread waits for workers to fall asleep after they have said so, in ms. */
const DROWSINESS = 1;

/** How long the main thread waits for workers, in ms: one that has failed never comes. */
const PATIENCE = 10_000;

/** Through which words the main thread and its workers talk. */
const ROUND = 0;
const TASK = 1;
const READY = 2;
const DONE = 3;
/** Never changes. */
const IDLE = 4;

/** What is no position in {@linkcode TASKS}: the workers are to end. */
const NO_TASK = -1;

/** What is counted where. */
export const TURN = 0;
export const HAND_OVERS = 1;
const LAST = 2;

/** Everything has a cache line of its own. */
const LINE = 64;

/** What a worker is started with. */
export interface TeamMemory {
  readonly size: number;
  readonly index?: number;
  readonly control: SharedArrayBuffer;
  readonly buffer: SharedArrayBuffer;
  /** The mutex of `multithreading` has its memory for itself. */
  readonly peer: SharedArrayBuffer;
}

/** What all members of a team see. */
export class Workplace {
  readonly size: number;
  readonly control: Int32Array;
  readonly flag: Int32Array;
  /** What is counted under a mutex: turns, and those that came after another worker's. */
  readonly counter: Int32Array<SharedArrayBuffer>;
  readonly mutexCell: MutexLazyInit<number>;
  readonly bareMutex: BareMutex;
  readonly mutex: Mutex;
  readonly peer: SharedMutex<Int32Array<SharedArrayBuffer>>;
  readonly #buffer: SharedArrayBuffer;

  constructor({ size, control, buffer, peer }: TeamMemory) {
    this.size = size;
    this.control = new Int32Array(control);
    this.#buffer = buffer;
    this.mutexCell = new MutexLazyInit(int32, { buffer, byteOffset: LINE });
    this.flag = new Int32Array(buffer, 2 * LINE, 1);
    this.counter = new Int32Array(buffer, 3 * LINE, 3);
    this.bareMutex = new BareMutex(new Int32Array(buffer, 4 * LINE, 1));
    this.mutex = new Mutex(buffer, 5 * LINE);
    this.peer = new SharedMutex(this.counter, peer);
  }

  /** The cell that cannot be reset; so it is placed anew for each round. */
  lazyCell(): LazyInit<number> {
    return new LazyInit(int32, { buffer: this.#buffer });
  }

  /** What a worker does in its turn. */
  take(worker: number): void {
    const { counter } = this;
    counter[TURN]!++;
    if (counter[LAST] !== worker) counter[HAND_OVERS]!++;
    counter[LAST] = worker;
    work();
  }

  clearLazyCell(): void {
    new Int32Array(this.#buffer, 0, LINE / 4).fill(0);
  }
}

/** The main thread's side. */
export class Team {
  readonly workplace: Workplace;

  private constructor(workplace: Workplace) {
    this.workplace = workplace;
  }

  static async start(size: number): Promise<Team> {
    const memory: TeamMemory = {
      size,
      control: new SharedArrayBuffer(LINE),
      buffer: new SharedArrayBuffer(6 * LINE),
      peer: new SharedArrayBuffer(4),
    };
    const url = new URL("./_team_worker.ts", import.meta.url);
    await Promise.all(Array.from({ length: size }, (_, index) => {
      const worker = new Worker(url, { type: "module" });
      worker.postMessage({ ...memory, index });
      return new Promise((resolve) => worker.onmessage = resolve);
    }));
    const team = new Team(new Workplace(memory));
    // Deno would wait for ever for workers that sleep
    globalThis.addEventListener("unload", () => team.dismiss());
    return team;
  }

  /** Has all workers begin. */
  begin(task: Task): void {
    this.#tell(TASKS.indexOf(task));
  }

  #tell(task: number): void {
    const { control } = this.workplace;
    control[TASK] = task;
    control[READY] = control[DONE] = 0;
    Atomics.add(control, ROUND, 1);
    Atomics.notify(control, ROUND);
  }

  /** Has all workers begin, and waits until they sleep. */
  beginAndRest(task: Task): void {
    this.begin(task);
    awaitCount(this.workplace, READY);
    Atomics.wait(this.workplace.control, IDLE, 0, DROWSINESS);
  }

  /** Lets the workers end. */
  dismiss(): void {
    this.#tell(NO_TASK);
  }

  /** Waits until the last worker is done. */
  finish(): void {
    awaitCount(this.workplace, DONE);
  }
}

/** A worker's side: does what it is asked to, until it is dismissed. */
export function serve(
  workplace: Workplace,
  tasks: Record<Task, () => void>,
): void {
  const { control } = workplace;
  for (let round = 0;; round++) {
    Atomics.wait(control, ROUND, round);
    const task = TASKS[control[TASK]!];
    if (task === undefined) return;
    tasks[task]();
    count(workplace, DONE);
  }
}

/** Work that the engine cannot leave out. */
export function work(): void {
  let sum = 0;
  for (let i = 0; i < STEPS; i++) sum = Math.imul(sum ^ i, 31);
  consume(sum);
}

/** Tells the main thread that this worker is about to sleep. */
export function announceReady(workplace: Workplace): void {
  count(workplace, READY);
}

function count({ control, size }: Workplace, word: number): void {
  if (Atomics.add(control, word, 1) + 1 === size) Atomics.notify(control, word);
}

function awaitCount({ control, size }: Workplace, word: number): void {
  for (;;) {
    const counted = Atomics.load(control, word);
    if (counted === size) return;
    if (Atomics.wait(control, word, counted, PATIENCE) === "timed-out") {
      throw new Error(`Only ${counted} of ${size} workers have come so far`);
    }
  }
}
