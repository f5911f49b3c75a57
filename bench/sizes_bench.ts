// Copyright 2026 the lazyinit authors. MIT license.

/*
 * What a generous bound costs, and what a large value does to the event loop.
 */

import { MutexLazyInit, typedArray } from "../mod.ts";
import {
  expect,
  type Group,
  note,
  register,
  type Subject,
  type Suite,
  type Timer,
} from "./_suite.ts";

const MIB = 2 ** 20;
const BOUNDS = [1 / 16, 1, 1_024];
const LARGE = 512 * MIB;

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

function emptyBounds(): Subject[] {
  const before = residentMib();
  const cells = Array.from(
    { length: 100 },
    () => new MutexLazyInit(typedArray(Uint8Array)),
  );
  if (before !== undefined) {
    note(
      `${cells.length} empty bounds of 1 GiB add ${
        (residentMib()! - before).toFixed(1)
      } MiB to the resident set`,
    );
  }
  return BOUNDS.map((bound) => ({
    name: `a bound of ${sizeOf(bound)}`,
    baseline: bound === BOUNDS[0],
    run: () => createFailReset(bound),
  }));
}

/** Undefined where it may not be asked for. */
function residentMib(): number | undefined {
  try {
    return Deno.memoryUsage().rss / MIB;
  } catch {
    return undefined;
  }
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
  return [
    {
      name: "reset()",
      baseline: true,
      run: largeReset((cell) => cell.reset()),
    },
    {
      name: "resetAsync()",
      run: largeReset(async (cell) => {
        const reset = cell.resetAsync();
        const hold = await longestHold(reset);
        note(
          `resetAsync() holds the event loop for at most ${hold.toFixed(1)} ms`,
        );
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
      rounds: 60,
      warmUpRounds: 10,
      create: emptyBounds,
    }),
    group(`reset a value of ${sizeOf(LARGE / MIB)}`, "reset", {
      single: true,
      rounds: 5,
      warmUpRounds: 1,
      create: largeResets,
    }),
  ],
};

if (Deno.mainModule === import.meta.url) await register(suite);
