// Copyright 2026 the lazyinit authors. MIT license.

import { float64, LazyInit, type LazyInitHandle } from "../mod.ts";

const HEADER_BYTES = LazyInit.byteLength(float64) - float64.byteLength;

/** The memory of a cell's value, in a buffer that ends with it. */
export function slotOf(
  { handle: { buffer, byteOffset } }: { handle: LazyInitHandle },
): Uint8Array {
  return new Uint8Array(buffer, byteOffset + HEADER_BYTES);
}

/** Whether a cell has left nothing of any value in its memory. */
export function isSlotZeroed(cell: { handle: LazyInitHandle }): boolean {
  return slotOf(cell).every((byte) => byte === 0);
}
