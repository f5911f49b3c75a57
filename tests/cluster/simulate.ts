// Copyright 2026 the lazyinit authors. MIT license.

/*
 * Simulates clusters: `deno task simulate [seed [steps]]`. With `--replay SEED` runs that
 * schedule alone.
 */

import {
  exploreAll,
  exploreRandom,
  exploreSeed,
  ScheduleError,
  SMALL_SCENARIOS,
} from "./explore.ts";

async function print(text: string): Promise<void> {
  await Deno.stdout.write(new TextEncoder().encode(`${text}\n`));
}

const DEFAULT_STEPS = 10_000_000;
const [first, second] = Deno.args;
try {
  if (first === "--replay") {
    await print(`${await exploreSeed(Number(second))} steps`);
  } else {
    const seed = Number(first ?? Date.now() % 1e9);
    await print(`Seed ${seed}`);
    for (const scenario of SMALL_SCENARIOS) {
      const { schedules, steps } = await exploreAll(scenario, 2, 30);
      await print(`${scenario.name}: ${schedules} schedules, ${steps} steps`);
    }
    const { schedules, steps } = await exploreRandom(
      seed,
      Number(second ?? DEFAULT_STEPS),
    );
    await print(`random: ${schedules} schedules, ${steps} steps`);
  }
} catch (error) {
  if (!(error instanceof ScheduleError)) throw error;
  await print(error.message);
  Deno.exit(1);
}
