// Copyright 2026 the lazyinit authors. MIT license.

import { assert, assertEquals } from "@std/assert";
import config from "../deno.json" with { type: "json" };
import { execute } from "./_commands.ts";

const root = new URL("../", import.meta.url);

/** Runs Deno at the root, and returns what it prints to both of its outputs. */
async function deno(...args: string[]): Promise<string> {
  const { success, output, messages } = await execute(Deno.execPath(), args);
  assert(success, output + messages);
  return output + messages;
}

/** The paths in the repository that `text` names by URL. */
function pathsIn(text: string): string[] {
  return [...text.matchAll(/file:[^\s"]+/g)]
    .filter(([url]) => url.startsWith(root.href))
    .map(([url]) => url.slice(root.href.length));
}

Deno.test("deno publish takes the modules, README.md, LICENSE and deno.json", async () => {
  const modules = new Set<string>();
  for (const path of Object.values(config.exports)) {
    const graph = JSON.parse(await deno("info", "--json", path));
    for (const { specifier } of graph.modules) {
      for (const path of pathsIn(specifier)) modules.add(path);
    }
  }
  const expected = [
    ...modules,
    "README.md",
    "LICENSE",
    "deno.json",
  ];
  // Its types are checked by `deno task ok`
  const printed = await deno(
    "publish",
    "--dry-run",
    "--allow-dirty",
    "--no-check",
  );
  assertEquals(pathsIn(printed).toSorted(), expected.toSorted());
});

Deno.test("deno.json names every module that is not internal as an entry point", async () => {
  const modules = [];
  for await (const { name } of Deno.readDir(root)) {
    if (/^[^_].*\.ts$/.test(name)) modules.push(`./${name}`);
  }
  const entryPoints = Object.values(config.exports)
    // Each store is one of its own, whose modules the test above looks for
    .filter((path) => !path.startsWith("./cluster/"));
  assertEquals(entryPoints.toSorted(), modules.toSorted());
});

Deno.test("deno.json has a semantic version and a description as long as JSR takes", () => {
  assert(/^\d+\.\d+\.\d+$/.test(config.version), config.version);
  assert(config.description.length <= 250, config.description);
});

Deno.test("CHANGELOG.md begins with the version of deno.json", async () => {
  const changelog = await Deno.readTextFile(new URL("CHANGELOG.md", root));
  const [, version] = /^## \[(.+)\] - \d{4}-\d\d-\d\d$/m.exec(changelog)!;
  assertEquals(version, config.version);
});
