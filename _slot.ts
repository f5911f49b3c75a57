// Copyright 2026 the lazyinit authors. MIT license.
// This module is browser compatible.

import { isInteger, outOfRange } from "./_checks.ts";
import type { Codec, Slot } from "./codec.ts";

/** The most bytes that a slot may have, so that 32 bits hold its length. */
export const MAX_SLOT_BYTES: number = 2 ** 32 - 8;

/** Where a slot begins. */
export interface Start {
  readonly buffer: SharedArrayBuffer;
  readonly byteOffset: number;
}

/** Returns a slot that keeps its length: of a fixed codec, or of a value that is written. */
export function fixedSlot(
  { buffer, byteOffset }: Start,
  byteLength: number,
): Slot {
  return { buffer, byteOffset, byteLength, resize: refuseResize };
}

/**
 * Encodes `value` by an open codec and returns how many bytes it takes.
 *
 * The value may be a view of what is at `place`, so that stays as it is until `encode`
 * resizes the slot. `reserve` then makes room for so many bytes and returns where they
 * begin. It keeps what is written already, and what it adds is zero.
 */
export function encodeOpen<T>(
  codec: Codec<T>,
  value: T,
  { buffer, byteOffset }: Start,
  reserve: (byteLength: number) => Start,
): number {
  let written: number | undefined;
  let encoding = true;
  function resize(byteLength: number): Slot {
    if (!encoding) refuseResize();
    assertFits(byteLength, codec);
    const { buffer, byteOffset } = reserve(byteLength);
    written = byteLength;
    return { buffer, byteOffset, byteLength, resize };
  }

  try {
    codec.encode(value, { buffer, byteOffset, byteLength: 0, resize });
  } finally {
    encoding = false;
  }
  if (written !== undefined) return written;
  throw new TypeError(
    `Cannot encode ${codec.tag} as an open codec must give its slot a length: its 'encode' has not called 'slot.resize()'`,
  );
}

/** Throws unless an open codec's slot may have `byteLength` bytes. */
export function assertFits(
  byteLength: unknown,
  { tag, byteLength: bound }: Pick<Codec<unknown>, "tag" | "byteLength">,
): asserts byteLength is number {
  if (isInteger(byteLength, 0, bound)) return;
  if (isInteger(byteLength, 0, Number.MAX_SAFE_INTEGER)) {
    throw new RangeError(
      `Cannot encode ${tag} as 'value' must take at most ${bound} bytes: it takes ${byteLength}`,
    );
  }
  const wanted = `be an integer from 0 to ${bound}`;
  const action = `resize the slot of ${tag}`;
  throw outOfRange(action, "byteLength", wanted, byteLength);
}

function refuseResize(): never {
  throw new TypeError(
    "Cannot resize the slot as its codec must be open and encoding a value: it is fixed, or encoding has ended",
  );
}
