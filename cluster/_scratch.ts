// Copyright 2026 the lazyinit authors. MIT license.

import { isInteger, wrongType } from "../_checks.ts";
import type { Codec, Slot } from "../codec.ts";
import { LayoutMismatchError } from "../errors.ts";

/** The bytes of a value as they travel. */
export interface Encoded {
  /** The length of the slot that the codec has used. */
  readonly byteLength: number;
  /** What is in the slot, without the zeroes at its end. */
  readonly bytes: Uint8Array;
}

/** How a codec declares that it is open: that its values have no size before they are made. */
interface OpenCodec {
  readonly open?: boolean;
}

/** Slots begin at multiples of this, and so do the fields of structs. */
const ALIGNMENT = 8;

/**
 * The memory that a codec writes to and reads from on the way to the store. It begins
 * as zeroes, so that what the codec does not write, such as padding, is zero, too.
 */
class Scratch implements Slot {
  buffer: SharedArrayBuffer;
  readonly byteOffset = 0;
  byteLength: number;
  readonly #maxByteLength: number;

  constructor(byteLength: number, maxByteLength: number) {
    this.buffer = allocate(byteLength);
    this.byteLength = byteLength;
    this.#maxByteLength = maxByteLength;
  }

  /** For open codecs: the slot, which has that length and its old content from now on. */
  resize(byteLength: number): Slot {
    if (!isInteger(byteLength, 0, Number.MAX_SAFE_INTEGER)) {
      const wanted = "be a number of bytes";
      throw wrongType("resize the slot", "byteLength", wanted, byteLength);
    }
    if (byteLength > this.#maxByteLength) {
      throw new RangeError(
        `Cannot resize the slot as 'byteLength' must be at most ${this.#maxByteLength}: current value is ${byteLength}`,
      );
    }
    const kept = this.bytes.subarray(0, byteLength);
    this.buffer = allocate(byteLength);
    this.byteLength = byteLength;
    this.bytes.set(kept);
    return this;
  }

  get bytes(): Uint8Array {
    return new Uint8Array(this.buffer, 0, this.byteLength);
  }
}

function allocate(byteLength: number): SharedArrayBuffer {
  return new SharedArrayBuffer(Math.ceil(byteLength / ALIGNMENT) * ALIGNMENT);
}

/** Turns a value into bytes. Throws what the codec throws. */
export function encodeValue<T>(codec: Codec<T>, value: T): Encoded {
  const { open } = codec as OpenCodec;
  const scratch = new Scratch(open ? 0 : codec.byteLength, codec.byteLength);
  codec.encode(value, scratch);
  const { bytes, byteLength } = scratch;
  let end = byteLength;
  while (end > 0 && bytes[end - 1] === 0) end--;
  // Copied, as a store need not accept shared memory
  return { byteLength, bytes: bytes.slice(0, end) };
}

/** Turns bytes into a value. Throws what the codec throws. */
export function decodeValue<T>(
  codec: Codec<T>,
  { byteLength, bytes }: Encoded,
): T {
  const { open } = codec as OpenCodec;
  if (
    byteLength > codec.byteLength || (!open && byteLength < codec.byteLength)
  ) {
    throw new LayoutMismatchError(
      `Cannot read the entry as its value must take ${
        open ? "at most " : ""
      }${codec.byteLength} bytes of ${codec.tag}: it takes ${byteLength}`,
    );
  }
  const scratch = new Scratch(byteLength, byteLength);
  scratch.bytes.set(bytes);
  return codec.decode(scratch);
}
