// Copyright 2026 the lazyinit authors. MIT license.

/* Prints the default bounds of open codecs where shared memory cannot grow. */

import process from "node:process";

Reflect.deleteProperty(SharedArrayBuffer.prototype, "grow");

const { json, string, typedArray } = await import("../../codec.ts");
const bounds = [string(), json(), typedArray(Float64Array)]
  .map(({ tag, byteLength }) => [tag, byteLength]);
process.stdout.write(JSON.stringify(Object.fromEntries(bounds)));
