// Copyright 2026 the lazyinit authors. MIT license.
// deno-lint-ignore-file no-console

/*
 * A process that any runtime runs: prints the value of a cell in a SQLite file, which the
 * first of them makes of its own name.
 */

import process from "node:process";
import { ClusterLazyInit } from "../../cluster/mod.ts";
import { SqliteStore } from "../../cluster/sqlite.ts";
import { string, struct, typedArray } from "../../codec.ts";

const [path, name] = process.argv.slice(2);
const codec = struct({
  name: string(64),
  numbers: typedArray(Float64Array, 3),
});
const store = new SqliteStore(path!);
const cell = new ClusterLazyInit(store, "portable", codec, { lease: 5_000 });
const value = await cell.getOrInit(async () => {
  await new Promise((resolve) => setTimeout(resolve, 200));
  return { name: name!, numbers: Float64Array.of(1, 2, 3) };
});
console.log(JSON.stringify([value.name, ...value.numbers]));
await cell[Symbol.asyncDispose]();
await store[Symbol.asyncDispose]();
