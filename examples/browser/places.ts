// Copyright 2026 the lazyinit authors. MIT license.

/**
 * The cities by name, and coordinates as they are typed.
 *
 * @module
 */

import type { Place } from "../nearest_city_index.ts";

/** What `build.ts` makes of the npm package: a column for each fact. */
export interface CityData {
  readonly version: string;
  readonly license: string;
  /** Country, as two letters of ISO 3166, and name of each region. */
  readonly regions: readonly (readonly [country: string, name: string])[];
  readonly names: readonly string[];
  /** The positions in `regions`. */
  readonly cityRegions: readonly number[];
  readonly latitudes: readonly number[];
  readonly longitudes: readonly number[];
}

const countryNames = new Intl.DisplayNames("en", { type: "region" });
/** What has no accent to be taken away, and is still not on every keyboard. */
const SPELLINGS: Readonly<Record<string, string>> = {
  "-": " ",
  ł: "l",
  ø: "o",
  đ: "d",
  ð: "d",
  ħ: "h",
  ı: "i",
  ß: "ss",
  æ: "ae",
  œ: "oe",
  þ: "th",
};
const NUMBERS = /^[-+]?\d+(\.\d+)?\s*,\s*[-+]?\d+(\.\d+)?$/;

export class Cities {
  readonly data: CityData;
  /** The names without accents and capitals, as people type them. */
  readonly #folded: readonly string[];

  constructor(data: CityData) {
    this.data = data;
    // All in one go, as that is much faster than name by name
    this.#folded = fold(data.names.join("\n")).split("\n");
  }

  get count(): number {
    return this.data.names.length;
  }

  name(id: number): string {
    return this.data.names[id]!;
  }

  /** Returns region and country. */
  surroundings(id: number): string {
    const [code, region] = this.data.regions[this.data.cityRegions[id]!]!;
    const country = countryNames.of(code) ?? code;
    return region === "" ? country : `${region}, ${country}`;
  }

  /** Returns name, region and country, which is what {@linkcode Cities.suggest} understands. */
  label(id: number): string {
    return `${this.name(id)}, ${this.surroundings(id)}`;
  }

  place(id: number): Place {
    const { latitudes, longitudes } = this.data;
    return { latitude: latitudes[id]!, longitude: longitudes[id]! };
  }

  /**
   * Returns cities with that name, then those whose names begin with it, then those in
   * whose names a later word begins with it, shortest names first. What follows a comma
   * must be part of the region or country.
   */
  suggest(text: string, limit: number): number[] {
    const [name = "", ...rest] = fold(text).split(",").map((it) => it.trim());
    if (name === "") return [];
    const matches: { id: number; rank: number }[] = [];
    this.#folded.forEach((folded, id) => {
      const rank = rankOf(folded, name);
      if (rank === undefined) return;
      if (rest.length > 0) {
        const surroundings = fold(this.surroundings(id));
        if (!rest.every((part) => surroundings.includes(part))) return;
      }
      matches.push({ id, rank: rank + folded.length });
    });
    matches.sort((a, b) => a.rank - b.rank);
    return matches.slice(0, limit).map(({ id }) => id);
  }
}

/** Lower is better, by more than names are long. */
function rankOf(folded: string, name: string): number | undefined {
  if (folded.startsWith(name)) return 0;
  return folded.includes(` ${name}`) ? 1_000 : undefined;
}

function fold(text: string): string {
  return text.normalize("NFD").replace(/\p{M}|['’‘ʻ`]/gu, "").toLowerCase()
    .replace(/[łøđðħıßæœþ-]/g, (letter) => SPELLINGS[letter]!);
}

/** Whether a text has the form of coordinates. */
export function isCoordinates(text: string): boolean {
  return NUMBERS.test(text.trim());
}

/**
 * Returns the place that is typed as `"48.86, 2.35"`, or `undefined` if the text is
 * not of that form.
 *
 * @throws {RangeError} If there is no such place on the globe.
 */
export function parseCoordinates(text: string): Place | undefined {
  if (!isCoordinates(text)) return undefined;
  const [latitude, longitude] = text.split(",").map(Number) as [number, number];
  assertWithin("latitude", latitude, 90);
  assertWithin("longitude", longitude, 180);
  return { latitude, longitude };
}

function assertWithin(name: string, value: number, limit: number): void {
  if (Math.abs(value) <= limit) return;
  throw new RangeError(
    `The ${name} must be from -${limit} to ${limit}: current value is ${value}`,
  );
}

/** Shows a place as {@linkcode parseCoordinates} understands it. */
export function formatPlace({ latitude, longitude }: Place): string {
  return `${latitude.toFixed(2)}, ${longitude.toFixed(2)}`;
}
