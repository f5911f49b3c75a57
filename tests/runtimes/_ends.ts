// Copyright 2026 the lazyinit authors. MIT license.

import { assertEquals } from "@std/assert";
import { findRuntime, run } from "../_commands.ts";
import type { Outcome } from "../testdata/ending_workers.ts";
import { bundle } from "./_bundle.ts";
import { install } from "./_packed.ts";

/**
 * Tests that nobody hangs when workers end, with the package as npm users get it, in
 * runtimes that npx brings; `count` is how many ends each of them knows.
 */
export function testEnds(
  runtimes: readonly string[],
  count: number,
  ...flags: string[]
): void {
  Deno.test(`cells of workers that end (${runtimes.join(", ")})`, async (t) => {
    await using installation = await install("piscina@5.3.2");
    const { path } = installation;
    await bundle(path, "tests/testdata/ending_workers.ts");
    for (const name of ["pool_main.js", "pool_task.js"]) {
      await Deno.copyFile(
        new URL(`../testdata/${name}`, import.meta.url),
        `${path}/${name}`,
      );
    }

    for (const runtime of runtimes) {
      const command = await findRuntime(runtime);
      await t.step(`go on in those that wait (${runtime})`, async () => {
        const program = [
          ...flags,
          "ending_workers.js",
          "@lazyinit/lazyinit",
        ];
        const lines = (await run(command, program, path)).trim().split("\n");
        const outcomes: Outcome[] = lines.map((line) => JSON.parse(line));
        for (const { name, ...outcome } of outcomes) {
          const taken = { values: [2, 2, 2], length: 1, generation: 1 };
          assertEquals(outcome, taken, name);
        }
        assertEquals(outcomes.length, count);
      });

      await t.step(`go on in a pool of piscina (${runtime})`, async () => {
        const output = await run(command, ["pool_main.js"], path);
        assertEquals(JSON.parse(output), {
          fatal: "rejected",
          values: Array(8).fill(42),
          value: 42,
        });
      });
    }
  });
}
