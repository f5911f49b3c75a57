// Copyright 2026 the lazyinit authors. MIT license.
// This module is browser compatible.

import type { OnceState } from "./atomics.ts";

/*
 * Which initializers the code that runs now is part of.
 *
 * The owner of a cell tells a synchronous call that its own agent is initializing
 * it, and then the call can never succeed. An asynchronous call may well wait for
 * another task of its agent, unless that task waits for the call: then it is part of
 * the initializer. An asynchronous context tells that, which Deno, Node and Bun have
 * and browsers do not yet; there, and for synchronous initializers, a variable tells it
 * while the initializer is on the stack.
 */

/** A cell, as far as its initializers are concerned. */
export interface RunningCell {
  readonly kind: string;
  readonly name: string;
  readonly state: OnceState;
}

/** One run of an initializer. */
export interface Run {
  readonly cell: RunningCell;
  /**
   * The run that it is part of. One that has finished is passed over, or runs that
   * start each other would make chains without end.
   */
  outer: Run | undefined;
  /**
   * What the cell's header says of the run: in bits 0-15 which of the agent's runs it
   * is, in bits 16-31 what `_deadlock.ts` passes on.
   */
  word: number;
  finished: boolean;
  /** The runs of this agent that were begun before and after, of those that have not finished. */
  previous: Run | undefined;
  next: Run | undefined;
  /** By what `_deadlock.ts` recognizes the run as long as it waits. */
  probe: number;
  /** What the run waits for, all at once, as far as `_deadlock.ts` knows; most wait for nothing. */
  waits: Set<RunningWait> | undefined;
}

/** A wait that runs of initializers have begun. */
export interface RunningWait {
  readonly target: RunningCell;
  /** The runs that cannot go on before it ends. */
  readonly runs: readonly Run[];
  /** Ends the wait. */
  fail(error: unknown): void;
}

interface AsyncContext {
  run<R>(run: Run, body: () => R): R;
  getStore(): Run | undefined;
}

interface Builtins {
  getBuiltinModule?(
    name: "async_hooks",
  ): { AsyncLocalStorage: new () => AsyncContext };
}

/** What all copies of this module in the agent have in common. */
interface Runs {
  readonly context: AsyncContext | undefined;
  onStack: Run | undefined;
  /** The context that {@linkcode onStack} was called in: in another one it says nothing. */
  onStackWithin: Run | undefined;
  lastId: number;
  /** The end of a list in the order in which they were begun, that costs each run little. */
  lastUnfinished: Run | undefined;
}

const ID_MASK = 0xffff;

const RUNS = Symbol.for("@lazyinit/lazyinit runs");
const globals = globalThis as { [RUNS]?: Runs; process?: Builtins };
const builtins = globals.process?.getBuiltinModule?.("async_hooks");
const runs = globals[RUNS] ??= {
  context: builtins && new builtins.AsyncLocalStorage(),
  onStack: undefined,
  onStackWithin: undefined,
  lastId: 0,
  lastUnfinished: undefined,
};

/** Whether the caller is part of the initializer that this agent runs on the cell. */
export function isWithinInitializer(state: OnceState): boolean {
  if (!state.ownedByThisAgent) return false;
  // By number, as one memory may be behind several SharedArrayBuffer objects
  const id = state.run & ID_MASK;
  return currentRuns().some((run) => (run.word & ID_MASK) === id);
}

/** The runs of this agent that have not finished, all of which stand still while it blocks. */
export function unfinishedRuns(): Run[] {
  const found: Run[] = [];
  for (let run = runs.lastUnfinished; run !== undefined; run = run.previous) {
    found.push(run);
  }
  return found.reverse();
}

/** Those of them that the caller is part of, from the outermost on. */
export function currentRuns(): Run[] {
  const found: Run[] = [];
  let run = current(runs.context?.getStore());
  for (; run !== undefined; run = unfinishedFrom(run.outer)) {
    found.unshift(run);
  }
  return found;
}

/** Calls `body`, the synchronous initializer of the cell. */
export function runInitializer<R>(cell: RunningCell, body: () => R): R {
  const within = runs.context?.getStore();
  const run = begin(cell, within);
  try {
    return onStackDuring(run, within, body);
  } finally {
    finish(run);
  }
}

/** As {@linkcode runInitializer}, for an initializer that may be asynchronous. */
export async function runInitializerAsync<R>(
  cell: RunningCell,
  body: () => Promise<R>,
): Promise<R> {
  const { context } = runs;
  const run = begin(cell, context?.getStore());
  try {
    return await (context === undefined
      ? onStackDuring(run, undefined, body)
      : context.run(run, body));
  } finally {
    finish(run);
  }
}

function begin(cell: RunningCell, within: Run | undefined): Run {
  // Ids may wrap: two runs of one agent that far apart are hardly ever unfinished at once
  const word = runs.lastId = runs.lastId + 1 & ID_MASK;
  cell.state.recordRun(word);
  const previous = runs.lastUnfinished;
  const run: Run = {
    cell,
    outer: current(within),
    word,
    finished: false,
    previous,
    next: undefined,
    probe: 0,
    waits: undefined,
  };
  if (previous !== undefined) previous.next = run;
  return runs.lastUnfinished = run;
}

function finish(run: Run): void {
  run.finished = true;
  run.outer = unfinishedFrom(run.outer);
  const { previous, next } = run;
  if (previous !== undefined) previous.next = next;
  if (next !== undefined) next.previous = previous;
  else runs.lastUnfinished = previous;
  // A context may outlive the run
  run.previous = run.next = undefined;
}

/** The innermost run that the caller is part of and that has not finished. */
function current(within: Run | undefined): Run | undefined {
  // Deno may run other tasks in the middle of one, when it first loads a part of itself
  return unfinishedFrom(
    runs.onStackWithin === within ? runs.onStack ?? within : within,
  );
}

function unfinishedFrom(run: Run | undefined): Run | undefined {
  while (run?.finished) run = run.outer;
  return run;
}

function onStackDuring<R>(
  run: Run,
  within: Run | undefined,
  body: () => R,
): R {
  const { onStack, onStackWithin } = runs;
  runs.onStack = run;
  runs.onStackWithin = within;
  try {
    return body();
  } finally {
    runs.onStack = onStack;
    runs.onStackWithin = onStackWithin;
  }
}
