// Copyright 2026 the lazyinit authors. MIT license.

/* Cells by name in Node: what they promise, and a pool of somebody else's workers. */

import { assert, assertEquals } from "@std/assert";
import { execute, findRuntime, run } from "../_commands.ts";
import { install } from "./_packed.ts";

interface Result {
  readonly name: string;
  readonly error?: string;
}

/**
 * A program whose tasks run in the workers of a pool that posts no handles. They block
 * between two tasks unless "atomics" is disabled, so a thread that never does answers
 * for them, or they must not block.
 */
function poolProgram(atomics: "sync" | "disabled"): string {
  return `
import { int32, MutexLazyInit } from "@lazyinit/lazyinit";
import { Piscina } from "piscina";

const mine = ${atomics === "sync"} && await MutexLazyInit.open("pool", int32);
const pool = new Piscina({
  filename: new URL("./task.mjs", import.meta.url).href,
  minThreads: 4,
  maxThreads: 4,
  atomics: "${atomics}",
});
const tasks = Array.from({ length: 40 }, (_, index) => pool.run(index));
const results = await Promise.all(tasks);
const cell = mine || await MutexLazyInit.open("pool", int32);
console.log(JSON.stringify({ results, mine: cell.get() }));
await pool.destroy();
`;
}

const TASK = `
import { int32, MutexLazyInit } from "@lazyinit/lazyinit";
import { threadId } from "node:worker_threads";

export default async (index) => {
  const cell = await MutexLazyInit.open("pool", int32);
  let made = false;
  const value = await cell.getOrInitAsync(async () => {
    made = true;
    return threadId;
  });
  return { made, value };
};
`;

for (const version of ["24", "26"]) {
  Deno.test(`open() keeps its promises (node@${version})`, async (t) => {
    const { output, messages } = await execute(
      await findRuntime(`node@${version}`),
      ["tests/testdata/open_scenarios.ts"],
    );
    const results: Result[] = output.split("\n").slice(0, -1)
      .map((line) => JSON.parse(line));
    for (const { name, error } of results) {
      await t.step(name, () => assertEquals(error, undefined));
    }
    assertEquals(messages, "");
    assert(results.length > 0);
  });

  for (const atomics of ["sync", "disabled"] as const) {
    Deno.test(`open() gives the workers of a piscina pool one cell, and keeps nothing alive (atomics: ${atomics}, node@${version})`, async () => {
      await using installation = await install("piscina@5.3.2");
      const { path } = installation;
      await Deno.writeTextFile(`${path}/pool.mjs`, poolProgram(atomics));
      await Deno.writeTextFile(`${path}/task.mjs`, TASK);
      const output = await run(
        await findRuntime(`node@${version}`),
        ["pool.mjs"],
        path,
      );
      const { results, mine }: {
        results: { made: boolean; value: number }[];
        mine: number;
      } = JSON.parse(output);
      assertEquals(results.filter(({ made }) => made).length, 1);
      assertEquals(new Set(results.map(({ value }) => value)), new Set([mine]));
    });
  }
}

for (const runtime of ["node@22", "bun@1.4.5"]) {
  Deno.test(`open() rejects at once and names handles (${runtime})`, async () => {
    await using installation = await install();
    const { path } = installation;
    await Deno.writeTextFile(
      `${path}/open.mjs`,
      `
import { int32, LazyInit, MutexLazyInit } from "@lazyinit/lazyinit";
for (const kind of [LazyInit, MutexLazyInit]) {
  await kind.open("answer", int32).catch((error) => console.log(String(error)));
}
`,
    );
    const output = await run(await findRuntime(runtime), ["open.mjs"], path);
    const message =
      "TypeError: Cannot open cells by name as this platform has no Web Locks: send 'handle' by postMessage() and attach with from() instead\n";
    assertEquals(output, message + message);
  });
}
