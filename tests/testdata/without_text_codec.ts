// Copyright 2026 the lazyinit authors. MIT license.

/*
 * Prints what codecs do where the platform lacks the class that the argument names, as an
 * AudioWorklet and jsdom do.
 */

import process from "node:process";

const [name] = process.argv.slice(2);
Reflect.deleteProperty(globalThis, name!);

const { int32, json, string } = await import("../../codec.ts");
const { encodeOpen, fixedSlot } = await import("../../_slot.ts");

const place = { buffer: new SharedArrayBuffer(8), byteOffset: 0 };
const slot = fixedSlot(place, int32.byteLength);
int32.encode(42, slot);
const lines = [`${int32.decode(slot)}`];
for (const codec of [string(4), json<string>(4)]) {
  try {
    const byteLength = encodeOpen(codec, "a", place, () => place);
    lines.push(codec.decode(fixedSlot(place, byteLength)));
  } catch (error) {
    lines.push(`${error}`);
  }
}
process.stdout.write(lines.join("\n"));
