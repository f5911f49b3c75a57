// Copyright 2026 the lazyinit authors. MIT license.

/*
 * The pages on which results are shown, as they are in the repository.
 */

import {
  reasonsOf,
  renderCharts,
  renderReport,
  renderServer,
  renderSummary,
} from "./render.ts";
import type { Results } from "./results.ts";

/** What the paths of the pages are relative to. */
export const ROOT = new URL("../../", import.meta.url);

/** Puts a text between the marks that have that name in a page. */
function between(page: string, name: string, text: string): string {
  const marks = new RegExp(
    `(?<=<!-- ${name} begins -->)[^]*(?=<!-- ${name} ends -->)`,
  );
  if (!marks.test(page)) throw new Error(`README has no marks of ${name}`);
  return page.replace(marks, () => `\n\n${text}\n\n`);
}

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
  const reasons = reasonsOf(await read("bench/MISSED.md"));
  const readme = between(
    between(await read("README.md"), "bench:report", renderSummary(results)),
    "bench:server",
    renderServer(results),
  );
  const charts = [...await renderCharts(results)]
    .map(([name, svg]): [string, string] => [`bench/${name}`, svg]);
  return new Map([
    ["bench/RESULTS.md", await format(renderReport(results, notes, reasons))],
    ["README.md", await format(readme)],
    ...charts,
  ]);
}
