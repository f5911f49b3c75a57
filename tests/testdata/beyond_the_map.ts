// Copyright 2026 the lazyinit authors. MIT license.

/* Reserves memory until the process may map no more, and prints how the cell says so. */

import process from "node:process";
import { int32, LazyInit, typedArray } from "../../mod.ts";

const cells: unknown[] = [];
const codec = typedArray(Uint8Array, { maxLength: 2 ** 32 - 8 });
try {
  while (cells.length < 1_000) cells.push(new LazyInit(codec));
} catch (error) {
  // Other cells can be made still
  const answer = new LazyInit(int32).initOnce(42);
  process.stdout.write(`${error}; ${answer}\n`);
}
