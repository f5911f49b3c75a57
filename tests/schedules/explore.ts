// Copyright 2026 the lazyinit authors. MIT license.

/*
 * Explores the scenarios whose names begin with one of the arguments, or all of
 * them; or, after `--replay`, runs one schedule again.
 */

import { Explorer, type Scenario } from "./explorer.ts";
import { scenarios as ofMaps } from "./map_scenarios.ts";
import { scenarios as ofCells } from "./scenarios.ts";

const MODULE = import.meta.resolve("./scenarios.ts");
const MAP_MODULE = import.meta.resolve("./map_scenarios.ts");
const scenarios = [...ofCells, ...ofMaps];

async function print(text: string): Promise<void> {
  await Deno.stdout.write(new TextEncoder().encode(text));
}

async function replay(seed: string): Promise<boolean> {
  const scenario = scenarios.find(({ name }) => seed.startsWith(`${name}:`));
  if (scenario === undefined) {
    throw new Error(`No scenario has the seed ${seed}`);
  }
  using explorer = await Explorer.start(scenario, moduleOf(scenario));
  const { trace, message } = explorer.replay(seed);
  await print(`${trace.join("\n")}\n${message}\n`);
  return true;
}

function moduleOf(scenario: Scenario): string {
  return ofMaps.includes(scenario) ? MAP_MODULE : MODULE;
}

function secondsSince(start: number): string {
  return ((performance.now() - start) / 1_000).toFixed(1);
}

async function explore(prefixes: string[]): Promise<boolean> {
  let failed = false;
  let total = 0;
  const begin = performance.now();
  for (const scenario of scenarios) {
    const { name, threads, preemptions } = scenario;
    if (
      prefixes.length > 0 && !prefixes.some((prefix) => name.startsWith(prefix))
    ) continue;
    using explorer = await Explorer.start(scenario, moduleOf(scenario));
    const start = performance.now();
    const { schedules, pruned, states, failure } = explorer.explore();
    total += schedules;
    const bound = preemptions === undefined
      ? "exhaustive"
      : `up to ${preemptions} preemptions`;
    await print(
      `${failure ? "FAILED" : "ok    "} ${
        name.padEnd(41)
      } ${threads} threads, ${bound}: ${schedules} schedules, ${pruned} cut short, ${states} states, ${
        secondsSince(start)
      } s\n`,
    );
    if (failure === undefined) continue;
    failed = true;
    await print(
      `${
        failure.trace.join("\n")
      }\n${failure.message}\nReplay with: deno task explore --replay "${failure.seed}"\n`,
    );
  }
  await print(
    `${total} schedules in ${secondsSince(begin)} s\n`,
  );
  return !failed;
}

const [first, seed] = Deno.args;
const succeeded = first === "--replay" && seed !== undefined
  ? await replay(seed)
  : await explore(Deno.args);
if (!succeeded) Deno.exit(1);
