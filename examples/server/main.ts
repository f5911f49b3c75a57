// Copyright 2026 the lazyinit authors. MIT license.

/**
 * Answers which cities are nearest to a place, in several workers, with one index for
 * all of them: the first worker that needs it builds it.
 *
 * ```sh
 * DENO_JOBS=4 deno serve --parallel --host 127.0.0.1 --allow-read examples/server/main.ts
 * curl "http://127.0.0.1:8000/nearest?lat=48.86&lng=2.35"
 * curl --request POST http://127.0.0.1:8000/reload
 * ```
 *
 * @module
 */

import { MutexLazyInit } from "../../mod.ts";
import { build, type Cities, cities } from "./cities.ts";
import { respondFrom } from "./respond.ts";

// No code could post a handle to the workers of `deno serve`
const cell = await MutexLazyInit.open<Cities>("cities", cities);

// A name that is held keeps Deno alive, beyond the end of the server
Deno.addSignalListener("SIGTERM", () => cell[Symbol.dispose]());

/** Reads the cities beside a reload, and again after one that comes in between. */
async function read<R>(reader: (cities: Cities) => R): Promise<R> {
  for (;;) {
    const result = cell.read((value) => ({ of: reader(value) }));
    if (result !== undefined) return result.of;
    await cell.getOrInitAsync(build);
  }
}

/** Requests that come meanwhile wait for the new index. */
async function reload(): Promise<void> {
  await cell.resetAsync();
  await cell.getOrInitAsync(build);
}

export default { fetch: respondFrom({ read, reload }) };
