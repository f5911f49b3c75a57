// Copyright 2026 the lazyinit authors. MIT license.

const ROOT = new URL("../../", import.meta.url);

/** A new directory in which the package is installed as a user of npm gets it. */
export interface Installation extends AsyncDisposable {
  readonly path: string;
}

/** Runs a command to its end, and throws with what it printed if it fails. */
export async function run(
  command: string,
  args: string[],
  cwd: URL | string = ROOT,
): Promise<string> {
  // On Windows, npm and npx are scripts, which only a shell finds
  const [name, ...before] = Deno.build.os === "windows"
    ? ["cmd", "/c", command]
    : [command];
  const { success, stdout, stderr } = await new Deno.Command(name!, {
    args: [...before, ...args],
    cwd,
    env: { NO_COLOR: "1" },
  }).output();
  const [output, messages] = [stdout, stderr].map((bytes) =>
    new TextDecoder().decode(bytes)
  );
  if (success) return output!;
  throw new Error(`${command} ${args.join(" ")} failed\n${output}${messages}`);
}

/** Packs the modules, and installs them and `packages` from npm. */
export async function install(...packages: string[]): Promise<Installation> {
  const path = await Deno.makeTempDir({ prefix: "lazyinit_" });
  const remove = () => Deno.remove(path, { recursive: true });
  try {
    const archive = `${path}/lazyinit.tgz`;
    await run(Deno.execPath(), ["pack", "--allow-dirty", "-o", archive]);
    await Deno.writeTextFile(`${path}/package.json`, '{ "type": "module" }');
    await run(
      "npm",
      ["install", "--no-audit", "--no-fund", archive, ...packages],
      path,
    );
  } catch (error) {
    await remove();
    throw error;
  }
  return { path, [Symbol.asyncDispose]: remove };
}
