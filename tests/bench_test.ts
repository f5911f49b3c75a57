// Copyright 2026 the lazyinit authors. MIT license.

import { assert, assertEquals } from "@std/assert";
import results from "../bench/results.json" with { type: "json" };
import { pagesOf, ROOT } from "../bench/report/pages.ts";
import { reasonsOf, targetsOf } from "../bench/report/render.ts";

Deno.test("pagesOf() returns what stands in the repository", async () => {
  for (const [path, text] of await pagesOf(results)) {
    assertEquals(await Deno.readTextFile(new URL(path, ROOT)), text, path);
  }
});

Deno.test("bench/MISSED.md has a reason for each target that is missed", async () => {
  const url = new URL("bench/MISSED.md", ROOT);
  const reasons = reasonsOf(await Deno.readTextFile(url));
  const targets = targetsOf(results);
  const names = new Set(targets.map(({ what }) => what));
  assertEquals([...reasons.keys()].filter((it) => !names.has(it)), []);
  const missed = targets.filter(({ reached }) => reached === false);
  const unknown = missed.map(({ what }) => what)
    .filter((it) => !reasons.has(it));
  assertEquals(unknown, []);
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
