// Copyright 2026 the lazyinit authors. MIT license.

/*
 * Simulates clusters: `deno task simulate [seed [steps]]`. With `--quick` before these it
 * runs less of the schedules that are not random, with `--replay SEED` that schedule alone.
 */

import {
  exploreAll,
  exploreRandom,
  exploreSeed,
  ScheduleError,
  SMALL_SCENARIOS,
} from "./explore.ts";

const DEFAULT_STEPS = 10_000_000;
/** How many deviations within how many steps. */
const QUICK = [1, 30] as const;
const THOROUGH = [2, 20] as const;

async function print(text: string): Promise<void> {
  await Deno.stdout.write(new TextEncoder().encode(`${text}\n`));
}

async function simulate(
  [seed = String(Date.now() % 1e9), steps]: readonly string[],
  [deviations, horizon]: readonly [number, number],
): Promise<void> {
  await print(`Seed ${seed}`);
  for (const scenario of SMALL_SCENARIOS) {
    const { schedules, steps } = await exploreAll(
      scenario,
      deviations,
      horizon,
    );
    await print(`${scenario.name}: ${schedules} schedules, ${steps} steps`);
  }
  const random = await exploreRandom(
    Number(seed),
    Number(steps ?? DEFAULT_STEPS),
  );
  await print(`random: ${random.schedules} schedules, ${random.steps} steps`);
}

const [option, ...rest] = Deno.args;
try {
  if (option === "--replay") {
    await print(`${await exploreSeed(Number(rest[0]))} steps`);
  } else if (option === "--quick") await simulate(rest, QUICK);
  else await simulate(Deno.args, THOROUGH);
} catch (error) {
  if (!(error instanceof ScheduleError)) throw error;
  await print(`FAILED ${error.message}`);
  Deno.exit(1);
}
