// Copyright 2026 the lazyinit authors. MIT license.

/*
 * Loads `_agent.ts` several times in one thread, has a worker end, and prints what the
 * copies have in common.
 */

import process from "node:process";
import vm from "node:vm";
import { agentScript, type Copy } from "./agent_script.ts";

/** What comes of it. */
export interface Outcome {
  readonly ids: number[];
  /** The id in a realm from which nothing leads to the others. */
  readonly strangeId: number;
  readonly nonces: number[];
  readonly listeners: number;
  /** The ids of the worker that cells of each copy are told to have ended. */
  readonly ends: number[];
}

const script = agentScript();
const { getBuiltinModule, versions } = process;
// As Jest does it: `process` is a copy
const realm = vm.createContext({ process: { getBuiltinModule, versions } });

const copies: Copy[] = [
  await import("../../_agent.ts") as Copy,
  (0, eval)(script),
  vm.runInContext(script, realm),
  vm.runInContext(script, realm),
];
const stranger: Copy = vm.runInNewContext(script);

const ends: number[] = [];
/** Kept alive by the export. */
export const cells = copies.map(() => ({
  recover: (id: number): unknown => ends.push(id),
}));
copies.forEach((copy, index) => copy.recoverWhenWorkersEnd(cells[index]!));
const { Worker } = getBuiltinModule("node:worker_threads");
const worker = new Worker("", { eval: true });
await new Promise((resolve) => worker.once("exit", resolve));
// The listener of the package came first
const outcome: Outcome = {
  ids: copies.map((copy) => copy.agentId()),
  strangeId: stranger.agentId(),
  nonces: [...copies, ...copies].map((copy) => copy.drawNonce()),
  listeners: process.listenerCount("worker"),
  ends,
};
process.stdout.write(JSON.stringify(outcome));
