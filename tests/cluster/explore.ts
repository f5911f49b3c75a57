// Copyright 2026 the lazyinit authors. MIT license.

import {
  type Call,
  type CallKind,
  type Chooser,
  type Scenario,
  World,
} from "./world.ts";

/** What came of many schedules. */
export interface Explored {
  readonly schedules: number;
  readonly steps: number;
}

/** Tells which schedule shows a violation, and how to see it again. */
export class ScheduleError extends Error {
  override readonly name = "ScheduleError";
}

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = state + 0x6d2b79f5 | 0;
    let mixed = Math.imul(state ^ state >>> 15, 1 | state);
    mixed = mixed + Math.imul(mixed ^ mixed >>> 7, 61 | mixed) ^ mixed;
    return ((mixed ^ mixed >>> 14) >>> 0) / 2 ** 32;
  };
}

/** Chooses by weight. */
class RandomChooser implements Chooser {
  readonly random: () => number;

  constructor(random: () => number) {
    this.random = random;
  }

  choose(weights: readonly number[]): number {
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    let left = this.random() * total;
    const index = weights.findIndex((weight) => (left -= weight) < 0);
    return index === -1 ? weights.length - 1 : index;
  }
}

/** What a fair world would do, but for some steps. */
class DeviatingChooser implements Chooser {
  readonly #deviations: ReadonlyMap<number, number>;
  /** How much there was to choose from at each step. */
  readonly widths: number[] = [];

  constructor(deviations: ReadonlyMap<number, number>) {
    this.#deviations = deviations;
  }

  choose(weights: readonly number[]): number {
    const chosen = this.#deviations.get(this.widths.length) ?? 0;
    this.widths.push(weights.length);
    return chosen;
  }

  random(): number {
    return 0;
  }
}

async function run(world: World, how: string): Promise<number> {
  try {
    await world.run();
    return world.steps;
  } catch (error) {
    throw new ScheduleError(
      `${how}: ${error instanceof Error ? error.message : error}\n${
        world.trace.join("\n")
      }`,
      { cause: error },
    );
  }
}

/**
 * Runs every schedule that differs from a fair one in at most so many of the first
 * `horizon` steps.
 */
export async function exploreAll(
  small: Scenario,
  maxDeviations: number,
  horizon: number,
): Promise<Explored> {
  const scenario = { ...small, horizon };
  let schedules = 0;
  let steps = 0;
  const open: (readonly (readonly [number, number])[])[] = [[]];
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    const chooser = new DeviatingChooser(new Map(path));
    steps += await run(
      new World(scenario, chooser),
      `${scenario.name} ${JSON.stringify(path)}`,
    );
    schedules++;
    if (path.length === maxDeviations) continue;
    const first = (path.at(-1)?.[0] ?? -1) + 1;
    for (let step = first; step < chooser.widths.length; step++) {
      for (let choice = 1; choice < chooser.widths[step]!; choice++) {
        open.push([...path, [step, choice]]);
      }
    }
  }
  return { schedules, steps };
}

const KINDS: readonly CallKind[] = [
  "getOrInit",
  "getOrInit",
  "getOrInit",
  "init",
  "tryInit",
  "wait",
  "reset",
  "reset",
  "refresh",
  "refresh",
  "leave",
];
const DURATIONS: readonly number[] = [0, 0.1, 0.9, 1.5, 3];
const HORIZON = 300;

function randomScenario(seed: number, random: () => number): Scenario {
  const pick = <T>(from: readonly T[]) =>
    from[Math.floor(random() * from.length)]!;
  const processes = pick([3, 3, 4, 5]);
  const scripts = Array.from({ length: processes }, () => {
    const calls: Call[] = Array.from(
      { length: 1 + Math.floor(random() * 4) },
      () => ({
        kind: pick(KINDS),
        duration: pick(DURATIONS),
        fails: random() < 0.2,
      }),
    );
    if (random() < 0.05) calls.push({ kind: "dispose" });
    return calls;
  });
  return {
    name: `seed ${seed}`,
    scripts,
    faults: pick([0, 2, 10, 40]),
    horizon: Math.floor(random() * HORIZON),
    deaf: random() < 0.2,
  };
}

/** Runs one random schedule of a random scenario. */
export async function exploreSeed(seed: number): Promise<number> {
  const random = generator(seed);
  const world = new World(
    randomScenario(seed, random),
    new RandomChooser(random),
  );
  return await run(world, `Seed ${seed}`);
}

/** Runs random schedules from a seed on, until there were so many steps. */
export async function exploreRandom(
  seed: number,
  minSteps: number,
): Promise<Explored> {
  let steps = 0;
  let schedules = 0;
  for (; steps < minSteps; schedules++) {
    steps += await exploreSeed(seed + schedules);
  }
  return { schedules, steps };
}

/** Two processes, for every schedule with few deviations. */
export const SMALL_SCENARIOS: readonly Scenario[] = [
  {
    name: "two race",
    scripts: [[{ kind: "getOrInit" }], [{ kind: "getOrInit" }]],
  },
  {
    name: "two race for long",
    scripts: [
      [{ kind: "getOrInit", duration: 1.5 }],
      [{ kind: "init", duration: 0.5 }],
    ],
  },
  {
    name: "one fails",
    scripts: [
      [{ kind: "tryInit", fails: true }],
      [{ kind: "getOrInit" }],
    ],
  },
  {
    name: "reset and refresh",
    scripts: [
      [{ kind: "getOrInit" }, { kind: "reset" }],
      [{ kind: "getOrInit" }, { kind: "refresh" }],
    ],
  },
  {
    name: "two reset",
    scripts: [
      [{ kind: "getOrInit" }, { kind: "reset" }],
      [{ kind: "wait" }, { kind: "reset" }, { kind: "init" }],
    ],
  },
  {
    name: "deaf",
    scripts: [[{ kind: "getOrInit" }], [{ kind: "wait" }]],
    deaf: true,
  },
].map((scenario) => ({
  faults: 3,
  horizon: 0,
  ...scenario,
} as Scenario));
