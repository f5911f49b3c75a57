// Copyright 2026 the lazyinit authors. MIT license.

/*
 * What `deno task bench:report` writes to `results.json`, and `render.ts` shows.
 */

import type { Figures } from "../_suite.ts";

/** A median, and the quartiles around it. */
export interface Spread {
  readonly lower: number;
  readonly median: number;
  readonly upper: number;
}

/** What was measured of one subject of a group. */
export interface SubjectResult {
  readonly name: string;
  /** Of one operation, over the samples of all processes. */
  readonly nanoseconds: Spread;
  readonly samples: number;
  /**
   * How many times as long each baseline of the group takes, by its name: above 1,
   * this subject is faster. Both sides of a ratio are of the same round.
   */
  readonly timesAsFast: Readonly<Record<string, Spread>>;
  /** The largest of all processes. */
  readonly figures?: Readonly<Figures>;
}

/** What was measured side by side. */
export interface GroupResult {
  readonly suite: string;
  readonly name: string;
  /** What one operation is. */
  readonly operation: string;
  readonly subjects: readonly SubjectResult[];
}

/** What a program has measured that takes more than a process of its own. */
export interface TableResult {
  readonly suite: string;
  readonly name: string;
  readonly rows: readonly TableRow[];
}

export interface TableRow {
  readonly name: string;
  readonly figures: Readonly<Figures>;
}

/** What one run of the report has measured. */
export interface Results {
  /** When, in UTC. */
  readonly date: string;
  /** How long it took. */
  readonly seconds: number;
  readonly machine: {
    readonly processor: string;
    readonly cores: number;
    readonly memoryBytes: number;
    readonly system: string;
  };
  /** Of runtimes, compilers and peers, by their names. */
  readonly versions: Readonly<Record<string, string>>;
  /** How many processes each group was measured in, one after the other. */
  readonly processes: number;
  readonly groups: readonly GroupResult[];
  readonly tables: readonly TableResult[];
  /** What a cell takes beyond its value, in bytes of shared memory: the most, over all codecs. */
  readonly cellOverheadBytes: number;
  /** What was not measured, and why. */
  readonly skipped: readonly string[];
  /** What could not be measured to its end, with the error. */
  readonly failed: readonly string[];
}

/** Returns the quartiles of some numbers, of which there must be one. */
export function spreadOf(numbers: readonly number[]): Spread {
  const sorted = numbers.toSorted((a, b) => a - b);
  const at = (fraction: number) =>
    sorted[Math.round(fraction * (sorted.length - 1))]!;
  return { lower: at(0.25), median: at(0.5), upper: at(0.75) };
}
