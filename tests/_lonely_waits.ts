// Copyright 2026 the lazyinit authors. MIT license.

import { assertEquals } from "@std/assert";
import { execute } from "./_commands.ts";

/** A test for each asynchronous wait, of a process that has nothing else to do. */
export function testLonelyWaits(
  runtime: string,
  find: () => Promise<string>,
  ...args: string[]
): void {
  for (
    const wait of [
      "LazyInit.waitAsync",
      "MutexLazyInit.waitAsync",
      "Mutex.lockAsync",
    ]
  ) {
    Deno.test(`${wait}() keeps the process alive (${runtime})`, async () => {
      const program = "tests/testdata/lonely_wait.ts";
      const outcome = await execute(await find(), [...args, program, wait]);
      assertEquals(outcome, {
        success: true,
        output: "TimeoutError",
        messages: "",
      });
    });
  }
}
