// Copyright 2026 the lazyinit authors. MIT license.
// This module is browser compatible.

/*
 * Which initializers the code that runs now is part of.
 *
 * The owner word tells a synchronous call that its own agent is initializing the
 * cell, and then it can never succeed. An asynchronous call may well wait for another
 * task of its agent, unless that task waits for the call: then it is part of the
 * initializer. While the initializer is on the stack, a variable tells that; after
 * its first await only an asynchronous context does, which Deno, Node and Bun have
 * and browsers do not yet.
 */

/** One run of an initializer, and the run that it is part of. */
interface Run {
  readonly buffer: SharedArrayBuffer;
  readonly byteOffset: number;
  readonly outer: Run | undefined;
  /** Work that outlives an asynchronous initializer is no longer part of it. */
  finished: boolean;
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

const builtins = (globalThis as { process?: Builtins }).process
  ?.getBuiltinModule?.("async_hooks");
const context = builtins && new builtins.AsyncLocalStorage();

let onStack: Run | undefined;

function current(): Run | undefined {
  return onStack ?? context?.getStore();
}

/** Whether the caller is part of an initializer of the cell there. */
export function isWithinInitializer(
  buffer: SharedArrayBuffer,
  byteOffset: number,
): boolean {
  for (let run = current(); run !== undefined; run = run.outer) {
    if (
      !run.finished && run.buffer === buffer && run.byteOffset === byteOffset
    ) return true;
  }
  return false;
}

/** Calls `body`, the synchronous initializer of the cell there. */
export function runInitializer<R>(
  buffer: SharedArrayBuffer,
  byteOffset: number,
  body: () => R,
): R {
  return onStackDuring(begin(buffer, byteOffset), body);
}

/** As {@linkcode runInitializer}, for an initializer that may be asynchronous. */
export async function runInitializerAsync<R>(
  buffer: SharedArrayBuffer,
  byteOffset: number,
  body: () => Promise<R>,
): Promise<R> {
  const run = begin(buffer, byteOffset);
  try {
    return await onStackDuring(
      run,
      () => context === undefined ? body() : context.run(run, body),
    );
  } finally {
    run.finished = true;
  }
}

function begin(buffer: SharedArrayBuffer, byteOffset: number): Run {
  return { buffer, byteOffset, outer: current(), finished: false };
}

function onStackDuring<R>(run: Run, body: () => R): R {
  const outer = onStack;
  onStack = run;
  try {
    return body();
  } finally {
    onStack = outer;
  }
}
