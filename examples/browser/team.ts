// Copyright 2026 the lazyinit authors. MIT license.
/// <reference lib="dom" />

/**
 * Workers that share one index of all cities, which one of them builds.
 *
 * @module
 */

import {
  bool,
  LazyInit,
  type LazyInitHandle,
  MutexLazyInit,
} from "../../mod.ts";
import {
  coordinatesCodec,
  indexCodec,
  type Place,
} from "../nearest_city_index.ts";
import { startWorker } from "./dom.ts";
import type { Answer, SearchJob, SearchMessage } from "./messages.ts";
import type { Cities } from "./places.ts";
import type { Timeline } from "./timeline.ts";

/** An answer, and the number of the worker that has found it. */
export interface TeamAnswer extends Answer {
  readonly worker: number;
}

/** What each worker did until all had the index. */
export interface TeamReport {
  readonly workers: number;
  readonly builder: number;
  /** ", built in 120 ms" */
  readonly built: string;
  readonly waited: readonly number[];
  readonly indexBytes: number;
}

/** Puts the coordinates in shared memory, once for all teams. */
export function shareCoordinates({ data, count }: Cities): LazyInitHandle {
  const cell = new LazyInit(coordinatesCodec(count), { name: "coordinates" });
  cell.callOnce((slot) => {
    data.longitudes.forEach((longitude, id) => {
      slot[2 * id] = longitude;
      slot[2 * id + 1] = data.latitudes[id]!;
    });
  });
  return cell.handle;
}

export class Team {
  /** Resolves when all workers have the index. */
  readonly report: Promise<TeamReport>;
  readonly #start = new LazyInit(bool, { name: "start signal" });
  readonly #workers: readonly Worker[];
  readonly #asked: ((answer?: Answer) => void)[][];
  readonly #done: (report: TeamReport) => void;
  readonly #index: LazyInitHandle;
  readonly #waited = new Set<number>();
  #builder = 0;
  #built = "";
  #readyCount = 0;
  #doneCount = 0;
  #next = 0;

  constructor(
    workers: number,
    { cityCount, coordinates }: Pick<SearchJob, "cityCount" | "coordinates">,
    timeline: Timeline,
  ) {
    const { promise, resolve } = Promise.withResolvers<TeamReport>();
    this.report = promise;
    this.#done = resolve;
    const cell = new MutexLazyInit(indexCodec, { name: "index" });
    this.#index = cell.handle;
    const job: SearchJob = {
      cityCount,
      coordinates,
      index: this.#index,
      start: this.#start.handle,
    };
    timeline.begin(workers);
    this.#asked = Array.from({ length: workers }, () => []);
    this.#workers = this.#asked.map((_, i) => {
      const worker = startWorker("search_worker.js");
      worker.onmessage = ({ data }: MessageEvent<SearchMessage>) =>
        this.#receive(i + 1, data, timeline);
      worker.postMessage(job);
      return worker;
    });
  }

  #receive(worker: number, message: SearchMessage, timeline: Timeline): void {
    const workers = this.#workers.length;
    if (message === "ready") {
      this.#readyCount++;
      if (this.#readyCount === workers) this.#start.initOnce(true);
      return;
    }
    if ("found" in message) {
      this.#asked[worker - 1]!.shift()!(message);
      return;
    }
    timeline.report(worker, message);
    const { state, detail } = message;
    if (state === "initializing") this.#builder = worker;
    if (state === "waiting") this.#waited.add(worker);
    if (state !== "done") return;
    if (worker === this.#builder) this.#built = detail;
    this.#doneCount++;
    if (this.#doneCount < workers) return;
    this.#done({
      workers,
      builder: this.#builder,
      built: this.#built,
      waited: [...this.#waited].sort((a, b) => a - b),
      indexBytes: this.#index.buffer.byteLength,
    });
  }

  /** Has the workers answer in turn; `undefined` if they are stopped before. */
  find(place: Place): Promise<TeamAnswer | undefined> {
    const worker = this.#next + 1;
    this.#next = worker % this.#workers.length;
    return new Promise((resolve) => {
      this.#asked[worker - 1]!.push((answer) =>
        resolve(answer && { ...answer, worker })
      );
      this.#workers[worker - 1]!.postMessage(place);
    });
  }

  stop(): void {
    for (const worker of this.#workers) {
      worker.onmessage = null;
      worker.terminate();
    }
    this.#asked.flat().forEach((answered) => answered());
  }
}
