// Copyright 2026 the lazyinit authors. MIT license.

/*
 * What a benchmark is made of, so that `deno bench` and the report run the same.
 */

/** Tells which part of a run counts; all of it, if it is not used. */
export interface Timer {
  start(): void;
  end(): void;
}

/** What is measured of a subject beside its time: numbers, by what they are and their unit. */
export type Figures = Record<string, number>;

/** One of several ways to do the same. */
export interface Subject {
  readonly name: string;
  /** Whether the others are compared with it. */
  readonly baseline?: boolean;
  /** How many operations one run carries out, if not as many as the group says. */
  readonly operations?: number;
  /** Filled by its runs. */
  readonly figures?: Figures;
  run(timer: Timer): void | Promise<void>;
}

/** What is measured side by side. */
export interface Group {
  readonly name: string;
  /** What one operation is. */
  readonly operation: string;
  readonly operations: number;
  /** Whether a sample is one run, whose single duration matters. */
  readonly single?: boolean;
  /** How many samples the report takes of each subject in one process. */
  readonly rounds: number;
  /** How many it takes before, and drops. */
  readonly warmUpRounds: number;
  /** Makes what the subjects use; those whose peers are missing here are left out. */
  create(): Subject[] | Promise<Subject[]>;
}

/** The groups of one file. */
export interface Suite {
  readonly name: string;
  readonly groups: readonly Group[];
}

/** Groups with fewer rounds are of long runs. */
const MANY_ROUNDS = 20;

/**
 * Has `deno bench` run a suite. A suite calls it if `Deno.mainModule` is its own, not
 * for the report, which imports it; `deno bench` leaves `import.meta.main` false.
 */
export async function register({ groups }: Suite): Promise<void> {
  for (const group of groups) {
    const { name, operations, rounds, warmUpRounds } = group;
    const subjects = await group.create();
    const first = subjects.find(({ baseline }) => baseline === true);
    for (const subject of subjects) {
      Deno.bench({
        name: subject.name,
        group: operations === 1
          ? name
          : `${name}, ${operations.toLocaleString("en")} times`,
        baseline: subject === first,
        // `deno bench` would take many more of runs that are long
        ...(rounds < MANY_ROUNDS ? { n: rounds, warmup: warmUpRounds } : {}),
        // Itself, as functions around it would not be awaited
        fn: subject.run,
      });
    }
  }
}

/** Room for a cell in a buffer that has more of them. */
export interface Place {
  readonly buffer: SharedArrayBuffer;
  readonly byteOffset: number;
}

/** Throws unless a subject has done its work. */
export function expect(found: unknown, expected: unknown): void {
  if (found !== expected) {
    throw new Error(`The result must be ${expected}: it is ${found}`);
  }
}

/** Where subjects leave what they have read, so that the engine cannot leave it out. */
export let sink: unknown;

export function consume(value: unknown): void {
  sink = value;
}

/** Says what is not measured. */
export function note(text: string): void {
  Deno.stderr.writeSync(new TextEncoder().encode(`${text}\n`));
}
