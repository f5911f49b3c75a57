// Copyright 2026 the lazyinit authors. MIT license.
// This module is browser compatible.

import { drawNonce, thisAgent, whenFrameEnds } from "./_agent.ts";
import { type AsyncContext, builtinModule, sharedByThread } from "./_thread.ts";
import type { Phase } from "./atomics.ts";

/*
 * Word 3 of a cell's header: which initializers the running code is part of.
 *
 * From the owner's id, a synchronous call learns whether its own agent is initializing the
 * cell. If so, the call can never succeed. An asynchronous call may wait for another task
 * of its agent, unless the call is part of the initializer that this task runs: then each
 * would wait for the other. In Deno, Node and Bun, an asynchronous context shows that.
 * Browsers have no such context yet. There, and for synchronous initializers, a variable
 * shows it while the initializer is on the stack. A call therefore asks once, when it
 * begins.
 *
 * The word holds the id of the run, which only the agent that owns the cell reads: one
 * agent may have several objects for the cell, and several buffers for its memory.
 */

/** A cell, as far as its initializers are concerned. */
export interface RunningCell {
  /** How errors refer to the cell. */
  readonly label: string;
  readonly name: string;
  readonly words: Int32Array;
  /** Where the header begins, in words. */
  readonly index: number;
  readonly phase: Phase;
  readonly ownedByThisAgent: boolean;
  /** Whether this agent owns the cell in that generation. */
  owns(generation: number): boolean;
  /** Takes the cell from an agent that has ended. */
  recover(agentId: number): boolean;
}

const RUN_WORD = 3;
/** See `_deadlock.ts`. */
export const PROBE_WORD = 4;

/**
 * One run of an initializer.
 *
 * It has finished when its cell has been published, rolled back or lost. Setting
 * {@linkcode Run.finished} is enough then: {@linkcode finishRun} only tidies up earlier.
 */
export class Run {
  /** What the header of its cell says; no two unfinished runs of an agent have the same. */
  readonly id: number;
  /** The generation in which its agent owns the cell. */
  readonly generation: number;
  /** Taken from a run that has finished, as an asynchronous context may outlive it. */
  cell: RunningCell | undefined;
  /** The run that it is part of; one that has finished is passed over. */
  outer: Run | undefined;
  finished = false;
  /** The runs of this agent that were begun before and after it and have not finished. */
  previous: Run | undefined;
  next: Run | undefined = undefined;

  constructor(
    cell: RunningCell,
    generation: number,
    outer: Run | undefined,
    previous: Run | undefined,
  ) {
    this.id = drawNonce();
    this.generation = generation;
    this.cell = cell;
    this.outer = outer;
    this.previous = previous;
  }
}

/** What all copies of this package in the thread know of its runs. */
interface Runs {
  onStack: Run | undefined;
  /** The context that {@linkcode onStack} was called in: in another one it says nothing. */
  onStackWithin: Run | undefined;
  /** The last of a linked list in the order in which the runs began; it costs each run little. */
  lastUnfinished: Run | undefined;
  /** Made for the first asynchronous initializer; `null` where there is none. */
  context: AsyncContext<Run> | null | undefined;
}

const runs = sharedByThread<Runs>("runs", () => ({
  onStack: undefined,
  onStackWithin: undefined,
  lastUnfinished: undefined,
  context: undefined,
}));

whenFrameEnds(() => {
  for (const run of unfinishedRuns()) {
    // The class is that of this copy of the package: other frames of the agent go on
    if (!(run instanceof Run)) continue;
    if (isRunOf(run, run.cell!)) run.cell!.recover(thisAgent);
    finishRun(run);
  }
});

/**
 * Begins the run of an initializer on a cell that this agent owns in that generation. A
 * call that has waited passes the run that it is part of, which it took when it began.
 */
export function beginRun(
  cell: RunningCell,
  generation: number,
  outer?: Run,
): Run {
  const { words, index } = cell;
  const previous = lastUnfinished();
  const run = new Run(
    cell,
    generation,
    unfinishedFrom(outer) ?? (previous && current()),
    previous,
  );
  // Plain, as only the owner reads it
  words[index + RUN_WORD] = run.id;
  // Plain, as it is 0 unless an agent that lost the cell has left something behind
  if (words[index + PROBE_WORD] !== 0) {
    // Pairs with the CAS of show() in `_deadlock.ts`
    Atomics.store(words, index + PROBE_WORD, 0);
  }
  // No call may fail from here on, as the caller would not have the run
  if (previous !== undefined) previous.next = run;
  return runs.lastUnfinished = run;
}

/** Ends a run, after its cell was published, rolled back or lost. Calls nothing. */
export function finishRun(run: Run): void {
  run.finished = true;
  const { previous, next } = run;
  if (previous !== undefined) previous.next = next;
  if (next !== undefined) next.previous = previous;
  if (runs.lastUnfinished === run) runs.lastUnfinished = previous;
  run.cell = run.previous = run.next = undefined;
  // Or runs that start each other would make chains without end
  while (run.outer?.finished) run.outer = run.outer.outer;
}

/** Calls `body`, a synchronous part of the run. */
export function within<R>(run: Run, body: () => R): R {
  const { onStack, onStackWithin } = runs;
  // The context says nothing if the run is the only one
  const context = run.previous && currentContext();
  try {
    runs.onStack = run;
    runs.onStackWithin = context;
    return body();
  } finally {
    runs.onStack = onStack;
    runs.onStackWithin = onStackWithin;
  }
}

/** As {@linkcode within}, for a part that goes on asynchronously. */
export function withinAsync<R>(run: Run, body: () => R): R {
  runs.context ??= createContext();
  return runs.context === null
    ? within(run, body)
    : runs.context.run(run, body);
}

function createContext(): AsyncContext<Run> | null {
  const hooks = builtinModule("node:async_hooks");
  return hooks === undefined ? null : new hooks.AsyncLocalStorage();
}

/** The runs of this agent that the caller is part of, from the outermost on. */
export function currentRuns(): readonly Run[] {
  const found: Run[] = [];
  let run = current();
  for (; run !== undefined; run = unfinishedFrom(run.outer)) found.push(run);
  return found.reverse();
}

/** The runs of this agent that have not finished, all of which stand still while it blocks. */
export function unfinishedRuns(): readonly Run[] {
  const found: Run[] = [];
  let run = runs.lastUnfinished;
  while (run !== undefined) {
    const { previous } = run;
    if (run.finished) finishRun(run);
    else found.push(run);
    run = previous;
  }
  return found.reverse();
}

/** Whether one of the runs is that of the initializer that this agent runs on the cell. */
export function isWithin(cell: RunningCell, runs: readonly Run[]): boolean {
  return runs.some((run) => isRunOf(run, cell));
}

/** Whether it is the run of the initializer that this agent runs on the cell. */
export function isRunOf(run: Run, cell: RunningCell): boolean {
  return !run.finished && cell.owns(run.generation) && run.id === runIdOf(cell);
}

/** The id of the run of the initializer on the cell, which this agent must own. */
export function runIdOf({ words, index }: RunningCell): number {
  return words[index + RUN_WORD]!;
}

function lastUnfinished(): Run | undefined {
  while (runs.lastUnfinished?.finished) finishRun(runs.lastUnfinished);
  return runs.lastUnfinished;
}

/** The innermost run that the caller is part of. */
function current(): Run | undefined {
  const context = currentContext();
  // Deno may run other tasks in the middle of one, when it first loads a part of itself
  return unfinishedFrom(runs.onStackWithin) === context
    ? unfinishedFrom(runs.onStack) ?? context
    : context;
}

/** The innermost run whose asynchronous context the caller is in. */
function currentContext(): Run | undefined {
  return unfinishedFrom(runs.context?.getStore());
}

function unfinishedFrom(run: Run | undefined): Run | undefined {
  while (run?.finished) run = run.outer;
  return run;
}
