// Copyright 2026 the lazyinit authors. MIT license.
// deno-lint-ignore-file no-console

/*
 * A process of Node whose database is that of npm's `@deno/kv`, from a module whose URL is
 * given: prints the value of a cell, which the first process makes of its own name, and why
 * the database refuses a value that is too large.
 */

import process from "node:process";
import { type DenoKv, DenoKvStore } from "../../cluster/deno_kv.ts";
import { ClusterLazyInit } from "../../cluster/mod.ts";
import { json } from "../../codec.ts";

const [module, path, name] = process.argv.slice(2);
const { openKv }: {
  openKv(path: string): Promise<DenoKv & { close(): void }>;
} = await import(module!);
const kv = await openKv(path!);
const store = new DenoKvStore(kv);
const cell = new ClusterLazyInit(store, "node", json<string>(40_000), {
  lease: 5_000,
});
console.log(
  await cell.getOrInit(async () => {
    await new Promise((resolve) => setTimeout(resolve, 200));
    return name!;
  }),
);
// One that this process itself makes, with a watch of its own
const own = new ClusterLazyInit(store, name!, json<string>(40_000));
await own.getOrInit(() => name!);
await own[Symbol.asyncDispose]();
await cell[Symbol.asyncDispose]();
await store.set("large", new Uint8Array(70_000), 0n)
  .catch((error) => console.log(`${error.name}: ${error.message}`));
await store[Symbol.asyncDispose]();
kv.close();
