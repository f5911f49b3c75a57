// Copyright 2026 the lazyinit authors. MIT license.
/// <reference lib="deno.worker" />

/**
 * A worker of `cluster_process.ts`: makes the index, or answers from that of its process.
 *
 * @module
 */

import { MutexLazyInit } from "../mod.ts";
import {
  answerOf,
  citiesCodec,
  type Job,
  loadCoordinates,
  makeCities,
} from "./cluster_index.ts";

const NAIROBI = { latitude: -1.2864, longitude: 36.8172 };

self.onmessage = async ({ data: job }: MessageEvent<Job>) => {
  const { cityCount, handle } = job;
  self.postMessage(
    handle === undefined
      ? makeCities(await loadCoordinates(cityCount))
      : answerOf(
        MutexLazyInit.from(handle, citiesCodec).value,
        NAIROBI,
      ),
  );
};
