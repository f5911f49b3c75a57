// Copyright 2026 the lazyinit authors. MIT license.

import {
  bigInt64,
  bool,
  type Codec,
  float64,
  int32,
  json,
  string,
  struct,
  typedArray,
  uint32,
} from "../mod.ts";

/** A codec of every kind, … */
export const codecs: Record<string, Codec<unknown>> = {
  bool,
  int32,
  uint32,
  float64,
  bigInt64,
  string: string(32),
  json: json(64),
  typedArray: typedArray(Uint16Array, 3),
  struct: struct({ id: int32, name: string(16), at: struct({ x: float64 }) }),
};

/** … and a value for it. */
export const values: Record<keyof typeof codecs, unknown> = {
  bool: true,
  int32: -(2 ** 31),
  uint32: 2 ** 32 - 1,
  float64: -0.1,
  bigInt64: -(2n ** 63n),
  string: "\ufeffNairobi 🦒",
  json: { list: [1, null, "Zürich"], nested: { deep: true } },
  typedArray: new Uint16Array([1, 2, 65535]),
  struct: { id: 7, name: "Auckland", at: { x: 174.76 } },
};
