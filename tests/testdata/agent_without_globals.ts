// Copyright 2026 the lazyinit authors. MIT license.

/*
 * Prints what is left of an agent where a platform lacks what it may lack. The first
 * argument names it: globals, with commas between, or "extensible", if `globalThis` is
 * not.
 */

import process from "node:process";

/** What is left. */
export interface Remains {
  readonly ids: number[];
  readonly canBlock: boolean;
  readonly isAnnounced: boolean;
  readonly isTimeKnown: boolean;
  readonly timer: string;
}

const { argv, stdout } = process;
for (const name of argv[2]!.split(",")) {
  if (name === "extensible") Object.preventExtensions(globalThis);
  else if (!Reflect.deleteProperty(globalThis, name)) throw new Error(name);
}

const agent = await import("../../_agent.ts");
const { now, startTimer, stopTimer } = await import("../../_clock.ts");
await agent.announceAgent();
agent.holdAgentLock(() => {})();
agent.watchAgent(1, () => {})();
agent.recoverWhenWorkersEnd({ recover: () => {} });
agent.whenFrameEnds(() => {});

function tryTimer(): string {
  try {
    stopTimer(startTimer(() => {}, 0));
    return "none";
  } catch (error) {
    return `${error}`;
  }
}

const remains: Remains = {
  ids: [agent.agentId(), agent.thisAgent],
  canBlock: agent.canBlock(),
  isAnnounced: agent.isAnnounced(),
  isTimeKnown: now() > 0,
  timer: tryTimer(),
};
stdout.write(JSON.stringify(remains));
