// Copyright 2026 the lazyinit authors. MIT license.

async function exists(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(path)).isFile;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Returns the path of a browser that the machine has, or else says how to install it. */
export async function findExecutable(
  name: string,
  { variable, paths, installation }: {
    /** An environment variable that may say where it is. */
    variable: string;
    /** Where installers put it. */
    paths: readonly string[];
    /** A command that installs it on Debian. */
    installation: string;
  },
): Promise<string> {
  const wanted = Deno.env.get(variable);
  const candidates = wanted === undefined ? paths : [wanted];
  for (const path of candidates) if (await exists(path)) return path;
  throw new Error(
    `Cannot find ${name} at ${
      candidates.join(", ")
    }: install it (Debian: ${installation}), or set ${variable} to its path`,
  );
}
