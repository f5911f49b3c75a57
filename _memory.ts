// Copyright 2026 the lazyinit authors. MIT license.
// This module is browser compatible.

import { assertSharedMemory } from "./_checks.ts";

const words = new WeakMap<SharedArrayBuffer, Int32Array<SharedArrayBuffer>>();
const bytes = new WeakMap<SharedArrayBuffer, DataView<SharedArrayBuffer>>();

/** Slots, and all cells, begin at multiples of this: the size of the widest element. */
const SLOT_ALIGNMENT = 8;

/** Rounds a number of bytes up to where the next slot may begin. */
export function alignToSlot(byteLength: number): number {
  return Math.ceil(byteLength / SLOT_ALIGNMENT) * SLOT_ALIGNMENT;
}

/** Creates zeroed shared memory of `byteLength` bytes. */
export function allocate(byteLength: number): SharedArrayBuffer {
  assertSharedMemory();
  return new SharedArrayBuffer(byteLength);
}

/** Returns which word is at `byteOffset`; by division, as shifts end at 4 GiB. */
export function wordIndex(byteOffset: number): number {
  return byteOffset / Int32Array.BYTES_PER_ELEMENT;
}

/**
 * Returns the 32-bit words of `buffer`, in one view for all cells in it.
 *
 * The view has a fixed length, as length-tracking ones are slow to index, so a
 * buffer that has grown gets a new one for the cells that are placed in it later.
 */
export function wordsOf(
  buffer: SharedArrayBuffer,
): Int32Array<SharedArrayBuffer> {
  const length = Math.floor(wordIndex(buffer.byteLength));
  let view = words.get(buffer);
  if (view === undefined || view.length < length) {
    view = new Int32Array(buffer, 0, length);
    words.set(buffer, view);
  }
  return view;
}

/** Returns `buffer` as numbers of any type at any offset, in one view for all slots in it. */
export function dataViewOf(
  buffer: SharedArrayBuffer,
): DataView<SharedArrayBuffer> {
  let view = bytes.get(buffer);
  if (view === undefined) {
    view = new DataView(buffer);
    bytes.set(buffer, view);
  }
  return view;
}
