// Copyright 2026 the lazyinit authors. MIT license.

/**
 * The same server as `main.ts` in the usual way, with which the load test compares it:
 * every worker builds an index of its own, and a reload reaches one worker alone.
 *
 * ```sh
 * DENO_JOBS=4 deno serve --parallel --host 127.0.0.1 --allow-read examples/server/each.ts
 * ```
 *
 * @module
 */

import { build, type Cities } from "./cities.ts";
import { respondFrom } from "./respond.ts";

let cities: Promise<Cities> | undefined;

export default {
  fetch: respondFrom({
    read: async (reader) => reader(await (cities ??= build())),
    reload: async () => void await (cities = build()),
  }),
};
