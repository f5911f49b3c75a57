// Copyright 2026 the lazyinit authors. MIT license.

/*
 * Prints what codecs do where the platform lacks the class that the argument names, as an
 * AudioWorklet and jsdom do.
 */

import process from "node:process";

const [name] = process.argv.slice(2);
Reflect.deleteProperty(globalThis, name!);

const { int32, json, LazyInit, string } = await import("../../mod.ts");
const lines = [`${new LazyInit(int32).initOnce(42)}`];
for (const codec of [string(4), json<string>(4)]) {
  try {
    new LazyInit(codec).initOnce("a");
  } catch (error) {
    lines.push(`${error}`);
  }
}
process.stdout.write(lines.join("\n"));
