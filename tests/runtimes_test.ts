// Copyright 2026 the lazyinit authors. MIT license.

import { assertEquals } from "@std/assert";

/** As npm brings them. */
const RUNTIMES = ["node@24.21.0", "bun@1.4.5"];

/** Runs another runtime and returns what it prints, or `undefined` if it cannot be had here. */
async function run(
  runtime: string,
  ...args: string[]
): Promise<string | undefined> {
  try {
    const { success, stdout } = await new Deno.Command("npx", {
      args: ["-y", runtime, ...args],
      cwd: new URL("../", import.meta.url),
    }).output();
    return success ? new TextDecoder().decode(stdout) : undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

const versions = await Promise.all(
  RUNTIMES.map((runtime) => run(runtime, "--version")),
);

for (const [index, runtime] of RUNTIMES.entries()) {
  Deno.test({
    name:
      `MutexLazyInit.recover() takes over from workers that end in ${runtime}, where nobody else does (ignored if npx does not bring it)`,
    ignore: versions[index] === undefined,
    async fn() {
      const output = await run(runtime, "tests/testdata/ends.ts");
      const seen = JSON.parse(output!);
      const expected = [
        "is terminated",
        "exits",
        "throws",
        "is terminated in Atomics.wait",
        "is terminated in a loop",
      ].map((way) => ({
        way,
        phase: "initializing",
        recovered: true,
        value: 2,
      }));
      assertEquals(seen, expected);
    },
  });
}
