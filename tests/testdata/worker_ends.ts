// Copyright 2026 the lazyinit authors. MIT license.

/* Prints, for Node and Bun, of which ends of workers a cell is told. */

import process from "node:process";
import { Worker } from "node:worker_threads";

/** What comes of it. */
export interface Outcome {
  /** For each way to end: the worker's own id, and those that the cell is told. */
  readonly ends: Record<string, { id: number; told: number[] }>;
  /** What the cell is told of a worker that was started before the package was loaded. */
  readonly toldOfEarlier: number[];
  readonly ids: number[];
  readonly isCollected: boolean;
}

const AGENT = new URL("../../_agent.ts", import.meta.url).href;

/** Workers say their id before they do this. */
const WAYS = {
  "ends by itself": "",
  exits: "process.exit(1)",
  throws: "throw new Error('On purpose')",
  "waits for its termination": "setInterval(() => {}, 1_000)",
  "blocks until its termination":
    "Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)",
  "loops until its termination": "for (;;);",
};

/** Starts a worker, and resolves when it has said its id. */
async function start(
  deed: string,
): Promise<{ worker: Worker; id: number; ended: Promise<void> }> {
  const source = `import(${JSON.stringify(AGENT)}).then(({ agentId }) => {
  require("node:worker_threads").parentPort.postMessage(agentId());
  ${deed === "" ? "" : `setTimeout(() => { ${deed} });`}
});`;
  const worker = new Worker(source, { eval: true });
  worker.on("error", () => {});
  const ended = new Promise<void>((resolve) => worker.once("exit", resolve));
  const id = await new Promise<number>((resolve) =>
    worker.once("message", resolve)
  );
  return { worker, id, ended };
}

const earlier = await start(WAYS["waits for its termination"]);
const { agentId, recoverWhenWorkersEnd } = await import("../../_agent.ts");

let told: number[] = [];
/** Kept alive by the export. */
export const cell = { recover: (id: number): unknown => told.push(id) };
recoverWhenWorkersEnd(cell);
// Once is enough
recoverWhenWorkersEnd(cell);

await earlier.worker.terminate();
await earlier.ended;
const toldOfEarlier = told;

const ends: Record<string, { id: number; told: number[] }> = {};
for (const [way, deed] of Object.entries(WAYS)) {
  told = [];
  const { worker, id, ended } = await start(deed);
  if (way.endsWith("termination")) await worker.terminate();
  await ended;
  ends[way] = { id, told };
}

/** Whether a cell is collected that nothing else refers to. */
async function isCollected(): Promise<boolean> {
  const { Bun, gc } = globalThis as {
    Bun?: { gc(now: boolean): void };
    gc?(): void;
  };
  let collected = false;
  const registry = new FinalizationRegistry(() => collected = true);
  // Some, as the stack of an engine that looks at it may seem to refer to one
  for (let index = 0; index < 100; index++) {
    const lost = { recover: () => {} };
    recoverWhenWorkersEnd(lost);
    registry.register(lost, index);
  }
  for (let tries = 0; tries < 100 && !collected; tries++) {
    if (Bun) Bun.gc(true);
    else gc!();
    await new Promise((resolve) => setTimeout(resolve));
  }
  return collected;
}

// The process ends nevertheless
const unended = await start(WAYS["waits for its termination"]);
unended.worker.unref();

const outcome: Outcome = {
  ends,
  toldOfEarlier,
  ids: [agentId(), earlier.id, ...Object.values(ends).map(({ id }) => id)],
  isCollected: await isCollected(),
};
process.stdout.write(JSON.stringify(outcome));
