// Copyright 2026 the lazyinit authors. MIT license.

import { assert, assertEquals, assertStringIncludes } from "@std/assert";

/** What flags.ts prints where nothing answers, for want of a permission. */
async function flagsWithoutNetwork(standIns: string): Promise<string> {
  const { success, stdout } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--no-config",
      "--no-prompt",
      "--allow-env=STAND_INS",
      "closed_network/flags.ts",
    ],
    cwd: new URL("../", import.meta.url),
    env: { STAND_INS: standIns },
    stderr: "inherit",
  }).output();
  assertEquals(success, true);
  return new TextDecoder().decode(stdout);
}

Deno.test("flags.ts prints an import map with stand-ins where JSR does not answer", async () => {
  const flags = await flagsWithoutNetwork("");
  assert(flags.startsWith("--import-map=data:application/json,"), flags);
  const [, map] = flags.split(",");
  const { imports } = JSON.parse(decodeURIComponent(map!));
  assertStringIncludes(imports["@std/assert"], "/closed_network/assert.ts");
});

Deno.test("flags.ts prints nothing where stand-ins must never be used", async () => {
  assertEquals(await flagsWithoutNetwork("never"), "");
});
