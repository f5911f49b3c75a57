// Copyright 2026 the lazyinit authors. MIT license.
/// <reference lib="deno.worker" />

/**
 * A worker of `nearest_city.ts`: gets the index, or builds its own, and answers
 * the queries.
 *
 * @module
 */

import { bool, LazyInit, MutexLazyInit } from "../mod.ts";
import {
  buildIndex,
  coordinatesCodec,
  findNearest,
  indexCodec,
  type Job,
  type Report,
} from "./nearest_city_index.ts";

self.onmessage = ({ data: job }: MessageEvent<Job>) => {
  const coordinates =
    LazyInit.from(job.coordinates, coordinatesCodec(job.cityCount)).value;
  const shared = job.index &&
    MutexLazyInit.from(job.index, indexCodec);
  const start = LazyInit.from(job.start, bool);

  self.postMessage("ready");
  start.wait();

  let built = false;
  function build() {
    built = true;
    return buildIndex(coordinates);
  }
  const startTime = performance.now();
  const index = shared ? shared.getOrInit(build) : build();
  const milliseconds = performance.now() - startTime;

  const report: Report = {
    built,
    milliseconds,
    privateBytes: index.data === job.index?.buffer ? 0 : index.data.byteLength,
    answers: job.queries.map((query) => findNearest(index, coordinates, query)),
  };
  self.postMessage(report);
};
