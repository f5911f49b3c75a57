// Copyright 2026 the lazyinit authors. MIT license.

/*
 * The pages on which results are shown, as they are in the repository.
 */

import { renderCharts, renderReport, renderSummary } from "./render.ts";
import type { Results } from "./results.ts";

/** What the paths of the pages are relative to. */
export const ROOT = new URL("../../", import.meta.url);

/** What the summary in the README stands between. */
const SUMMARY =
  /(?<=<!-- bench:report begins -->)[^]*(?=<!-- bench:report ends -->)/;

/** Formats Markdown as `deno fmt` would in the file. */
async function format(markdown: string): Promise<string> {
  const command = new Deno.Command(Deno.execPath(), {
    args: ["fmt", "--ext", "md", "-"],
    stdin: "piped",
    stdout: "piped",
  });
  await using process = command.spawn();
  const writer = process.stdin.getWriter();
  await writer.write(new TextEncoder().encode(markdown));
  await writer.close();
  return await process.stdout.text();
}

/** Returns all pages that depend on the results, by their paths. */
export async function pagesOf(results: Results): Promise<Map<string, string>> {
  const read = (path: string) => Deno.readTextFile(new URL(path, ROOT));
  const notes = await read("bench/NOTES.md");
  const readme = (await read("README.md"))
    .replace(SUMMARY, () => `\n\n${renderSummary(results)}\n\n`);
  const charts = [...await renderCharts(results)]
    .map(([name, svg]): [string, string] => [`bench/${name}`, svg]);
  return new Map([
    ["bench/RESULTS.md", await format(renderReport(results, notes))],
    ["README.md", await format(readme)],
    ...charts,
  ]);
}
