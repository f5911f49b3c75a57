// Copyright 2026 the lazyinit authors. MIT license.

import { assert, assertEquals, assertNotEquals } from "@std/assert";
import type { Outcome as Copies } from "./agent_copies.ts";
import { findRuntime, run } from "../_commands.ts";
import type { Outcome as Ends } from "./worker_ends.ts";

/** Tests `_agent.ts` in a runtime that npx brings and that has the threads of Node. */
export function testAgentsOfNode(runtime: string, ...flags: string[]): void {
  async function runFixture(name: string): Promise<string> {
    return await run(await findRuntime(runtime), [
      ...flags,
      `tests/testdata/${name}`,
    ]);
  }

  Deno.test(`agentId() is the id of the thread plus 1 in all copies and realms (${runtime})`, async () => {
    const { ids, strangeId, nonces, ends }: Copies = JSON.parse(
      await runFixture("agent_copies.ts"),
    );
    assertEquals(ids, ids.map(() => 1));
    assertNotEquals(strangeId, 1);
    assertEquals(new Set(nonces).size, nonces.length);
    // Told once for all copies
    assertEquals(ends, ids.map(() => 2));
  });

  Deno.test(`recoverWhenWorkersEnd() tells a cell of each worker that ends, however it does (${runtime})`, async () => {
    const { ends, toldOfEarlier, ids, isCollected }: Ends = JSON.parse(
      await runFixture("worker_ends.ts"),
    );
    assertEquals(Object.keys(ends).length, 6);
    for (const [way, { id, told }] of Object.entries(ends)) {
      assertEquals(told, [id], way);
    }
    assertEquals(toldOfEarlier, []);
    // None is used again
    assertEquals(new Set(ids).size, ids.length);
    assert(isCollected);
  });
}
