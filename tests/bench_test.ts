// Copyright 2026 the lazyinit authors. MIT license.

import { assert, assertEquals } from "@std/assert";
import results from "../bench/results.json" with { type: "json" };
import { pagesOf, REASONS, ROOT } from "../bench/report/pages.ts";
import { reasonsOf, targetsOf } from "../bench/report/render.ts";

Deno.test("pagesOf() returns what stands in the repository", async () => {
  for (const [path, text] of await pagesOf(results)) {
    assertEquals(await Deno.readTextFile(new URL(path, ROOT)), text, path);
  }
});

Deno.test("every reason is that of a target", async () => {
  const text = await Deno.readTextFile(new URL(REASONS, ROOT));
  const targets = new Set(targetsOf(results).map(({ what }) => what));
  for (const what of reasonsOf(text).keys()) assert(targets.has(what), what);
});

/** Runs deno and returns what it printed, or fails with that. */
async function output(...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args,
    cwd: ROOT,
    stderr: "piped",
    signal: AbortSignal.timeout(300_000),
  }).output();
  const text = new TextDecoder();
  assert(success, text.decode(stderr));
  return text.decode(stdout);
}

Deno.test("every benchmark runs", async () => {
  const flags = (await output("task", "--quiet", "flags")).split(" ")
    .filter((flag) => flag !== "");
  const ran = await output(
    "run",
    "--no-check",
    "--allow-read",
    ...flags,
    "tests/testdata/bench_once.ts",
  );
  assertEquals(ran, "27 groups, 122 subjects");
});
