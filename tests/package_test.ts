// Copyright 2026 the lazyinit authors. MIT license.

import { assert, assertEquals } from "@std/assert";
import config from "../deno.json" with { type: "json" };
import { mutants as ofCluster } from "./cluster/mutants.ts";
import { execute } from "./_commands.ts";
import { mutants as ofMaps } from "./mutants/map_mutants.ts";
import { mutants as ofCells } from "./mutants/mutants.ts";
import { mutants as ofNames } from "./mutants/name_mutants.ts";
import { scenarios as scenariosOfMaps } from "./schedules/map_scenarios.ts";
import { scenarios } from "./schedules/scenarios.ts";

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

/** The modules of a folder whose names do not begin with `_`. */
async function publicModulesIn(folder: string): Promise<string[]> {
  const modules = [];
  for await (const { name } of Deno.readDir(new URL(folder, root))) {
    if (/^[^_].*\.ts$/.test(name)) modules.push(`${folder}${name}`);
  }
  return modules;
}

Deno.test("deno publish takes the modules, README.md, LICENSE and deno.json", async () => {
  const modules = new Set<string>();
  for (const entryPoint of Object.values(config.exports)) {
    const info = JSON.parse(await deno("info", "--json", entryPoint));
    for (const { specifier } of info.modules) {
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
  // What this one re-exports needs no entry point of its own
  const parts = (await Deno.readTextFile(new URL("cluster/mod.ts", root)))
    .matchAll(/ from "\.\/(.+)";/g);
  const expected = [
    ...await publicModulesIn("./"),
    ...await publicModulesIn("./cluster/"),
  ].toSorted();
  const named = [
    ...Object.values(config.exports),
    ...Array.from(parts, ([, name]) => `./cluster/${name}`),
  ].filter((path, i, all) => all.indexOf(path) === i).toSorted();
  assertEquals(named, expected);
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

/** What looks at the words of a header: the modules of their rooms, and views over cells. */
const LOOKS = [
  /\.\.\/_(?:cell|deadlock|layout|running|value|waiting)\.ts/,
  /new (?:Ui|I)nt32Array\(\s*(?:\w+\.)*(?:cell|handle|mutex|state)\.buffer/,
  // A codec's slot begins at `byteOffset`
  /new (?:Ui|I)nt32Array\(\s*buffer\s*(?:\)|,(?! byteOffset))/,
];
/** Those that may; the last looks at the words of a map, which are no cell's. */
const MAY_LOOK =
  /^(?:atomics_test|schedules\/.*|testdata\/toy_scenarios|mutants\/.*|lazy_init_map_test)\.ts$/;

/** The modules of a folder and of those in it, as paths from `tests/` on. */
async function* testModules(folder = ""): AsyncGenerator<string> {
  for await (
    const { name, isDirectory } of Deno.readDir(
      new URL(`tests/${folder}`, root),
    )
  ) {
    if (isDirectory) yield* testModules(`${folder}${name}/`);
    else if (/\.[jt]s$/.test(name)) yield `${folder}${name}`;
  }
}

Deno.test("Only atomics_test.ts and the schedules look at header words", async () => {
  const looking = [];
  let allowed = 0;
  for await (const path of testModules()) {
    const source = await Deno.readTextFile(new URL(`tests/${path}`, root));
    if (!LOOKS.some((look) => look.test(source))) continue;
    if (MAY_LOOK.test(path)) allowed++;
    else looking.push(path);
  }
  assertEquals(looking, []);
  assert(allowed >= 2);
});

Deno.test("CONTRIBUTING.md counts the scenarios and the faults", async () => {
  const text = (await Deno.readTextFile(new URL("CONTRIBUTING.md", root)))
    .replaceAll(/\s+/g, " ");
  const counts = [
    [/There are (\d+) scenarios/, scenarios.length + scenariosOfMaps.length],
    [
      /(\d+) faults in cells, maps and cells by name/,
      ofCells.length + ofMaps.length + ofNames.length,
    ],
    [/(\d+) faults in the cluster's protocol/, ofCluster.length],
  ] as const;
  for (const [pattern, count] of counts) {
    assertEquals(Number(pattern.exec(text)?.[1]), count, `${pattern}`);
  }
});
