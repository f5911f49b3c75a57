// Copyright 2026 the lazyinit authors. MIT license.
/// <reference lib="deno.worker" />

/*
 * An agent that begins to hold its lock twice, and lets it go once before the lock is
 * granted. Tells which of the two were told that it is held.
 */

import { holdAgentLock } from "../../_agent.ts";

const told: string[] = [];
const letGo = holdAgentLock(() => told.push("brief"));
const held = new Promise<void>((resolve) => {
  holdAgentLock(() => {
    told.push("long");
    resolve();
  });
});
letGo();
await held;
self.postMessage(told);
