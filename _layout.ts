// Copyright 2026 the lazyinit authors. MIT license.
// This module is browser compatible.

/*
 * Where a cell is, and whether the memory holds that cell: its handle, and word 2 of
 * its header, a hash of all that agents must agree on. If the word is 0, no cell was
 * placed there.
 */

import { assertCodec, assertOptions, label, wrongType } from "./_checks.ts";
import {
  alignToSlot,
  allocate,
  allocateGrowable,
  assertRange,
  assertShared,
  maxByteLengthOf,
  wordIndex,
  wordsOf,
} from "./_memory.ts";
import { MAX_SLOT_BYTES } from "./_slot.ts";
import { OnceState } from "./atomics.ts";
import type { Codec } from "./codec.ts";
import { LayoutMismatchError } from "./errors.ts";

/** Changes whenever the meaning of a cell's bytes does. */
const LAYOUT_VERSION = 2;
const LAYOUT_WORD = 2;
const CELL_ALIGNMENT = 8;

/**
 * Which class a cell belongs to, or that it is a map of cells.
 *
 * @example Usage
 * ```ts
 * import { type CellKind, int32, MutexLazyInit } from "@lazyinit/lazyinit";
 * import { assertEquals } from "@std/assert";
 *
 * const kind: CellKind = new MutexLazyInit(int32).handle.kind;
 * assertEquals(kind, "MutexLazyInit");
 * ```
 */
export type CellKind = "LazyInit" | "MutexLazyInit" | "LazyInitMap";

const KINDS: readonly CellKind[] = ["LazyInit", "MutexLazyInit", "LazyInitMap"];

/**
 * The description of a cell that `postMessage` carries to another agent, where
 * `from()` attaches to it.
 *
 * @example Usage
 * ```ts
 * import { int32, LazyInit, type LazyInitHandle } from "@lazyinit/lazyinit";
 * import { assertEquals } from "@std/assert";
 *
 * const cell = new LazyInit(int32, { name: "answer" });
 * const handle: LazyInitHandle<number, "LazyInit"> = structuredClone(cell.handle);
 * assertEquals(LazyInit.from(handle, int32).name, "answer");
 * ```
 *
 * @typeParam T The type of the value.
 * @typeParam Kind The class of the cell.
 */
// deno-lint-ignore no-explicit-any -- a handle whose types were lost fits every cell
export interface LazyInitHandle<T = any, Kind extends CellKind = any> {
  /** The class of the cell. */
  readonly kind: Kind;
  /** The shared memory that the cell is in. */
  readonly buffer: SharedArrayBuffer;
  /** Where the cell begins, in bytes. */
  readonly byteOffset: number;
  /** The name of the cell, empty if it has none. */
  readonly name: string;
  /** The tag of the cell's codec. */
  readonly tag: string;
  /** The capacity of the cell's codec, in bytes. */
  readonly byteLength: number;
  /** Never there: it keeps handles of different values apart for the compiler. */
  readonly "~value"?: T;
}

/**
 * Options of the constructors.
 *
 * @example Usage
 * ```ts
 * import { int32, LazyInit, type LazyInitOptions } from "@lazyinit/lazyinit";
 * import { assertEquals } from "@std/assert";
 *
 * const buffer = new SharedArrayBuffer(1024);
 * const options: LazyInitOptions = { name: "answer", buffer, byteOffset: 512 };
 * new LazyInit(int32, options).initOnce(42);
 * // In another agent that shares the buffer
 * assertEquals(new LazyInit(int32, options).value, 42);
 * ```
 *
 * @example A cell that has a value from the beginning
 * ```ts
 * import { LazyInit, type LazyInitOptions, string } from "@lazyinit/lazyinit";
 * import { assertEquals } from "@std/assert";
 *
 * const options: LazyInitOptions<string> = { value: "eu-west" };
 * assertEquals(new LazyInit(string(16), options).value, "eu-west");
 * ```
 *
 * @typeParam T The type of the value.
 */
export interface LazyInitOptions<T = never> {
  /** Shown by errors and inspection. */
  name?: string;
  /** The memory to place the cell in; memory of its own by default. */
  buffer?: SharedArrayBuffer;
  /**
   * Where to place the cell in `buffer`, in bytes, a multiple of 8; 0 by default.
   * Cells must not overlap.
   */
  byteOffset?: number;
  /**
   * The value that the cell has from the beginning; none by default. If the memory holds
   * a cell that another agent has initialized, or is initializing, this value is dropped.
   */
  value?: T;
}

/** Where to place a cell. */
export interface Place {
  readonly buffer: SharedArrayBuffer;
  readonly byteOffset: number;
  readonly name: string;
  /** Whether no other agent can have the memory yet. */
  readonly isFresh: boolean;
}

/** The bytes that a cell with this codec takes, a multiple of 8. */
export function cellByteLength(codec: Codec<unknown>): number {
  assertCodec(codec);
  const { byteLength, tag } = codec;
  if (byteLength > MAX_SLOT_BYTES) {
    throw new RangeError(
      `Cannot create the cell as a value of ${tag} must take at most 4 GiB - 8: current value is ${byteLength} bytes`,
    );
  }
  return OnceState.byteLength + alignToSlot(byteLength);
}

/** Checks codec and options of a constructor, and allocates the memory unless it is given. */
export function placeOf(
  kind: CellKind,
  codec: Codec<unknown>,
  options: LazyInitOptions<unknown>,
): Place {
  const byteLength = cellByteLength(codec);
  assertOptions(options);
  const { name = "", buffer, byteOffset = 0 } = options;
  if (typeof name !== "string") {
    throw wrongType(`create the ${kind}`, "name", "be a string", name);
  }
  if (buffer !== undefined) {
    return { buffer, byteOffset, name, isFresh: false };
  }
  if (byteOffset !== 0) {
    const wanted = "come with 'buffer'";
    throw wrongType(`create the ${kind}`, "byteOffset", wanted, byteOffset);
  }
  const own = codec.open === true
    ? allocateGrowable(OnceState.byteLength, byteLength)
    : allocate(byteLength);
  return { buffer: own, byteOffset, name, isFresh: true };
}

/**
 * Claims zeroed memory for a cell, or ensures that a cell of the same layout is there.
 * `header` is the first of `words` that the cell takes.
 */
export function claim(
  kind: CellKind,
  codec: Codec<unknown>,
  { buffer, byteOffset, name, isFresh }: Place,
  words: Int32Array,
  header: number,
): void {
  const byteLength = OnceState.byteLength + alignToSlot(codec.byteLength);
  const end = header + wordIndex(byteLength);
  if (end > words.length) assertRoom(buffer, byteOffset, byteLength, codec);
  const layout = layoutHash(kind, codec);
  const index = header + LAYOUT_WORD;
  // The view may be from before the memory has grown
  const all = end > words.length ? wordsOf(buffer) : words;
  const claimed = isFresh || isZeroed(all, header, end) ? layout : 0;
  // Pairs with itself in other agents: the first decides. If the bytes are not zero, it
  // looks anyway, as an agent may just have claimed them (unclaimed)
  const found = Atomics.compareExchange(words, index, 0, claimed);
  if (found === layout || found === 0 && claimed === layout) return;
  if (found === 0) {
    throw new LayoutMismatchError(
      `Cannot place ${
        label(kind, name)
      } at byte ${byteOffset} as the memory must be zeroed or hold a cell: it holds something else`,
    );
  }
  throw mismatch(
    kind,
    name,
    codec,
    byteOffset,
    "another kind, codec or capacity was placed there",
  );
}

/** Checks a handle, and returns where it points. */
export function attach(
  kind: CellKind,
  codec: Codec<unknown>,
  handle: LazyInitHandle,
): Omit<Place, "isFresh"> {
  assertCodec(codec);
  const action = "attach to the cell";
  if (typeof handle !== "object" || handle === null) {
    throw wrongType(action, "handle", "be the handle of a cell", handle);
  }
  const { kind: found, buffer, byteOffset, name, tag, byteLength } = handle;
  if (!KINDS.includes(found)) throw notHandle(kind, handle, found);
  if (typeof name !== "string") {
    throw wrongType(action, "handle.name", "be a string", name);
  }
  // Checked here, as the constructor takes what is missing for its defaults
  assertShared(buffer);
  assertRange(buffer, byteOffset, OnceState.byteLength, CELL_ALIGNMENT);
  if (found !== kind) {
    throw mismatch(kind, name, codec, byteOffset, `its handle says ${found}`);
  }
  if (tag !== codec.tag || byteLength !== codec.byteLength) {
    throw mismatch(
      kind,
      name,
      codec,
      byteOffset,
      `its handle says ${tag} with ${byteLength} bytes`,
    );
  }
  // Pairs with the CAS of claim()
  const layout = Atomics.load(
    wordsOf(buffer),
    wordIndex(byteOffset) + LAYOUT_WORD,
  );
  if (layout === 0) {
    throw mismatch(kind, name, codec, byteOffset, "no cell was placed there");
  }
  return { buffer, byteOffset, name };
}

/** The error of what is taken for a handle, by what it most likely is instead. */
function notHandle(
  wanted: CellKind,
  handle: object,
  kind: unknown,
): TypeError {
  if ("handle" in handle) {
    return new TypeError(
      "Cannot attach to the cell as 'handle' must be the handle of a cell: it is an object with a handle, use its 'handle' instead",
    );
  }
  if (Reflect.ownKeys(handle).length === 0) {
    return new TypeError(
      "Cannot attach to the cell as 'handle' must be the handle of a cell: it is an empty object, which is what a cell becomes when it is sent, send 'cell.handle' instead",
    );
  }
  const kinds = wanted === "LazyInitMap"
    ? '"LazyInitMap"'
    : '"LazyInit" or "MutexLazyInit"';
  return wrongType("attach to the cell", "handle.kind", `be ${kinds}`, kind);
}

function mismatch(
  kind: CellKind,
  name: string,
  { tag, byteLength }: Codec<unknown>,
  byteOffset: number,
  found: string,
): LayoutMismatchError {
  return new LayoutMismatchError(
    `Cannot attach to ${
      label(kind, name)
    } at byte ${byteOffset} as it must be a ${kind} of ${tag} with ${byteLength} bytes: ${found}`,
  );
}

/** The hash of a codec's layout, and what it was made of. */
interface Layout {
  readonly tag: string;
  readonly byteLength: number;
  readonly hash: number;
}

/** Of codecs in use, as many cells may have the same one. */
const layouts: Record<CellKind, WeakMap<Codec<unknown>, Layout>> = {
  LazyInit: new WeakMap(),
  MutexLazyInit: new WeakMap(),
  LazyInitMap: new WeakMap(),
};

function layoutHash(kind: CellKind, codec: Codec<unknown>): number {
  const { tag, byteLength } = codec;
  const known = layouts[kind].get(codec);
  if (known?.tag === tag && known.byteLength === byteLength) return known.hash;
  const hash = hashOf(`${LAYOUT_VERSION}|${kind}|${byteLength}|${tag}`);
  layouts[kind].set(codec, { tag, byteLength, hash });
  return hash;
}

/** FNV-1a over the UTF-16 units of everything that agents must agree on; never 0. */
function hashOf(layout: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < layout.length; i++) {
    hash = Math.imul(hash ^ layout.charCodeAt(i), 0x01000193);
  }
  return hash || 1;
}

/** Throws unless a cell fits where it is to be, or its memory can grow that far. */
function assertRoom(
  buffer: SharedArrayBuffer,
  byteOffset: number,
  byteLength: number,
  { open, tag }: Codec<unknown>,
): void {
  const end = byteOffset + byteLength;
  const max = maxByteLengthOf(buffer);
  if (open !== true || end <= buffer.byteLength || max === buffer.byteLength) {
    assertRange(buffer, byteOffset, byteLength, CELL_ALIGNMENT);
    return;
  }
  if (end === max) return;
  throw new RangeError(
    `Cannot place ${tag} at byte ${byteOffset} as memory that grows must end with the cell, at byte ${end}: it may grow to ${max} bytes`,
  );
}

/** Whether those words are zero (unclaimed). */
function isZeroed(words: Int32Array, begin: number, end: number): boolean {
  for (let i = begin; i < Math.min(end, words.length); i++) {
    if (words[i] !== 0) return false;
  }
  return true;
}
