// Copyright 2026 the lazyinit authors. MIT license.

/*
 * Makes one fault after the other in a copy of the repository, and looks whether
 * the explorer or the tests notice. Prints what caught each, and fails if one was
 * not caught. Arguments choose mutants by the beginning of their names.
 */

import { mutants as ofMaps } from "./map_mutants.ts";
import { mutants as ofCells } from "./mutants.ts";

const ROOT = new URL("../../", import.meta.url);
/** How many times as long as without a mutation the tests may take; then they hang. */
const PATIENCE = 2;
const HANG = "hang";
/** Tests of what the explorer has seen, and of what has nothing to do with the modules. */
const IGNORED = [
  "bench_render",
  "bench",
  "closed_network",
  "docs",
  "package",
  "schedules",
  "workflows",
];
/** How long the explorer may take for one, in ms; some mutants have schedules without end. */
const EXPLORER_TIMEOUT = 60_000;
/** How long the tests may take, in ms. */
let testTimeout = 600_000;

async function print(text: string): Promise<void> {
  await Deno.stdout.write(new TextEncoder().encode(text));
}

async function copy(from: URL, to: string): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  for await (const { name, isDirectory } of Deno.readDir(from)) {
    if (/^(\.git|coverage|docs|node_modules)$/.test(name)) continue;
    if (isDirectory) await copy(new URL(`${name}/`, from), `${to}/${name}`);
    else await Deno.copyFile(new URL(name, from), `${to}/${name}`);
  }
}

/** Runs deno in the copy, and returns what it printed if it failed, else `undefined`. */
async function failureOf(
  directory: string,
  args: string[],
  timeout: number,
): Promise<string | undefined> {
  const command = new Deno.Command(Deno.execPath(), {
    args,
    cwd: directory,
    env: { NO_COLOR: "1" },
    signal: AbortSignal.timeout(timeout),
    stderr: "piped",
  });
  const { code, signal, stdout, stderr } = await command.output();
  if (signal !== null) return HANG;
  if (code === 0) return undefined;
  return new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
}

/** What notices the fault in the copy. */
async function catcher(
  directory: string,
  scenarios: readonly string[],
): Promise<string | undefined> {
  if (scenarios.length > 0) {
    const output = await failureOf(directory, [
      "run",
      "--no-check",
      "--allow-read",
      "tests/schedules/explore.ts",
      ...scenarios,
    ], EXPLORER_TIMEOUT);
    // It notices threads that hang itself; otherwise there are just many schedules
    if (output !== undefined && output !== HANG) {
      return `scenario ${
        /^FAILED (\S+)/m.exec(output)?.[1] ?? firstLine(output)
      }`;
    }
  }
  const output = await failureOf(directory, [
    "test",
    "--no-check",
    "--fail-fast",
    "--allow-read",
    "--allow-run",
    ...flags,
    `--ignore=${IGNORED.map((name) => `tests/${name}_test.ts`).join()}`,
    "tests/",
  ], testTimeout);
  if (output === undefined) return undefined;
  if (output === HANG) return "tests that hang";
  return `test ${
    /^(.+) \.\.\. ?FAILED/m.exec(output)?.[1] ?? firstLine(output)
  }`;
}

function firstLine(text: string): string {
  return text.trimStart().split("\n")[0]!;
}

async function flagsOf(): Promise<string[]> {
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["task", "--quiet", "flags"],
    cwd: ROOT,
  }).output();
  const text = new TextDecoder().decode(stdout).trim();
  return text === "" ? [] : [text];
}

const flags = await flagsOf();
const chosen = [...ofCells, ...ofMaps].filter(({ name }) =>
  Deno.args.length === 0 || Deno.args.some((prefix) => name.startsWith(prefix))
);
const directory = await Deno.makeTempDir();
let survivors = 0;
try {
  await copy(ROOT, directory);
  const start = performance.now();
  const failure = await catcher(directory, ["mutex-2"]);
  if (failure !== undefined) {
    throw new Error(`The modules fail without any mutation: ${failure}`);
  }
  testTimeout = PATIENCE * (performance.now() - start);
  await print("| mutant | caught by |\n| --- | --- |\n");
  for (const { name, file, from, to, scenarios } of chosen) {
    const path = `${directory}/${file}`;
    const source = await Deno.readTextFile(path);
    if (source.split(from).length !== 2) {
      throw new Error(`${file} must have the text of "${name}" once: ${from}`);
    }
    await Deno.writeTextFile(path, source.replace(from, () => to));
    const caught = await catcher(directory, scenarios);
    await Deno.writeTextFile(path, source);
    if (caught === undefined) survivors++;
    await print(`| ${name} | ${caught ?? "NOTHING"} |\n`);
  }
} finally {
  await Deno.remove(directory, { recursive: true });
}
await print(`\n${chosen.length} mutants, ${survivors} survived\n`);
if (survivors > 0) Deno.exit(1);
