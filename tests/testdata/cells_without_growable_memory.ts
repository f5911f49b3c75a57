// Copyright 2026 the lazyinit authors. MIT license.

/* Prints what becomes of open cells where shared memory cannot grow. */

import process from "node:process";

Reflect.deleteProperty(SharedArrayBuffer.prototype, "grow");

const { MutexLazyInit, string, typedArray } = await import("../../mod.ts");

const cell = new MutexLazyInit(
  typedArray(Uint8Array, { maxLength: 1_000_000 }),
);
const allocated = cell.handle.buffer.byteLength;
cell.init((_slot, allocate) => {
  const view = allocate(3);
  view.set([1, 2, 3]);
});
const text = new MutexLazyInit(string());
text.init(() => "Zürich");
const values = [[...cell.value], text.value];
cell.reset();
const result = cell.tryInit((_slot, allocate) => allocate(1_000_001));
process.stdout.write(JSON.stringify({
  allocated,
  values,
  refused: result.ok || result.reason !== "during-init"
    ? ""
    : (result.error as Error).message,
  phase: cell.phase,
}));
