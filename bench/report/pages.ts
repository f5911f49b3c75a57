// Copyright 2026 the lazyinit authors. MIT license.

/*
 * The pages on which results are shown, as they are in the repository. After a change of
 * their words, this writes them again, from `results.json`:
 *
 *   deno run --allow-read --allow-write --allow-run bench/report/pages.ts
 */

import {
  reasonsOf,
  renderCharts,
  renderReport,
  renderServer,
  renderSummary,
  targetsOf,
} from "./render.ts";
import type { Results } from "./results.ts";

/** What the paths of the pages are relative to. */
export const ROOT = new URL("../../", import.meta.url);

/** Why targets are missed. */
export const REASONS = "bench/MISSED.md";

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

function read(path: string): Promise<string> {
  return Deno.readTextFile(new URL(path, ROOT));
}

/** Resolves with the missed targets for which `bench/MISSED.md` gives no reason. */
export async function unknownReasons(results: Results): Promise<string[]> {
  const reasons = reasonsOf(await read(REASONS));
  return targetsOf(results)
    .filter(({ what, reached }) => reached === false && !reasons.has(what))
    .map(({ what }) => what);
}

/** Returns all pages that depend on the results, by their paths. */
export async function pagesOf(results: Results): Promise<Map<string, string>> {
  const notes = await read("bench/NOTES.md");
  const reasons = reasonsOf(await read(REASONS));
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

/** Writes all pages that depend on the results. */
export async function writePages(results: Results): Promise<void> {
  for (const [path, text] of await pagesOf(results)) {
    await Deno.writeTextFile(new URL(path, ROOT), text);
  }
}

if (import.meta.main) {
  await writePages(JSON.parse(await read("bench/results.json")));
}
