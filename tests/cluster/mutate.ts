// Copyright 2026 the lazyinit authors. MIT license.

/*
 * Makes one fault after the other in a copy of the modules, and looks whether the
 * simulation notices. Prints what each violates, and fails if one is not noticed.
 * Arguments choose mutants by the beginning of their names.
 */

import { mutants } from "./mutants.ts";

const ROOT = new URL("../../", import.meta.url);
/** What the simulation is made of, from the root. */
const FOLDERS = ["", "cluster/", "tests/cluster/"];
/** The seed and how many steps must be enough. */
const ARGS = ["--quick", "1", "400000"];
const TIMEOUT = 300_000;

async function print(text: string): Promise<void> {
  await Deno.stdout.write(new TextEncoder().encode(text));
}

/** Runs the simulation in the copy, and returns what it says if it fails. */
async function failureOf(directory: string): Promise<string | undefined> {
  const { code, signal, stdout, stderr } = await new Deno.Command(
    Deno.execPath(),
    {
      args: ["run", "--no-check", "tests/cluster/simulate.ts", ...ARGS],
      cwd: directory,
      env: { NO_COLOR: "1" },
      signal: AbortSignal.timeout(TIMEOUT),
      stderr: "piped",
    },
  ).output();
  if (signal !== null) return "hang";
  if (code === 0) return undefined;
  const decoder = new TextDecoder();
  const output = decoder.decode(stdout) + decoder.decode(stderr);
  return /^FAILED (.*)$/m.exec(output)?.[1] ?? output.trim().split("\n")[0];
}

const chosen = mutants.filter(({ name }) =>
  Deno.args.length === 0 || Deno.args.some((prefix) => name.startsWith(prefix))
);
const directory = await Deno.makeTempDir();
let survivors = 0;
try {
  for (const folder of FOLDERS) {
    await Deno.mkdir(`${directory}/${folder}`, { recursive: true });
    for await (const { name, isFile } of Deno.readDir(new URL(folder, ROOT))) {
      if (!isFile || !/\.(ts|json)$/.test(name)) continue;
      await Deno.copyFile(
        new URL(folder + name, ROOT),
        `${directory}/${folder}${name}`,
      );
    }
  }
  const failure = await failureOf(directory);
  if (failure !== undefined) {
    throw new Error(`The modules fail without any mutation: ${failure}`);
  }
  await print("| mutant | noticed by |\n| --- | --- |\n");
  for (const { name, file, from, to } of chosen) {
    const path = `${directory}/${file}`;
    const source = await Deno.readTextFile(path);
    if (source.split(from).length !== 2) {
      throw new Error(`${file} must have the text of "${name}" once: ${from}`);
    }
    await Deno.writeTextFile(path, source.replace(from, () => to));
    const caught = await failureOf(directory);
    await Deno.writeTextFile(path, source);
    if (caught === undefined) survivors++;
    await print(`| ${name} | ${caught ?? "NOTHING"} |\n`);
  }
} finally {
  await Deno.remove(directory, { recursive: true });
}
await print(`\n${chosen.length} mutants, ${survivors} survived\n`);
if (survivors > 0) Deno.exit(1);
