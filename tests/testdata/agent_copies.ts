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
  /** The ids of the worker that cells of each copy are told to have ended. */
  readonly ends: number[];
}

const script = agentScript();
const { getBuiltinModule, versions } = process;
// As Jest does it in Node: modules get a copy of `process`, which is told of nothing
const copyOfProcess = {
  versions,
  getBuiltinModule: (name: string): unknown =>
    name === "node:process" && versions["bun"] === undefined
      ? { on() {} }
      : getBuiltinModule(name),
};
const realm = vm.createContext({ process: copyOfProcess });

const copies: Copy[] = [
  vm.runInContext(script, realm),
  vm.runInContext(script, realm),
  await import("../../_agent.ts") as Copy,
  (0, eval)(script),
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
  ends,
};
process.stdout.write(JSON.stringify(outcome));
