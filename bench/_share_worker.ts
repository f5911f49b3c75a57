// Copyright 2026 the lazyinit authors. MIT license.
/// <reference lib="deno.worker" />

/*
 * A worker that gets hold of an index, in one way or another, and asks it for
 * something.
 */

import Flatbush from "flatbush";
import {
  buildIndex,
  coordinatesCodec,
  indexCodec,
} from "../examples/nearest_city_index.ts";
import { LazyInit, type LazyInitHandle, MutexLazyInit } from "../mod.ts";
import { expect } from "./_suite.ts";

export type Order =
  | { kind: "read"; index: ArrayBufferLike }
  | { kind: "build"; places: number; coordinates: LazyInitHandle }
  | { kind: "attach"; places: number; index: LazyInitHandle }
  | {
    kind: "get or build";
    places: number;
    coordinates: LazyInitHandle;
    index: LazyInitHandle;
  };

function build(places: number, coordinates: LazyInitHandle): Flatbush {
  const { value } = LazyInit.from(coordinates, coordinatesCodec(places));
  return buildIndex(value as Float64Array);
}

function indexOf(order: Order): Flatbush {
  switch (order.kind) {
    case "read":
      return Flatbush.from(order.index);
    case "build":
      return build(order.places, order.coordinates);
    case "attach":
      return MutexLazyInit.from(order.index, indexCodec).value;
    case "get or build":
      return MutexLazyInit.from(order.index, indexCodec)
        .getOrInit(() => build(order.places, order.coordinates));
  }
}

self.onmessage = ({ data }: MessageEvent<Order>) => {
  const index = indexOf(data);
  const [nearest] = index.neighbors(0, 0, 1);
  expect(typeof nearest, "number");
  self.postMessage(nearest);
};
self.postMessage("ready");
