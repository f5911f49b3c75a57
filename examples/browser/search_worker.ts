// Copyright 2026 the lazyinit authors. MIT license.
/// <reference lib="deno.worker" />

/**
 * A worker of the search: gets the index, or builds it for all, and answers queries.
 *
 * @module
 */

import { bool, LazyInit, MutexLazyInit } from "../../mod.ts";
import {
  buildIndex,
  coordinatesCodec,
  findNearest,
  indexCodec,
  type Place,
} from "../nearest_city_index.ts";
import type { Answer, SearchJob, SearchRequest } from "./messages.ts";
import { getOrInitReporting, report } from "./reporting.ts";

let find: (place: Place) => ReturnType<typeof findNearest>;

self.onmessage = ({ data }: MessageEvent<SearchRequest>) => {
  if ("index" in data) {
    begin(data);
    return;
  }
  const startTime = performance.now();
  const found = find(data);
  const milliseconds = performance.now() - startTime;
  self.postMessage({ found, milliseconds } satisfies Answer);
};

function begin(job: SearchJob): void {
  const coordinates =
    LazyInit.from(job.coordinates, coordinatesCodec(job.cityCount)).value;
  const cell = MutexLazyInit.from(job.index, indexCodec);
  self.postMessage("ready");
  LazyInit.from(job.start, bool).wait();

  let built = "";
  const index = getOrInitReporting(cell, () => {
    report("initializing");
    const startTime = performance.now();
    const index = buildIndex(coordinates);
    built = `, built in ${Math.round(performance.now() - startTime)} ms`;
    return index;
  });
  find = (place) => findNearest(index, coordinates, place);
  report("done", built);
}
