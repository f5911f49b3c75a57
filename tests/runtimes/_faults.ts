// Copyright 2026 the lazyinit authors. MIT license.

import { assert, assertEquals } from "@std/assert";
import { findRuntime, run } from "../_commands.ts";

/** How a runtime is started with little stack, as it takes long to recurse to the end of much. */
interface Stack {
  readonly flag?: string;
  readonly variable?: string;
}

/** Tests in a runtime that npx brings what engines do in their own way. */
export function testFaults(name: string, { flag, variable }: Stack): void {
  Deno.test(`Fault of this package, nothing may fail between taking and giving back: a call at the end of the stack leaves a cell and a mutex as they were (${name})`, async () => {
    const command = [await findRuntime(name), "tests/testdata/end_of_stack.ts"];
    if (flag !== undefined) command.splice(1, 0, flag);
    if (variable !== undefined) command.unshift("env", variable);
    const output = await run(command[0]!, command.slice(1));
    const { left, begun } = JSON.parse(output);
    assertEquals(left, {});
    assert(begun > 1_000, output);
  });

  Deno.test(`Fault of this package, waits that pile up and herds: 100,000 waits share one sleep and leave nothing behind (${name})`, async () => {
    const output = await run(await findRuntime(name), [
      "tests/testdata/many_waits.ts",
      "100000",
    ]);
    for (const [what, result] of Object.entries<never>(JSON.parse(output))) {
      const { sleepsBegun, sleeps, timers } = result;
      const most = what === "aborted one by one" ? 1_000 : 1;
      assertEquals({ sleeps, timers }, { sleeps: 0, timers: 0 }, what);
      assert(sleepsBegun <= most, what);
    }
  });

  Deno.test(`Fault of this package, stale reads for ever: hot loops that only read see a reset (${name})`, async () => {
    const output = await run(await findRuntime(name), [
      "tests/testdata/hot_loops.ts",
    ]);
    assertEquals(JSON.parse(output), [
      "get",
      "value",
      "getUnchecked",
      "getOrInit",
    ]);
  });

  Deno.test(`Fault of this package, one overwritten cell: the end of a worker frees all others (${name})`, async () => {
    const output = await run(await findRuntime(name), [
      "tests/testdata/overwritten_cell.ts",
    ]);
    assertEquals(output, "42");
  });

  Deno.test(`Fault of this package, maps and ends of workers: a key is taken from a worker that has ended, whatever is left of the map (${name})`, async () => {
    const flags = name.startsWith("node") ? ["--expose-gc"] : [];
    const output = await run(await findRuntime(name), [
      ...flags,
      "tests/testdata/map_ends.ts",
    ]);
    assertEquals(output, "[42,42]");
  });
}
