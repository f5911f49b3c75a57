// Copyright 2026 the lazyinit authors. MIT license.

import { assert, assertEquals } from "@std/assert";
import { run } from "./_commands.ts";

// Little stack, as it takes long to recurse to the end of much
for (const flags of ["--stack-size=120", "--stack-size=120,--no-opt"]) {
  Deno.test(`Fault of this package, nothing may fail between taking and giving back: a call at the end of the stack leaves a cell and a mutex as they were (${flags})`, async () => {
    const output = await run(Deno.execPath(), [
      "run",
      "--no-check",
      "--quiet",
      "--allow-read",
      `--v8-flags=${flags}`,
      "tests/testdata/end_of_stack.ts",
    ]);
    const { left, begun } = JSON.parse(output);
    assertEquals(left, {});
    // Not all calls have failed before they took anything
    assert(begun > 1_000, output);
  });
}
