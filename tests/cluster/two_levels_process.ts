// Copyright 2026 the lazyinit authors. MIT license.
// deno-lint-ignore-file no-console

/*
 * Runs the recipe `two_levels.ts`, and resets the cluster's cell as another process would.
 * Prints the two values that the shared memory of this process holds one after the other.
 */

import { json, MutexLazyInit } from "../../mod.ts";
import { follow, renew, share } from "../../examples/recipes/two_levels.ts";

let loads = 0;
// The second fails, which must not end the process
const load = () =>
  ++loads === 2
    ? Promise.reject(new Error("No rates"))
    : Promise.resolve({ euro: loads });
const codec = json<{ [currency: string]: number }>(4096);
const worker = MutexLazyInit.from(await share(load), codec);
follow(load, new AbortController().signal);
console.log(worker.value.euro);
await renew();
while (worker.get()?.euro !== 3) {
  await new Promise((resolve) => setTimeout(resolve, 10));
}
console.log(worker.value.euro);
Deno.exit();
