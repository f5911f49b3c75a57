// Copyright 2026 the lazyinit authors. MIT license.

/* Prints how a cell cannot be made in a browser without shared memory; `isolated` is an argument. */

import process from "node:process";

Reflect.deleteProperty(globalThis, "SharedArrayBuffer");
const crossOriginIsolated = process.argv[2] === "isolated";
Object.assign(globalThis, { crossOriginIsolated });

const { int32, LazyInit } = await import("../../mod.ts");
try {
  new LazyInit(int32);
} catch (error) {
  process.stdout.write(`${error}`);
}
