// Copyright 2026 the lazyinit authors. MIT license.

import { assert, assertEquals } from "@std/assert";
import {
  exploreAll,
  exploreRandom,
  SMALL_SCENARIOS,
} from "./cluster/explore.ts";
import { mutants } from "./cluster/mutants.ts";

const RANDOM_STEPS = 1_000_000;

for (const scenario of SMALL_SCENARIOS) {
  Deno.test(`Two processes: "${scenario.name}" holds in every schedule with one deviation, and with two early ones`, async () => {
    const one = await exploreAll(scenario, 1, 30);
    const two = await exploreAll(scenario, 2, 6);
    assert(one.schedules > 100 && two.schedules > 100);
  });
}

Deno.test("Three to five processes hold in random schedules", async () => {
  const seed = Date.now() % 1e9;
  try {
    const { steps } = await exploreRandom(seed, RANDOM_STEPS);
    assert(steps >= RANDOM_STEPS);
  } catch (error) {
    // The message of a violation names its own seed, which is at least this one
    throw new Error(`From seed ${seed} on`, { cause: error });
  }
});

Deno.test("Every mutant of the cluster replaces text that stands once in its file", async () => {
  for (const { name, file, from } of mutants) {
    const source = await Deno.readTextFile(
      new URL(`../${file}`, import.meta.url),
    );
    assertEquals(source.split(from).length, 2, name);
  }
});
