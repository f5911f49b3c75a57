// Copyright 2026 the lazyinit authors. MIT license.

import { assertEquals } from "@std/assert";
import { execute, findRuntime } from "../_commands.ts";
import { CASES, type Result } from "../conformance/suite.ts";
import { bundle } from "./_bundle.ts";
import { install, type Installation } from "./_packed.ts";

/** Runs the suite in a runtime, and reports what comes of each case; throws if it ends early. */
type Run = (report: (result: Result) => void) => Promise<void>;

/**
 * Installs the package for all tests of a file, with modules of the suite beside it.
 * Returns a function that tells where.
 */
export function installSuite(...modules: string[]): () => string {
  let installation: Installation;
  Deno.test.beforeAll(async () => {
    installation = await install();
    await bundle(
      installation.path,
      ...modules.map((name) => `tests/conformance/${name}`),
    );
  });
  Deno.test.afterAll(async () => await installation[Symbol.asyncDispose]());
  return () => installation.path;
}

/** A test for each case, of a suite that runs in another runtime, once for all of them. */
export function testConformance(runtime: string, run: Run): void {
  const results = new Map<string, Result>();
  let finished: Promise<unknown> | undefined;
  async function finish(): Promise<unknown> {
    finished ??= run((result) => results.set(result.name, result))
      .catch((error) => error);
    return await finished;
  }
  for (const { name } of CASES) {
    Deno.test(`${name} (${runtime})`, async () => {
      const failure = await finish();
      const { error } = results.get(name) ??
        { error: `It has not come to this: ${failure}` };
      if (error !== undefined) throw new Error(error);
    });
  }
  Deno.test(`the suite comes to its end (${runtime})`, async () => {
    assertEquals(await finish(), undefined);
  });
}

/** As {@linkcode testConformance}, in one that npx brings and that prints a result a line. */
export function testRuntime(
  name: string,
  runtime: string,
  directory: () => string,
  ...args: string[]
): void {
  testConformance(name, async (report) => {
    const command = await findRuntime(runtime);
    const { success, output, messages } = await execute(
      command,
      args,
      directory(),
    );
    // Each ends with a line break, unless the command has ended in the middle
    for (const line of output.split("\n").slice(0, -1)) {
      report(JSON.parse(line));
    }
    if (!success) throw new Error(`${command} ended early\n${messages}`);
  });
}

/** The modules as they are, for runtimes that take TypeScript. */
export const SOURCE = import.meta.resolve("../../mod.ts");
/** The modules as a user of npm gets them. */
export const PACKED = "@lazyinit/lazyinit";
