// Copyright 2026 the lazyinit authors. MIT license.

/*
 * A second copy of the whole package in this thread, as a program has it that installs two
 * versions: each module of it is loaded once more. In Deno and in Node from 22.15.
 */

import * as modules from "node:module";

interface Resolved {
  readonly url: string;
}

interface Context {
  readonly parentURL?: string;
}

const { registerHooks } = modules as unknown as {
  registerHooks(hooks: {
    resolve(
      specifier: string,
      context: Context,
      next: (specifier: string, context: Context) => Resolved,
    ): Resolved;
  }): void;
};
const MARK = "?copy";
let registered = false;

/** Returns the copy, which is the same each time. */
export async function importCopy(): Promise<typeof import("../mod.ts")> {
  if (!registered) {
    registered = true;
    registerHooks({
      resolve(specifier, context, next) {
        const resolved = next(specifier, context);
        return context.parentURL?.endsWith(MARK)
          ? { ...resolved, url: `${resolved.url}${MARK}` }
          : resolved;
      },
    });
  }
  return await import(`../mod.ts${MARK}`);
}
