// Copyright 2026 the lazyinit authors. MIT license.

/* Slots without a cell, as codecs alone are tested with them. */

import { assert } from "@std/assert";
import { encodeOpen, fixedSlot, type Start } from "../_slot.ts";
import type { Codec, Slot } from "../codec.ts";

/** Bytes before and after a slot, all of them {@linkcode GUARD}. */
const GUARD_BYTES = 16;
const GUARD = 0xa5;

/** Encodes a value and returns the slot that it is in, as `decode` gets it. */
export function encoded<T>(codec: Codec<T>, value: T): Slot {
  if (codec.open !== true) {
    const slot = fixedSlot(guarded(codec.byteLength), codec.byteLength);
    codec.encode(value, slot);
    assertGuarded(slot);
    return slot;
  }
  let place = guarded(0);
  let length = 0;
  const written = encodeOpen(codec, value, place, (byteLength) => {
    // Each time in other memory, so that nothing is written where the slot was before
    const moved = guarded(byteLength);
    const kept = Math.min(length, byteLength);
    bytesOf(fixedSlot(moved, kept)).set(bytesOf(fixedSlot(place, kept)));
    length = byteLength;
    return place = moved;
  });
  const slot = fixedSlot(place, written);
  assertGuarded(slot);
  return slot;
}

/** Encodes a value and decodes it, as another agent does. */
export function roundTripped<T>(codec: Codec<T>, value: T): T {
  return codec.decode(encoded(codec, value));
}

export function bytesOf({ buffer, byteOffset, byteLength }: Slot): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

/** Returns zeroed memory for `byteLength` bytes between guards. */
function guarded(byteLength: number): Start {
  const size = GUARD_BYTES + byteLength + GUARD_BYTES;
  const buffer = new SharedArrayBuffer(size);
  new Uint8Array(buffer).fill(GUARD).fill(0, GUARD_BYTES, size - GUARD_BYTES);
  return { buffer, byteOffset: GUARD_BYTES };
}

function assertGuarded({ buffer, byteOffset, byteLength }: Slot): void {
  const guards = [
    ...new Uint8Array(buffer, 0, byteOffset),
    ...new Uint8Array(buffer, byteOffset + byteLength),
  ];
  assert(guards.every((byte) => byte === GUARD), "wrote outside of the slot");
}
