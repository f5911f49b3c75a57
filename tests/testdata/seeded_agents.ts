// Copyright 2026 the lazyinit authors. MIT license.

/* Prints what agents draw at random: this one starts others, all at once. */

/// <reference lib="deno.worker" />

import { agentId, drawNonce } from "../../_agent.ts";

/** What an agent draws. */
export interface Draws {
  readonly random: number;
  readonly id: number;
  readonly nonces: number[];
}

const WORKERS = 3;

const draws: Draws = {
  random: crypto.getRandomValues(new Uint32Array(1))[0]!,
  id: agentId(),
  nonces: [drawNonce(), drawNonce()],
};

if ("WorkerGlobalScope" in globalThis) {
  self.postMessage(draws);
} else {
  const workers = Array.from(
    { length: WORKERS },
    () => new Worker(import.meta.url, { type: "module" }),
  );
  const others = await Promise.all(
    workers.map((worker) =>
      new Promise<Draws>((resolve) => {
        worker.onmessage = ({ data }) => resolve(data);
      })
    ),
  );
  for (const worker of workers) worker.terminate();
  const output = new TextEncoder().encode(JSON.stringify([draws, ...others]));
  await Deno.stdout.write(output);
}
