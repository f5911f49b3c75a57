// Copyright 2026 the lazyinit authors. MIT license.

/*
 * Takes samples of a group's subjects by turns. It runs in Deno, Node and Bun.
 */

import type { Figures, Group, Subject, Timer } from "../_suite.ts";

/** What was measured of one subject in one process: a number a round. */
export interface Samples {
  readonly name: string;
  readonly baseline: boolean;
  readonly nanoseconds: number[];
  readonly figures?: Figures;
}

/** How long a sample takes at the least, with what is done before the time counts, in ms. */
const SAMPLE_DURATION = 2.5;
/** How long a subject runs before it is measured, so that the engine compiles it, in ms. */
const COMPILATION_DURATION = 40;

class Stopwatch implements Timer {
  #begun = 0;
  #ended = 0;

  start(): void {
    this.#begun = performance.now();
  }

  end(): void {
    this.#ended = performance.now();
  }

  /** How long one run takes, as far as it counts, in ms. */
  async time({ run }: Subject): Promise<number> {
    this.#begun = performance.now();
    this.#ended = 0;
    const running = run(this);
    // A subject that is not asynchronous must not pay for a promise
    if (running !== undefined) await running;
    return (this.#ended || performance.now()) - this.#begun;
  }
}

const stopwatch = new Stopwatch();

/** Measures a number of runs, and returns how long one operation takes, in ns. */
async function sample(
  subject: Subject,
  group: Group,
  runs: number,
): Promise<number> {
  let milliseconds = 0;
  for (let i = 0; i < runs; i++) milliseconds += await stopwatch.time(subject);
  return 1e6 * milliseconds / runs / (subject.operations ?? group.operations);
}

/** How long a number of runs takes, with what is done before the time counts, in ms. */
async function duration(
  subject: Subject,
  group: Group,
  runs: number,
): Promise<number> {
  const start = performance.now();
  await sample(subject, group, runs);
  return performance.now() - start;
}

/** How many runs make a sample. */
async function runsOf(subject: Subject, group: Group): Promise<number> {
  if (group.single === true) return 1;
  for (let spent = 0; spent < COMPILATION_DURATION;) {
    spent += await duration(subject, group, 1);
  }
  for (let runs = 1;; runs *= 2) {
    // The least of some, as what else the machine does may hold one up
    const durations: number[] = [];
    for (let i = 0; i < 3; i++) {
      durations.push(await duration(subject, group, runs));
    }
    if (Math.min(...durations) >= SAMPLE_DURATION) return runs;
  }
}

/** Puts things in a random order, so that none always comes after the same one. */
function shuffle<X>(things: X[]): void {
  for (let i = things.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1));
    [things[i], things[j]] = [things[j]!, things[i]!];
  }
}

/** Measures all subjects of a group, each once a round. */
export async function measure(group: Group): Promise<Samples[]> {
  const subjects = await group.create();
  const samples = subjects.map((
    { name, baseline = false, figures },
  ): Samples => ({
    name,
    baseline,
    nanoseconds: [],
    ...(figures === undefined ? {} : { figures }),
  }));
  const runs: number[] = [];
  for (const subject of subjects) runs.push(await runsOf(subject, group));
  const { warmUpRounds, rounds } = group;
  const turns = [...subjects.keys()];
  for (let round = 0; round < warmUpRounds + rounds; round++) {
    shuffle(turns);
    for (const turn of turns) {
      const nanoseconds = await sample(subjects[turn]!, group, runs[turn]!);
      if (round >= warmUpRounds) samples[turn]!.nanoseconds.push(nanoseconds);
    }
  }
  return samples;
}
