// Copyright 2026 the lazyinit authors. MIT license.

/*
 * An agent of two copies of `_agent.ts`, which holds its lock as it is told, and answers
 * what both say of that. A web worker, or one of Node's.
 */

import process from "node:process";
import { parentPort } from "node:worker_threads";
import { lockName, locks } from "../_locks.ts";
import { agentScript, type Copy } from "./agent_script.ts";

/** What the agent is to do. */
export type Order = "announce" | "hold" | "let go" | "close";

/** What both copies say, and whether the lock of the agent is held. */
export interface Answer {
  readonly id: number;
  readonly isAnnounced: boolean[];
  readonly holdsLock: boolean;
}

const one = await import("../../_agent.ts") as Copy;
const other: Copy = (0, eval)(agentScript());
const copies = [one, other];
const self = globalThis as unknown as {
  onmessage?: (event: { data: Order }) => void;
  postMessage?(message: unknown): void;
  close?(): void;
};
const releases: (() => void)[] = [];

async function obey(order: Order): Promise<void> {
  switch (order) {
    case "announce":
      await one.announceAgent();
      await other.announceAgent();
      break;
    case "hold":
      // Each copy in turn, so that one takes what the other has
      for (const copy of copies) {
        await new Promise<void>((held) => {
          releases.push(copy.holdAgentLock(held));
        });
      }
      break;
    case "let go":
      releases.pop()!();
      break;
    case "close":
      if (self.close) self.close();
      else process.exit();
  }
  await answer();
}

async function answer(): Promise<void> {
  const id = other.agentId();
  const { held } = await locks.query();
  const message: Answer = {
    id,
    isAnnounced: copies.map((copy) => copy.isAnnounced()),
    holdsLock: held.some(({ name }) => name === lockName({ id })),
  };
  if (self.postMessage) self.postMessage(message);
  else parentPort!.postMessage(message);
}

if (self.postMessage) self.onmessage = ({ data }) => obey(data);
else parentPort!.on("message", obey);
await answer();
