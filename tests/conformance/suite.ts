// Copyright 2026 the lazyinit authors. MIT license.

/*
 * The same behaviour across threads on every runtime. A case is two plain functions:
 * `main` runs on the main thread, `peer` in each worker that `main` starts. Nothing
 * here knows the runtime but by the adapter.
 */

import { Sleepers } from "../_sleepers.ts";
import { cases as ends, type Fates } from "./ends.ts";
import { cases as mutexes } from "./mutexes.ts";
import { cases as names } from "./names.ts";
import { cases as openValues } from "./open_values.ts";
import type { Port } from "./port.ts";
import { cases as races } from "./races.ts";
import { cases as reentries } from "./reentries.ts";
import { cases as resets } from "./resets.ts";
import { cases as values } from "./values.ts";
import { cases as waits } from "./waits.ts";

export type Library = typeof import("../../mod.ts");

/** What the suite must be given of a runtime. */
export interface Runtime {
  /** The library, from wherever it is imported there. */
  readonly library: Library;
  /** What becomes of a cell whose owner ends. */
  readonly fates: Fates;
  /** Whether an initializer is known after its first `await`. */
  readonly hasAsyncContext: boolean;
  /** Why agents cannot meet by a name, where they cannot. */
  readonly cannotOpen?: string;
  /** Shows a value as the runtime's console does, where it has such a function. */
  readonly inspect?: (value: unknown) => string;
  /** Starts a worker that serves the peer of a case, and counts its sleeps. */
  spawn(caseName: string, sleepers: SharedArrayBuffer): Peer;
}

/** A worker, as the main thread sees it. */
export interface Peer {
  readonly port: Port;
  /** Resolves when it has ended, where the platform tells. */
  readonly ended?: Promise<void>;
  terminate(): void;
}

/** What the main thread's half of a case gets. */
export interface Stage extends Omit<Runtime, "spawn"> {
  /** All agents of the case that sleep; not those that poll, where they must. */
  readonly sleepers: Sleepers;
  /** Starts workers; what is sent before they listen is kept for them. */
  spawn(count: number): Peer[];
}

/** What the workers' half of a case gets. */
export interface Backstage {
  /** As {@linkcode Stage.sleepers}. */
  readonly sleepers: Sleepers;
  readonly library: Library;
  readonly port: Port;
  /** Ends the worker from within. */
  close(): void;
}

export interface Case {
  /** `Class.method() does something`. */
  readonly name: string;
  main(stage: Stage): Promise<void>;
  peer?(backstage: Backstage): Promise<void>;
}

/** What came of a case. */
export interface Result {
  readonly name: string;
  /** Undefined if it holds. */
  readonly error?: string | undefined;
}

/** How long a case may take, in ms. */
const PATIENCE = 60_000;

export const CASES: readonly Case[] = [
  ...races,
  ...waits,
  ...values,
  ...openValues,
  ...resets,
  ...reentries,
  ...mutexes,
  ...names,
  ...ends,
];

/** Runs a case to its end, and terminates its workers. */
export async function runCase(
  { name, main }: Case,
  runtime: Runtime,
): Promise<void> {
  const peers: Peer[] = [];
  const sleepers = new Sleepers();
  sleepers.countThisAgent();
  const spawn = (count: number) =>
    Array.from({ length: count }, () => {
      const peer = runtime.spawn(name, sleepers.buffer);
      peers.push(peer);
      return peer;
    });
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`Not done after ${PATIENCE} ms`)),
      PATIENCE,
    );
  });
  try {
    await Promise.race([main({ ...runtime, sleepers, spawn }), late]);
  } finally {
    clearTimeout(timer);
    for (const peer of peers) peer.terminate();
  }
}

/** Runs all cases, one after the other, and reports each as soon as it is done. */
export async function runSuite(
  runtime: Runtime,
  report: (result: Result) => unknown,
): Promise<void> {
  for (const it of CASES) {
    let error: string | undefined;
    try {
      await runCase(it, runtime);
    } catch (thrown) {
      // Not every engine puts the message into the stack
      error = `${thrown}\n${(thrown as Error).stack}`;
    }
    report({ name: it.name, error });
  }
}

/** Does the workers' half of a case. */
export async function servePeer(
  caseName: string,
  buffer: SharedArrayBuffer,
  rest: Omit<Backstage, "sleepers">,
): Promise<void> {
  const sleepers = new Sleepers(buffer);
  sleepers.countThisAgent();
  const backstage: Backstage = { ...rest, sleepers };
  const { peer } = CASES.find(({ name }) => name === caseName)!;
  try {
    await peer!(backstage);
  } catch (error) {
    backstage.port.fail(error);
  }
}
