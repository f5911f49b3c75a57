// Copyright 2026 the lazyinit authors. MIT license.

import { run } from "../_commands.ts";

/** A new directory in which the package is installed as a user of npm gets it. */
export interface Installation extends AsyncDisposable {
  readonly path: string;
}

/** Packs the modules, and installs them and `packages` from npm. */
export async function install(...packages: string[]): Promise<Installation> {
  const path = await Deno.makeTempDir({ prefix: "lazyinit_" });
  const remove = () => Deno.remove(path, { recursive: true });
  try {
    const archive = `${path}/lazyinit.tgz`;
    await run(Deno.execPath(), ["pack", "--allow-dirty", "-o", archive]);
    await Deno.writeTextFile(`${path}/package.json`, '{ "type": "module" }');
    await run(
      "npm",
      ["install", "--no-audit", "--no-fund", archive, ...packages],
      path,
    );
  } catch (error) {
    await remove();
    throw error;
  }
  return { path, [Symbol.asyncDispose]: remove };
}
