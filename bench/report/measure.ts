// Copyright 2026 the lazyinit authors. MIT license.

/*
 * Measures one group, named by its suite and its own name, and prints the samples of
 * each subject as JSON, in nanoseconds an operation. A process of its own for each
 * group keeps what the engine has learnt from one group out of the others.
 */

import { suite as acrossThreads } from "../across_threads_bench.ts";
import { suite as cluster } from "../cluster_bench.ts";
import { suite as firstUse } from "../first_use_bench.ts";
import { suite as map } from "../map_bench.ts";
import { suite as readPath } from "../read_path_bench.ts";
import { suite as scale } from "../scale_bench.ts";
import { suite as sizes } from "../sizes_bench.ts";
import type { Suite } from "../_suite.ts";
import { measure } from "./sampling.ts";

export const suites: readonly Suite[] = [
  readPath,
  firstUse,
  acrossThreads,
  map,
  cluster,
  scale,
  sizes,
];

if (import.meta.main) {
  const [suiteName, groupName] = Deno.args;
  const group = suites.find(({ name }) => name === suiteName)?.groups
    .find(({ name }) => name === groupName);
  if (group === undefined) {
    throw new RangeError(
      `Cannot measure the group as it must be one of a suite: current value is ${suiteName}, ${groupName}`,
    );
  }
  const samples = await measure(group);
  Deno.stdout.writeSync(new TextEncoder().encode(JSON.stringify(samples)));
  // Ends the workers, too, which sleep
  Deno.exit();
}
