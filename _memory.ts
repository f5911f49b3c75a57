// Copyright 2026 the lazyinit authors. MIT license.
// This module is browser compatible.

import { isInteger, outOfRange, wrongType } from "./_checks.ts";

const words = new WeakMap<SharedArrayBuffer, Int32Array<SharedArrayBuffer>>();
const bytes = new WeakMap<SharedArrayBuffer, DataView<SharedArrayBuffer>>();

/** Slots, and all cells, begin at multiples of this: the size of the widest element. */
const SLOT_ALIGNMENT = 8;

/** Rounds a number of bytes up to where the next slot may begin. */
export function alignToSlot(byteLength: number): number {
  return Math.ceil(byteLength / SLOT_ALIGNMENT) * SLOT_ALIGNMENT;
}

/** Returns zeroed shared memory of `byteLength` bytes. */
export function allocate(byteLength: number): SharedArrayBuffer {
  assertSharedMemory();
  return allocated(byteLength, () => new SharedArrayBuffer(byteLength));
}

function allocated(
  byteLength: number,
  allocate: () => SharedArrayBuffer,
): SharedArrayBuffer {
  try {
    return allocate();
  } catch (error) {
    throw new RangeError(
      `Cannot allocate ${byteLength} bytes as the platform must provide them: it has refused`,
      { cause: error },
    );
  }
}

/** A `SharedArrayBuffer` of a platform where these may grow. */
interface GrowableBuffer extends SharedArrayBuffer {
  readonly growable: boolean;
  readonly maxByteLength: number;
  grow(byteLength: number): void;
}

/** The memory of WebAssembly grows by whole pages. */
const PAGE_BYTES = 65_536;
/** If more bytes than this may stay unused, memory that can grow costs less. */
const MIN_GROWABLE = 65_536;

/** Whether shared memory can grow on this platform. */
export function canGrow(): boolean {
  return "grow" in (globalThis.SharedArrayBuffer?.prototype ?? {});
}

/** Returns zeroed shared memory that can grow to `maxByteLength` bytes, and is small at first. */
export function allocateGrowable(
  byteLength: number,
  maxByteLength: number,
): SharedArrayBuffer {
  assertSharedMemory();
  if (maxByteLength - byteLength <= MIN_GROWABLE || !canGrow()) {
    return allocate(maxByteLength);
  }
  // Older libraries of TypeScript do not know the option
  const Growable = SharedArrayBuffer as new (
    byteLength: number,
    options: { maxByteLength: number },
  ) => SharedArrayBuffer;
  return allocated(
    maxByteLength,
    () => new Growable(byteLength, { maxByteLength }),
  );
}

/** The most bytes that the buffer may ever have. */
export function maxByteLengthOf(buffer: SharedArrayBuffer): number {
  const { growable, maxByteLength } = buffer as GrowableBuffer;
  return growable === true ? maxByteLength : buffer.byteLength;
}

/** Grows the buffer to at least `byteLength` bytes. */
export function growTo(buffer: SharedArrayBuffer, byteLength: number): void {
  if (buffer.byteLength >= byteLength) return;
  const pages = Math.ceil(byteLength / PAGE_BYTES) * PAGE_BYTES;
  let cause: unknown;
  for (const size of [byteLength, pages]) {
    try {
      return (buffer as GrowableBuffer).grow(size);
    } catch (error) {
      // Another agent may have grown it further
      if (buffer.byteLength >= byteLength) return;
      cause ??= error;
    }
  }
  throw new RangeError(
    `Cannot grow the memory to ${byteLength} bytes as the platform must provide them: it has refused`,
    { cause },
  );
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

/**
 * Returns the words of `buffer` if it is known to be shared memory that has `byteLength`
 * bytes at `byteOffset`, a multiple of `alignment`; throws if it is not.
 */
export function wordsAt(
  buffer: SharedArrayBuffer,
  byteOffset: number,
  byteLength: number,
  alignment: number,
): Int32Array<SharedArrayBuffer> {
  // What has a view has been checked, and asking the buffer costs more than all the rest
  const known = words.get(buffer);
  if (
    known !== undefined && typeof byteOffset === "number" &&
    byteOffset % alignment === 0 && byteOffset >= 0 &&
    byteOffset + byteLength <= known.byteLength
  ) return known;
  assertShared(buffer);
  assertRange(buffer, byteOffset, byteLength, alignment);
  return wordsOf(buffer);
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

/** Reads the length of a `SharedArrayBuffer` of any realm and throws for everything else. */
const sharedByteLength: (() => number) | undefined =
  globalThis.SharedArrayBuffer &&
  Object.getOwnPropertyDescriptor(SharedArrayBuffer.prototype, "byteLength")!
    .get;

/** Throws where the agent has no shared memory at all. */
export function assertSharedMemory(): void {
  if (sharedByteLength !== undefined) return;
  const { crossOriginIsolated } = globalThis as {
    crossOriginIsolated?: boolean;
  };
  throw new TypeError(
    `Cannot use shared memory as SharedArrayBuffer is not defined: ${
      crossOriginIsolated
        ? "the page is cross-origin isolated, so use a browser that has it"
        : "serve the page with the headers 'Cross-Origin-Opener-Policy: same-origin' and 'Cross-Origin-Embedder-Policy: require-corp', or with 'Document-Isolation-Policy: isolate-and-require-corp' where the browser knows it"
    }`,
  );
}

/** Whether it is a `SharedArrayBuffer`. */
export function isShared(buffer: unknown): buffer is SharedArrayBuffer {
  try {
    sharedByteLength!.call(buffer);
    return true;
  } catch {
    return false;
  }
}

/** Throws unless `buffer` is a `SharedArrayBuffer`. */
export function assertShared(
  buffer: unknown,
): asserts buffer is SharedArrayBuffer {
  assertSharedMemory();
  if (isShared(buffer)) return;
  throw wrongType("use the memory", "buffer", "be a SharedArrayBuffer", buffer);
}

/** Throws unless `byteLength` bytes of `buffer` are at `byteOffset`, a multiple of `alignment`. */
export function assertRange(
  buffer: SharedArrayBuffer,
  byteOffset: unknown,
  byteLength: number,
  alignment: number,
): asserts byteOffset is number {
  if (
    !isInteger(byteOffset, 0, Number.MAX_SAFE_INTEGER) ||
    byteOffset % alignment !== 0
  ) {
    const wanted = `be a non-negative multiple of ${alignment}`;
    throw outOfRange("use the memory", "byteOffset", wanted, byteOffset);
  }
  if (byteOffset + byteLength > buffer.byteLength) {
    throw new RangeError(
      `Cannot use the memory as 'buffer' must have ${byteLength} bytes at byte ${byteOffset}: it ends at byte ${buffer.byteLength}`,
    );
  }
}
