// Copyright 2026 the lazyinit authors. MIT license.

/*
 * Runs all benchmarks and writes what came of them: `results.json`, `RESULTS.md`,
 * the charts, and the summary in the README.
 *
 * Each group runs in several processes, one after the other, with all other groups in
 * between, so that what happens on the machine meanwhile meets them all. Within a
 * process, subjects take turns. Ratios are those of samples of the same turn.
 */

import { availableParallelism, cpus, totalmem } from "node:os";
import config from "../../deno.json" with { type: "json" };
import { float64, LazyInit, MutexLazyInit } from "../../mod.ts";
import { type Samples, suites } from "./measure.ts";
import { pagesOf, ROOT } from "./pages.ts";
import {
  type GroupResult,
  type Results,
  spreadOf,
  type SubjectResult,
} from "./results.ts";

/** How many processes each group is measured in. */
const PROCESSES = 3;
/** How long one process may take, in ms. */
const PATIENCE = 60_000;

const HERE = new URL("./", import.meta.url);
const NATIVE_NAME = "read an initialized i32 in Rust";

async function print(text: string): Promise<void> {
  await Deno.stdout.write(new TextEncoder().encode(text));
}

/** Runs a program and returns what it printed. */
async function output(program: string, ...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, {
    args,
    cwd: HERE,
    env: { NO_COLOR: "1" },
    stderr: "piped",
    signal: AbortSignal.timeout(PATIENCE),
  }).output();
  const text = new TextDecoder();
  if (!success) {
    throw new Error(`${program} ${args[0]} has failed: ${text.decode(stderr)}`);
  }
  return text.decode(stdout);
}

function deno(...args: string[]): Promise<string> {
  return output(Deno.execPath(), ...args);
}

/** One group, and the samples of each process that it was measured in. */
interface Task {
  readonly suite: string;
  readonly name: string;
  readonly operation: string;
  readonly processes: Samples[][];
  measure(): Promise<string>;
}

function tasksOf(flags: string[]): Task[] {
  return suites.flatMap(({ name: suite, groups }) =>
    groups.map(({ name, operation }) => ({
      suite,
      name,
      operation,
      processes: [],
      measure: () =>
        deno(
          "run",
          "--no-check",
          "--allow-read",
          ...flags,
          "measure.ts",
          suite,
          name,
        ),
    }))
  );
}

/** Compiles the reference in Rust, which takes a compiler and a linker. */
async function nativeTask(directory: string): Promise<Task> {
  const program = `${directory}/native`;
  await output("rustc", "-O", "-o", program, "native.rs");
  return {
    suite: "read_path",
    name: NATIVE_NAME,
    operation: "read",
    processes: [],
    measure: () => output(program),
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
  }));
  const baselines = subjects.filter(({ baseline }) => baseline);
  return {
    suite,
    name,
    operation,
    subjects: subjects.map(({ name, samples }): SubjectResult => ({
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
    })),
  };
}

async function versions(flags: string[]): Promise<Record<string, string>> {
  const { deno, v8 } = Deno.version;
  const versionOf = (name: "@std/async" | "async-mutex" | "multithreading") =>
    config.imports[name].split("@").at(-1)!;
  return {
    Deno: deno,
    V8: v8,
    "async-mutex": versionOf("async-mutex"),
    multithreading: versionOf("multithreading"),
    "@std/async": flags.length === 0
      ? versionOf("@std/async")
      : "in its stand-in from npm",
    ...await output("rustc", "--version").then(
      (text) => ({ rustc: text.split(" ")[1]! }),
      () => ({}),
    ),
  };
}

const start = performance.now();
const elapsed = () => Math.round((performance.now() - start) / 1_000);

const skipped: string[] = [];
const flags = (await deno("task", "--quiet", "flags")).split(" ")
  .filter((flag) => flag !== "");
const directory = await Deno.makeTempDir();
const tasks = tasksOf(flags);
try {
  tasks.push(await nativeTask(directory));
} catch (error) {
  skipped.push(
    `${NATIVE_NAME}: rustc cannot be used here, ${(error as Error).message}`,
  );
}

for (let process = 0; process < PROCESSES; process++) {
  for (const [index, task] of tasks.entries()) {
    const done = process * tasks.length + index + 1;
    await print(
      `${elapsed()} s: ${done} of ${
        PROCESSES * tasks.length
      }, ${task.suite}, ${task.name}\n`,
    );
    task.processes.push(JSON.parse(await task.measure()));
  }
}
await Deno.remove(directory, { recursive: true });

const groups = tasks.map(resultOf);
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
  cellOverheadBytes: Math.max(
    ...[LazyInit, MutexLazyInit].map((Cell) => Cell.byteLength(float64)),
  ) - float64.byteLength,
  skipped,
};
await Deno.writeTextFile(
  new URL("bench/results.json", ROOT),
  `${JSON.stringify(results, null, 2)}\n`,
);
for (const [path, text] of await pagesOf(results)) {
  await Deno.writeTextFile(new URL(path, ROOT), text);
}
await print(`${elapsed()} s: written to bench/RESULTS.md\n`);
