// Copyright 2026 the lazyinit authors. MIT license.

const ROOT = new URL("../", import.meta.url);

/** How long a command may take, in ms; npm may have to download a runtime. */
const PATIENCE = 600_000;

/** What came of a command. */
export interface Outcome {
  readonly success: boolean;
  readonly output: string;
  readonly messages: string;
}

/** Runs a command to its end, by default in the root of this repository. */
export async function execute(
  command: string,
  args: string[],
  cwd: URL | string = ROOT,
): Promise<Outcome> {
  // On Windows, npm and npx are scripts, which only a shell finds
  const needsShell = Deno.build.os === "windows" && /^np[mx]$/.test(command);
  const [name, ...before] = needsShell ? ["cmd", "/c", command] : [command];
  try {
    const { success, stdout, stderr } = await new Deno.Command(name!, {
      args: [...before, ...args],
      cwd,
      env: { NO_COLOR: "1" },
      signal: AbortSignal.timeout(PATIENCE),
    }).output();
    const decoder = new TextDecoder();
    return {
      success,
      output: decoder.decode(stdout),
      messages: decoder.decode(stderr),
    };
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new Error(
      `Cannot find ${command}: install Node, which brings npm and npx (Debian: apt-get install npm)`,
    );
  }
}

/** Runs a command, returns what it prints, and throws with all of that if it fails. */
export async function run(
  command: string,
  args: string[],
  cwd?: URL | string,
): Promise<string> {
  const { success, output, messages } = await execute(command, args, cwd);
  if (success) return output;
  throw new Error(`${command} ${args.join(" ")} failed\n${output}${messages}`);
}

/**
 * Returns the path of a runtime that npx brings. What npx runs cannot be ended by ending
 * npx.
 */
export async function findRuntime(name: string): Promise<string> {
  const print = name.startsWith("deno@")
    ? ["eval", "--print", "Deno.execPath()"]
    : ["--print", "process.execPath"];
  return (await run("npx", ["-y", name, ...print])).trim();
}
