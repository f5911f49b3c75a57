// Copyright 2026 the lazyinit authors. MIT license.

/**
 * What `nearest_city.ts` and its workers share: the index of all cities, its
 * layout in shared memory, and the messages.
 *
 * @module
 */

import Flatbush from "flatbush";
import { around, distance } from "geoflatbush";
import { type Codec, type LazyInitHandle, typedArray } from "../mod.ts";

/** How many of the nearest cities an answer names. */
const CITIES_PER_ANSWER = 3;

/** How many boxes a node of the tree holds; Flatbush's default. */
const NODE_SIZE = 16;

/** A place on the globe, in degrees. */
export interface Place {
  readonly latitude: number;
  readonly longitude: number;
}

/** A city that was found. */
export interface Found {
  /** The position of the city in the data set. */
  readonly id: number;
  readonly kilometers: number;
}

/** What the main thread asks of a worker. */
export interface Job {
  readonly cityCount: number;
  readonly coordinates: LazyInitHandle;
  /** The cell that is initialized to start all workers at once. */
  readonly start: LazyInitHandle;
  /** The cell of the index; without it, the worker builds an index of its own. */
  readonly index?: LazyInitHandle;
  readonly queries: readonly Place[];
}

/** What a worker sends when it is done, having sent `"ready"` before. */
export interface Report {
  /** Whether this worker built the index that it used. */
  readonly built: boolean;
  /** From the start to having the index, in ms. */
  readonly milliseconds: number;
  /** Index memory that no other worker uses, in bytes. */
  readonly privateBytes: number;
  /** The nearest cities, for each query. */
  readonly answers: readonly (readonly Found[])[];
}

/** Longitude and latitude of every city, one after the other. */
export function coordinatesCodec(cityCount: number): Codec<Float64Array> {
  return typedArray(Float64Array, 2 * cityCount);
}

/** An index of any number of cities, which every agent reads where it lies. */
export const indexCodec: Codec<Flatbush> = {
  tag: "flatbush",
  open: true,
  // The most that an index may take; what is not used costs nothing
  byteLength: 2 ** 30,
  encode(index, slot) {
    const bytes = new Uint8Array(index.data, index.byteOffset);
    const { buffer, byteOffset } = slot.resize(bytes.length);
    new Uint8Array(buffer, byteOffset).set(bytes);
  },
  decode(slot) {
    return Flatbush.from(slot.buffer, slot.byteOffset);
  },
};

/** The work that is worth sharing. */
export function buildIndex(coordinates: Float64Array): Flatbush {
  const index = new Flatbush(coordinates.length / 2, NODE_SIZE);
  for (let i = 0; i < coordinates.length; i += 2) {
    index.add(coordinates[i]!, coordinates[i + 1]!);
  }
  index.finish();
  return index;
}

/** Returns the cities nearest to a place, the nearest first. */
export function findNearest(
  index: Flatbush,
  coordinates: Float64Array,
  { latitude, longitude }: Place,
): Found[] {
  return around(index, longitude, latitude, CITIES_PER_ANSWER).map((id) => ({
    id,
    kilometers: distance(
      longitude,
      latitude,
      coordinates[2 * id]!,
      coordinates[2 * id + 1]!,
    ),
  }));
}
