// Copyright 2026 the lazyinit authors. MIT license.

/*
 * Runs all benchmarks and writes what came of them: `results.json`, `RESULTS.md`,
 * the charts, and the summary in the README.
 *
 * Each group runs in several processes, one after the other, with all other groups in
 * between, so that what happens on the machine meanwhile meets them all. Within a
 * process, subjects take turns. Ratios are those of samples of the same turn. Programs
 * that start servers and processes of their own run once.
 *
 * What fails is reported with its error, and is not tried again; the rest goes on.
 */

import { availableParallelism, cpus, totalmem } from "node:os";
import config from "../../deno.json" with { type: "json" };
import {
  type Codec,
  float64,
  json,
  LazyInit,
  MutexLazyInit,
  string,
  typedArray,
} from "../../mod.ts";
import { findRuntime } from "../../tests/_commands.ts";
import { jsonEncoding } from "../_json_encoding.ts";
import type { Figures } from "../_suite.ts";
import { suites } from "./measure.ts";
import { ROOT, unknownReasons, writePages } from "./pages.ts";
import {
  type GroupResult,
  type Results,
  spreadOf,
  type SubjectResult,
  type TableResult,
  type TableRow,
} from "./results.ts";
import type { Samples } from "./sampling.ts";

/** How many processes each group is measured in. */
const PROCESSES = 3;
/** How long one process may take, in ms. */
const PATIENCE = 60_000;
/** How long a program may take that starts others, in ms; it has a limit of its own. */
const PROGRAM_PATIENCE = 180_000;

/** How much of an error is reported, in characters. */
const LONGEST_MESSAGE = 300;

const HERE = new URL("./", import.meta.url);
const NATIVE_NAME = "read an initialized i32 in Rust";
/** Brought by npx, as the tests have them. */
const RUNTIMES = ["node@24", "bun@1.4.5"];
const ENGINES = ["sqlite", "etcd", "postgres", "deno-kv", "global-cache"];

async function print(text: string): Promise<void> {
  await Deno.stdout.write(new TextEncoder().encode(text));
}

/** Runs a program and returns what it printed. */
async function output(
  program: string,
  args: readonly string[],
  patience = PATIENCE,
): Promise<string> {
  const signal = AbortSignal.timeout(patience);
  const { success, stdout, stderr } = await new Deno.Command(program, {
    args: [...args],
    cwd: HERE,
    env: { NO_COLOR: "1" },
    stderr: "piped",
    signal,
  }).output();
  const text = new TextDecoder();
  if (signal.aborted) throw new Error(`It took more than ${patience} ms`);
  if (!success) {
    // Without what it has said before
    throw new Error(text.decode(stderr).trim().replace(/^[^]*error: /, ""));
  }
  return text.decode(stdout);
}

function deno(args: readonly string[], patience?: number): Promise<string> {
  return output(Deno.execPath(), args, patience);
}

/** One group, and the samples of each process that it was measured in. */
interface Task {
  readonly suite: string;
  readonly name: string;
  readonly operation: string;
  readonly processes: Samples[][];
  measure(): Promise<string>;
}

/** A program that prints rows of a table. */
interface Program {
  readonly suite: string;
  readonly table: string;
  readonly name: string;
  readonly args: readonly string[];
}

const PROGRAMS: readonly Program[] = [
  {
    suite: "server",
    table: "serve requests in 4 workers of `deno serve --parallel`",
    name: "load the server",
    args: ["../../examples/server/load.ts", "--json", "--seconds=4"],
  },
  ...ENGINES.map((engine) => ({
    suite: "cluster",
    table: "initialize a value of the cluster",
    name: `initialize once per cluster by ${engine}`,
    args: ["../cluster.ts", engine],
  })),
];

function tasksOf(flags: string[]): Task[] {
  return suites.flatMap(({ name: suite, groups }) =>
    groups.map(({ name, operation }) => ({
      suite,
      name,
      operation,
      processes: [],
      measure: () =>
        // lmdb takes them all
        deno([
          "run",
          "--no-check",
          "--allow-all",
          ...flags,
          "measure.ts",
          suite,
          name,
        ]),
    }))
  );
}

/** Measures in another runtime what depends on the engine. */
async function runtimeTask(runtime: string): Promise<Task> {
  const program = await findRuntime(runtime);
  const name = runtime.startsWith("node") ? "Node" : "Bun";
  const version = (await output(program, ["--version"])).trim();
  return {
    suite: "sizes",
    name: `${jsonEncoding.name} in ${name} ${version.replace("v", "")}`,
    operation: jsonEncoding.operation,
    processes: [],
    measure: () => output(program, ["elsewhere.ts"]),
  };
}

/** Compiles the reference in Rust, which takes a compiler and a linker. */
async function nativeTask(directory: string): Promise<Task> {
  const program = `${directory}/native`;
  await output("rustc", ["-O", "-o", program, "native.rs"]);
  return {
    suite: "read_path",
    name: NATIVE_NAME,
    operation: "read",
    processes: [],
    measure: () => output(program, []),
  };
}

/** Sums up what all processes have measured. */
function resultOf({ suite, name, operation, processes }: Task): GroupResult {
  const [first] = processes;
  const samplesOf = (subject: number) =>
    processes.flatMap((samples) => samples[subject]!.nanoseconds);
  const subjects = first!.map(({ name, baseline }, index) => ({
    name,
    baseline,
    samples: samplesOf(index),
    figures: largest(processes.map((samples) => samples[index]!.figures ?? {})),
  }));
  const baselines = subjects.filter(({ baseline }) => baseline);
  return {
    suite,
    name,
    operation,
    subjects: subjects.map(({ name, samples, figures }): SubjectResult => ({
      name,
      nanoseconds: spreadOf(samples),
      samples: samples.length,
      timesAsFast: Object.fromEntries(
        baselines.map((baseline) => [
          baseline.name,
          spreadOf(
            samples.map((nanoseconds, round) =>
              baseline.samples[round]! / nanoseconds
            ),
          ),
        ]),
      ),
      ...(Object.keys(figures).length === 0 ? {} : { figures }),
    })),
  };
}

/** Returns the largest number of each name. */
function largest(all: readonly Figures[]): Figures {
  const figures: Figures = {};
  for (const [name, value] of all.flatMap((it) => Object.entries(it))) {
    figures[name] = Math.max(figures[name] ?? value, value);
  }
  return figures;
}

async function versions(flags: string[]): Promise<Record<string, string>> {
  const { deno, v8 } = Deno.version;
  const versionOf = (name: keyof typeof config.imports) =>
    config.imports[name].split("@").at(-1)!;
  const peers = [
    "async-mutex",
    "multithreading",
    "lmdb",
    "@vitalets/global-cache",
    "postgres",
  ] as const;
  return {
    Deno: deno,
    V8: v8,
    ...Object.fromEntries(peers.map((name) => [name, versionOf(name)])),
    "@std/async": flags.length === 0
      ? versionOf("@std/async")
      : "in its stand-in from npm",
    ...await output("rustc", ["--version"]).then(
      (text) => ({ rustc: text.split(" ")[1]! }),
      () => ({}),
    ),
  };
}

/** What a cell takes beyond its value, at the most. */
function cellOverhead(): number {
  const codecs: readonly Codec<never>[] = [
    float64,
    string(64),
    json<number[]>(64),
    typedArray(Uint8Array, 64),
    typedArray(Uint8Array, { maxLength: 64 }),
  ] as unknown[] as Codec<never>[];
  return Math.max(
    ...[LazyInit, MutexLazyInit].flatMap((Cell) =>
      codecs.map((codec) => Cell.byteLength(codec) - codec.byteLength)
    ),
  );
}

const start = performance.now();
const elapsed = () => Math.round((performance.now() - start) / 1_000);

const skipped: string[] = [];
const failed: string[] = [];
const flags = (await deno(["task", "--quiet", "flags"])).split(" ")
  .filter((flag) => flag !== "");
const directory = await Deno.makeTempDir();
const tasks = tasksOf(flags);
const others: [string, () => Promise<Task>][] = [
  [`${NATIVE_NAME}: rustc`, () => nativeTask(directory)],
  ...RUNTIMES.map((runtime): [string, () => Promise<Task>] => [
    `${jsonEncoding.name}: ${runtime}`,
    () => runtimeTask(runtime),
  ]),
];
for (const [name, create] of others) {
  try {
    tasks.push(await create());
  } catch (error) {
    skipped.push(`${name} cannot be used here, ${(error as Error).message}`);
  }
}

/** Says what is measured; resolves with what was printed, or undefined if it has failed. */
async function attempt(
  position: string,
  name: string,
  measure: () => Promise<string>,
): Promise<unknown> {
  await print(`${elapsed()} s: ${position}, ${name}\n`);
  try {
    return JSON.parse(await measure());
  } catch (error) {
    const message = (error as Error).message.replaceAll(/\s+/g, " ")
      .slice(0, LONGEST_MESSAGE);
    // What has no server on this machine
    const missing = /Cannot find [^:]*: install it[^)]*\)?/.exec(message);
    if (missing === null) failed.push(`${name}: ${message}`);
    else skipped.push(`${name}: ${missing[0]}`);
    await print(`${name} has failed: ${message}\n`);
    return undefined;
  }
}

const tables: (TableResult & { rows: TableRow[] })[] = [];
for (const [index, { suite, table, name, args }] of PROGRAMS.entries()) {
  const rows = await attempt(
    `program ${index + 1} of ${PROGRAMS.length}`,
    name,
    () =>
      deno(
        ["run", "--no-check", "--allow-all", "--unstable-kv", ...args],
        PROGRAM_PATIENCE,
      ),
  );
  if (rows === undefined) continue;
  let result = tables.find(({ name }) => name === table);
  if (result === undefined) {
    tables.push(result = { suite, name: table, rows: [] });
  }
  result.rows.push(...rows as TableRow[]);
}

const broken = new Set<Task>();
for (let process = 0; process < PROCESSES; process++) {
  for (const [index, task] of tasks.entries()) {
    if (broken.has(task)) continue;
    const samples = await attempt(
      `${process * tasks.length + index + 1} of ${PROCESSES * tasks.length}`,
      `${task.suite}, ${task.name}`,
      task.measure,
    );
    if (samples === undefined) broken.add(task);
    else task.processes.push(samples as Samples[]);
  }
}
await Deno.remove(directory, { recursive: true });

const groups = tasks.filter(({ processes }) => processes.length > 0)
  .map(resultOf);
const [processor] = cpus();
const results: Results = {
  date: new Date().toISOString().slice(0, 10),
  seconds: elapsed(),
  machine: {
    processor: processor!.model,
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    system: `${Deno.build.os} ${Deno.osRelease()}`,
  },
  versions: await versions(flags),
  processes: PROCESSES,
  groups,
  tables,
  cellOverheadBytes: cellOverhead(),
  skipped,
  failed,
};
await Deno.writeTextFile(
  new URL("bench/results.json", ROOT),
  `${JSON.stringify(results, null, 2)}\n`,
);
await writePages(results);
await print(`${elapsed()} s: written to bench/RESULTS.md\n`);
const unknown = await unknownReasons(results);
for (const what of unknown) {
  await print(`Say in bench/MISSED.md why this is missed: ${what}\n`);
}
if (failed.length + unknown.length > 0) Deno.exitCode = 1;
