// Copyright 2026 the lazyinit authors. MIT license.
// deno-lint-ignore-file no-console

/*
 * Measures in Node or Bun what depends on the engine, and prints as `measure.ts` does.
 */

import { jsonEncoding } from "../_json_encoding.ts";
import { measure } from "./sampling.ts";

console.log(JSON.stringify(await measure(jsonEncoding)));
