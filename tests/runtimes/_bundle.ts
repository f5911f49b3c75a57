// Copyright 2026 the lazyinit authors. MIT license.

import { run } from "../_commands.ts";

/** Bundles modules with all that they import, but for Node's own, into JavaScript for any runtime. */
export async function bundle(
  directory: string,
  ...modules: string[]
): Promise<void> {
  const flags = await run(Deno.execPath(), ["task", "--quiet", "flags"]);
  await run(Deno.execPath(), [
    "bundle",
    ...flags.split(" ").filter((flag) => flag !== ""),
    "--quiet",
    "--platform=browser",
    "--external=node:*",
    `--outdir=${directory}`,
    ...modules,
  ]);
}
