// Copyright 2026 the lazyinit authors. MIT license.

/*
 * What a generous bound costs, and what a large value does to the event loop.
 */

import { MutexLazyInit, typedArray } from "../mod.ts";
import { jsonEncoding } from "./_json_encoding.ts";
import {
  expect,
  type Figures,
  type Group,
  register,
  type Subject,
  type Suite,
  type Timer,
} from "./_suite.ts";

const MIB = 2 ** 20;
const BOUNDS = [1 / 16, 1, 1_024];
const LARGE = 512 * MIB;
const EMPTY_CELLS = 500;
/** The name of a figure. */
const HOLD = "longest hold of the event loop, ms";

function sizeOf(bound: number): string {
  if (bound >= 1_024) return `${bound / 1_024} GiB`;
  return bound >= 1 ? `${bound} MiB` : `${bound * 1_024} KiB`;
}

/** Creates a cell whose value may take that much, has its initializer fail, and resets it. */
function createFailReset(bound: number): void {
  const cell = new MutexLazyInit(
    typedArray(Uint8Array, { maxLength: bound * MIB }),
  );
  const result = cell.tryInit((_slot, allocate) => {
    allocate(1);
    throw new Error("On purpose");
  });
  expect(result.ok, false);
  expect(cell.reset(), false);
}

/** What many empty cells add to the resident set, for each of them. */
function residentBytes(): Figures {
  const before = Deno.memoryUsage().rss;
  const cells = Array.from(
    { length: EMPTY_CELLS },
    () => new MutexLazyInit(typedArray(Uint8Array)),
  );
  const after = Deno.memoryUsage().rss;
  const kibibytes = Math.max(0, after - before) / 2 ** 10 / cells.length;
  return { "resident memory of an empty cell, KiB": kibibytes };
}

function emptyBounds(): Subject[] {
  // So that what the engine compiles is not counted
  for (const bound of BOUNDS) createFailReset(bound);
  return BOUNDS.map((bound) => ({
    name: `a bound of ${sizeOf(bound)}`,
    baseline: bound === BOUNDS[0],
    ...(bound === BOUNDS.at(-1) ? { figures: residentBytes() } : {}),
    run: () => createFailReset(bound),
  }));
}

function largeReset(
  reset: (cell: MutexLazyInit<Uint8Array>) => boolean | Promise<boolean>,
): Subject["run"] {
  const codec = typedArray(Uint8Array);
  const cell = new MutexLazyInit(codec);
  return async (timer: Timer) => {
    cell.init((_slot, allocate) => allocate(LARGE).fill(1));
    timer.start();
    expect(await reset(cell), true);
    timer.end();
  };
}

/** Resolves with the longest time for which no timer went off while a promise was pending. */
async function longestHold(pending: Promise<unknown>): Promise<number> {
  let isOver = false;
  pending.finally(() => isOver = true);
  let longest = 0;
  for (let before = performance.now(); !isOver;) {
    await new Promise((resolve) => setTimeout(resolve));
    const now = performance.now();
    longest = Math.max(longest, now - before);
    before = now;
  }
  return longest;
}

function largeResets(): Subject[] {
  const figures = { [HOLD]: 0 };
  return [
    {
      name: "reset()",
      baseline: true,
      run: largeReset((cell) => cell.reset()),
    },
    {
      name: "resetAsync()",
      figures,
      run: largeReset(async (cell) => {
        const reset = cell.resetAsync();
        figures[HOLD] = Math.max(figures[HOLD]!, await longestHold(reset));
        return await reset;
      }),
    },
  ];
}

function group(
  name: string,
  operation: string,
  rest: Pick<Group, "rounds" | "warmUpRounds" | "create"> & {
    single?: boolean;
  },
): Group {
  return { name, operation, operations: 1, ...rest };
}

export const suite: Suite = {
  name: "sizes",
  groups: [
    group("create, fail and reset an empty cell", "cell", {
      // Few, as a process may have some 30,000 such cells that are not collected yet
      single: true,
      rounds: 200,
      warmUpRounds: 20,
      create: emptyBounds,
    }),
    group(`reset a value of ${sizeOf(LARGE / MIB)}`, "reset", {
      single: true,
      rounds: 5,
      warmUpRounds: 1,
      create: largeResets,
    }),
    jsonEncoding,
  ],
};

if (Deno.mainModule === import.meta.url) await register(suite);
