// Copyright 2026 the lazyinit authors. MIT license.

import { assert, assertEquals } from "@std/assert";
import { KEYED_VIOLATIONS, keyedStress } from "./stress/keyed_stress.ts";
import { stress, VIOLATIONS } from "./stress/stress.ts";

Deno.test("cells and mutexes hold under stress for a short time", async () => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  const { totals, violations, hang } = await stress({
    workers: 4,
    duration: 1_000,
    // A machine that is busy may get to some things later
    limit: 60_000,
    seed,
  });
  const none = Object.fromEntries(VIOLATIONS.map((name) => [name, 0]));
  assertEquals(hang, undefined, `--seed ${seed}`);
  assertEquals(violations, { ...none, "lost counts": 0 }, `--seed ${seed}`);
  for (const [name, total] of Object.entries(totals)) {
    assert(total > 0, `There were no ${name} with --seed ${seed}`);
  }
});

Deno.test("keys of a map hold under stress for a short time, with workers that end", async () => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  const { totals, violations, hang } = await keyedStress({
    workers: 4,
    keys: 2_000,
    duration: 2_000,
    limit: 60_000,
    seed,
  });
  const none = Object.fromEntries(KEYED_VIOLATIONS.map((name) => [name, 0]));
  assertEquals(hang, undefined, `--seed ${seed}`);
  assertEquals(violations, none, `--seed ${seed}`);
  for (const [name, total] of Object.entries(totals)) {
    assert(total > 0, `There were no ${name} with --seed ${seed}`);
  }
});
