// Copyright 2026 the lazyinit authors. MIT license.

/*
 * Makes one fault after the other in a copy of the repository, and looks whether
 * the explorer or the tests notice. Prints what caught each, and fails if one was
 * not caught. Arguments choose mutants by the beginning of their names; after
 * `--from`, one that does has the run go on there.
 *
 * The scenarios and test files that a mutant names are asked first. If one of them
 * notices the fault, nothing else is run.
 */

import { mutants as ofMaps } from "./map_mutants.ts";
import { type Mutant, mutants as ofCells } from "./mutants.ts";
import { mutants as ofNames } from "./name_mutants.ts";

const ROOT = new URL("../../", import.meta.url);
/** How many times as long as without a mutation tests may take, … */
const PATIENCE = 3;
/** … and how much longer, in ms; then they hang. */
const GRACE = 10_000;
/** How long tests may take without a mutation, in ms. */
const TEST_TIMEOUT = 600_000;
/** How long the explorer may take for one, in ms; some mutants have schedules without end. */
const EXPLORER_TIMEOUT = 60_000;
const HANG = "hang";
/** Tests of what the explorer has seen, and of what has nothing to do with the modules. */
const IGNORED = [
  "bench_render",
  "bench",
  "browser_places",
  "closed_network",
  "docs",
  "package",
  "schedules",
  "workflows",
];
const ALL_TESTS = [
  `--ignore=${IGNORED.map((name) => `tests/${name}_test.ts`).join()}`,
  "tests/",
];

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

function firstLine(text: string): string {
  return text.trimStart().split("\n")[0]!;
}

/** Returns what one of the scenarios notices. */
async function explore(
  directory: string,
  scenarios: readonly string[],
): Promise<string | undefined> {
  if (scenarios.length === 0) return undefined;
  const output = await failureOf(directory, [
    "run",
    "--no-check",
    "--allow-read",
    "tests/schedules/explore.ts",
    ...scenarios,
  ], EXPLORER_TIMEOUT);
  // It notices threads that hang itself; otherwise there are just many schedules
  if (output === undefined || output === HANG) return undefined;
  const name = /^FAILED (\S+)/m.exec(output)?.[1];
  return `scenario ${name ?? firstLine(output)}`;
}

/** How long tests may take with a mutation, in ms, by their arguments. */
const timeouts = new Map<string, number>();

/** Returns what the tests notice; they must pass without a mutation. */
async function test(
  directory: string,
  mutation: Mutation,
  tests: string[],
): Promise<string | undefined> {
  const args = [
    "test",
    "--no-check",
    "--fail-fast",
    "--allow-read",
    "--allow-run",
    ...flags,
    ...tests,
  ];
  const key = tests.join(" ");
  let timeout = timeouts.get(key);
  if (timeout === undefined) {
    const start = performance.now();
    await mutation.undo();
    const failure = await failureOf(directory, args, TEST_TIMEOUT);
    if (failure !== undefined) {
      throw new Error(`The tests fail without any mutation: ${failure}`);
    }
    await mutation.make();
    timeout = PATIENCE * (performance.now() - start) + GRACE;
    timeouts.set(key, timeout);
  }
  const output = await failureOf(directory, args, timeout);
  if (output === undefined) return undefined;
  if (output === HANG) return `tests that hang: ${key}`;
  return `test ${
    /^(.+) \.\.\. ?FAILED/m.exec(output)?.[1] ?? firstLine(output)
  }`;
}

/** What is wrong in the copy. */
interface Mutation {
  make(): Promise<void>;
  undo(): Promise<void>;
}

async function mutationOf(
  directory: string,
  { name, file, from, to }: Mutant,
): Promise<Mutation> {
  const path = `${directory}/${file}`;
  const source = await Deno.readTextFile(path);
  if (source.split(from).length !== 2) {
    throw new Error(`${file} must have the text of "${name}" once: ${from}`);
  }
  const mutated = source.replace(from, () => to);
  return {
    make: () => Deno.writeTextFile(path, mutated),
    undo: () => Deno.writeTextFile(path, source),
  };
}

/** Returns what notices the mutant. */
async function catcher(
  directory: string,
  mutant: Mutant,
): Promise<string | undefined> {
  const { scenarios = [], tests = [] } = mutant;
  const mutation = await mutationOf(directory, mutant);
  await mutation.make();
  try {
    const caught = await explore(directory, scenarios);
    if (caught !== undefined) return caught;
    for (const asked of tests) {
      const [name, filter = ""] = asked.split(":");
      const args = [`--filter=${filter}`, `tests/${name}_test.ts`];
      const caught = await test(directory, mutation, args);
      if (caught !== undefined) return caught;
    }
    return await test(directory, mutation, ALL_TESTS);
  } finally {
    await mutation.undo();
  }
}

async function flagsOf(): Promise<string[]> {
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["task", "--quiet", "flags"],
    cwd: ROOT,
  }).output();
  const text = new TextDecoder().decode(stdout).trim();
  return text === "" ? [] : [text];
}

const mutants: readonly Mutant[] = [...ofCells, ...ofMaps, ...ofNames];

function choose([first, ...rest]: string[]): readonly Mutant[] {
  if (first === undefined) return mutants;
  if (first !== "--from") {
    return mutants.filter(({ name }) =>
      [first, ...rest].some((prefix) => name.startsWith(prefix))
    );
  }
  const index = mutants.findIndex(({ name }) =>
    name.startsWith(rest.join(" "))
  );
  return index === -1 ? [] : mutants.slice(index);
}

const flags = await flagsOf();
const chosen = choose(Deno.args);
const directory = await Deno.makeTempDir();
let survivors = 0;
try {
  await copy(ROOT, directory);
  for (const mutant of mutants) await mutationOf(directory, mutant);
  const failure = await explore(directory, ["mutex-2"]);
  if (failure !== undefined) {
    throw new Error(`The modules fail without any mutation: ${failure}`);
  }
  await print("| mutant | caught by |\n| --- | --- |\n");
  for (const mutant of chosen) {
    const caught = await catcher(directory, mutant);
    if (caught === undefined) survivors++;
    await print(`| ${mutant.name} | ${caught ?? "NOTHING"} |\n`);
  }
} finally {
  await Deno.remove(directory, { recursive: true });
}
await print(`\n${chosen.length} mutants, ${survivors} survived\n`);
if (survivors > 0) Deno.exit(1);
