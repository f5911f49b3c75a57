// Copyright 2026 the lazyinit authors. MIT license.
// This module is browser compatible.

import {
  assertCodec,
  assertFunction,
  assertOptions,
  assertRange,
  assertShared,
  cannotBlock,
  label,
  show,
} from "./_checks.ts";
import { alignToSlot, allocate, wordIndex, wordsOf } from "./_memory.ts";
import { blockLooking } from "./_deadlock.ts";
import type { RunningCell } from "./_running.ts";
import { canBlock, OnceState, type Phase } from "./atomics.ts";
import type { Codec, Slot } from "./codec.ts";
import {
  AlreadyInitializedError,
  LayoutMismatchError,
  NotInitializedError,
  OwnerLostError,
  RecursiveInitializationError,
} from "./errors.ts";

/** Changes whenever the meaning of a cell's bytes does. */
const LAYOUT_VERSION = 1;

/**
 * Which of the two classes a cell belongs to.
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
export type CellKind = "LazyInit" | "MutexLazyInit";

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
 * const handle: LazyInitHandle = structuredClone(cell.handle);
 * assertEquals(LazyInit.from(handle, int32).name, "answer");
 * ```
 */
export interface LazyInitHandle {
  /** The class of the cell. */
  readonly kind: CellKind;
  /** The shared memory that the cell is in. */
  readonly buffer: SharedArrayBuffer;
  /** Where the cell begins, in bytes. */
  readonly byteOffset: number;
  /** The name of the cell, empty if it has none. */
  readonly name: string;
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
 */
export interface LazyInitOptions {
  /** Shown by errors and inspection. */
  name?: string;
  /** The memory to place the cell in; memory of its own by default. */
  buffer?: SharedArrayBuffer;
  /**
   * Where to place the cell in `buffer`, in bytes, a multiple of 8; 0 by default.
   * Cells must not overlap.
   */
  byteOffset?: number;
}

/**
 * Options of the methods that may block.
 *
 * @example Usage
 * ```ts
 * import { int32, LazyInit, type LazyInitWaitOptions } from "@lazyinit/lazyinit";
 * import { assertThrows } from "@std/assert";
 *
 * const options: LazyInitWaitOptions = { timeout: 10 };
 * assertThrows(() => new LazyInit(int32).wait(options), DOMException);
 * ```
 */
export interface LazyInitWaitOptions {
  /** How long to block at the most, in ms; for ever by default, and 0 never blocks. */
  timeout?: number;
}

/**
 * Options of the methods that may wait without blocking.
 *
 * @example Usage
 * ```ts
 * import { int32, LazyInit, type LazyInitWaitAsyncOptions } from "@lazyinit/lazyinit";
 * import { assertRejects } from "@std/assert";
 *
 * const options: LazyInitWaitAsyncOptions = { signal: AbortSignal.timeout(10) };
 * await assertRejects(() => new LazyInit(int32).waitAsync(options), DOMException);
 * ```
 */
export interface LazyInitWaitAsyncOptions {
  /** Ends the wait: the promise rejects with the signal's reason. */
  signal?: AbortSignal;
}

/** The bytes that a cell with this codec takes, a multiple of 8. */
export function cellByteLength(codec: Codec<unknown>): number {
  assertCodec(codec);
  return OnceState.byteLength + alignToSlot(codec.byteLength);
}

/** Claims zeroed memory for a cell, or attaches to a cell of the same layout. */
export function place(
  kind: CellKind,
  codec: Codec<unknown>,
  options: LazyInitOptions,
): { state: OnceState; name: string } {
  const byteLength = cellByteLength(codec);
  assertOptions(options);
  const { name = "", buffer: given, byteOffset = 0 } = options;
  if (typeof name !== "string") {
    throw new TypeError(
      `Cannot create the ${kind} as 'name' must be a string: current value is ${
        show(name)
      }`,
    );
  }
  if (given === undefined && byteOffset !== 0) {
    throw new TypeError(
      `Cannot create the ${kind} as 'byteOffset' must come with 'buffer': current value is ${
        show(byteOffset)
      }`,
    );
  }
  const layout = layoutHash(kind, codec);
  const buffer = given === undefined ? allocate(byteLength) : given;
  const state = new OnceState(buffer, byteOffset, {
    // A LazyInit has no mutex that could
    namesOwner: kind === "LazyInit",
  });
  if (state.layout === 0) {
    assertRange(buffer, byteOffset, byteLength, 8);
    const zeroed = given === undefined ||
      isZeroed(buffer, byteOffset, byteLength);
    if (zeroed) state.claim(layout);
    // Otherwise the bytes may be those of an agent that has just claimed them
    else if (state.layout === 0) {
      throw new LayoutMismatchError(
        `Cannot place ${
          label(kind, name)
        } at byte ${byteOffset} as the memory must be zeroed or hold a cell: it holds something else`,
      );
    }
  }
  if (state.layout !== layout) {
    throw layoutMismatch(kind, name, codec, byteOffset, state.layout);
  }
  assertRange(buffer, byteOffset, byteLength, 8);
  return { state, name };
}

/** Checks a handle, and that there is a cell of this kind and codec where it points. */
export function attach(
  kind: CellKind,
  codec: Codec<unknown>,
  handle: LazyInitHandle,
): Required<LazyInitOptions> {
  assertCodec(codec);
  if (typeof handle !== "object" || handle === null) {
    throw new TypeError(
      `Cannot attach to the cell as 'handle' must be the handle of a cell: current value is ${
        show(handle)
      }`,
    );
  }
  const { kind: found, buffer, byteOffset, name } = handle;
  if (found !== "LazyInit" && found !== "MutexLazyInit") {
    throw new TypeError(
      `Cannot attach to the cell as 'handle.kind' must be "LazyInit" or "MutexLazyInit": current value is ${
        show(found)
      }`,
    );
  }
  if (typeof name !== "string") {
    throw new TypeError(
      `Cannot attach to the cell as 'handle.name' must be a string: current value is ${
        show(name)
      }`,
    );
  }
  // Checked here, as the constructor takes what is missing for its defaults
  assertShared(buffer);
  assertRange(buffer, byteOffset, OnceState.byteLength, 8);
  const { layout } = new OnceState(buffer, byteOffset);
  if (found !== kind) {
    throw new LayoutMismatchError(
      `Cannot attach to ${
        label(found, name)
      } at byte ${byteOffset} as it must be a ${kind}: its handle says ${found}`,
    );
  }
  if (layout !== layoutHash(kind, codec)) {
    throw layoutMismatch(kind, name, codec, byteOffset, layout);
  }
  return { buffer, byteOffset, name };
}

function layoutMismatch(
  kind: CellKind,
  name: string,
  { tag, byteLength }: Codec<unknown>,
  byteOffset: number,
  found: number,
): LayoutMismatchError {
  return new LayoutMismatchError(
    `Cannot attach to ${
      label(kind, name)
    } at byte ${byteOffset} as it must be a ${kind} of ${tag} with ${byteLength} bytes: ${
      found === 0
        ? "no cell was placed there"
        : "another kind, codec or capacity was placed there"
    }`,
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

function isZeroed(
  buffer: SharedArrayBuffer,
  byteOffset: number,
  byteLength: number,
): boolean {
  const end = wordIndex(byteOffset + byteLength);
  const words = wordsOf(buffer);
  for (let i = wordIndex(byteOffset); i < end; i++) {
    if (words[i] !== 0) return false;
  }
  return true;
}

/** The slot of a cell; made when it is needed, as a million cells need no million slots. */
export function slotOf(
  { buffer, byteOffset }: OnceState,
  { byteLength }: Codec<unknown>,
): Slot {
  return { buffer, byteOffset: byteOffset + OnceState.byteLength, byteLength };
}

/** Leaves nothing behind of a value that has failed or has been reset. */
export function zeroFill({ buffer, byteOffset, byteLength }: Slot): void {
  new Uint8Array(buffer, byteOffset, byteLength).fill(0);
}

export function assertInitializer(initializer: unknown): void {
  assertFunction(initializer, "initializer", "initialize the cell");
}

/** Throws unless the codec's values are views, which alone can be written through. */
export function assertView(codec: Codec<unknown>): void {
  if (codec.view === true) return;
  throw new TypeError(
    `Cannot write to the value in place as its codec must be a view codec: current codec is ${codec.tag}`,
  );
}

/**
 * Runs a synchronous initializer on the slot and returns the value that it made,
 * as every agent will read it. `assertOwned` throws if the slot is no longer ours.
 */
export function fill<T>(
  codec: Codec<T>,
  slot: Slot,
  initializer: (slot?: T) => unknown,
  alternative: string,
  assertOwned: () => void,
): T {
  const view = codec.view === true ? codec.decode(slot) : undefined;
  const made = initializer(view);
  if (isPromiseLike(made)) {
    // Told by the error below already, so its rejection is nobody's any more
    made.then(undefined, () => {});
    throw new TypeError(
      `Cannot initialize the cell as the initializer must not return a promise: use ${alternative} instead`,
    );
  }
  assertOwned();
  return store(codec, slot, view, made);
}

/** As {@linkcode fill}, for an initializer that may be asynchronous. */
export async function fillAsync<T>(
  codec: Codec<T>,
  slot: Slot,
  initializer: (slot?: T) => unknown,
  assertOwned: () => void,
): Promise<T> {
  const view = codec.view === true ? codec.decode(slot) : undefined;
  const made = await initializer(view);
  assertOwned();
  return store(codec, slot, view, made);
}

function store<T>(
  codec: Codec<T>,
  slot: Slot,
  view: T | undefined,
  made: unknown,
): T {
  if (view === undefined) {
    codec.encode(made as T, slot);
    return codec.decode(slot);
  }
  if (made !== undefined && made !== view) codec.encode(made as T, slot);
  return view;
}

function isPromiseLike(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null &&
    typeof (value as { then?: unknown }).then === "function";
}

export function alreadyInitialized<T>(
  kind: CellKind,
  name: string,
  phase: Phase,
  value: Readonly<T> | undefined,
): AlreadyInitializedError<T> {
  return new AlreadyInitializedError(
    `Cannot initialize ${
      label(kind, name)
    } as it must be uninitialized: it is ${
      phase === "initialized" ? phase : "being initialized"
    }, use get() or wait() instead`,
    value,
  );
}

export function notInitialized(
  kind: CellKind,
  name: string,
): NotInitializedError {
  return new NotInitializedError(
    `Cannot read ${
      label(kind, name)
    } as it must be initialized: use get() or wait() instead`,
  );
}

export function recursive(
  kind: CellKind,
  name: string,
): RecursiveInitializationError {
  return new RecursiveInitializationError(
    `Cannot enter ${
      label(kind, name)
    } again as its initializer is running in this agent: use an asynchronous method from outside of the initializer instead`,
  );
}

function timedOut(
  kind: string,
  name: string,
  timeout: number,
): DOMException {
  return new DOMException(
    `Cannot wait longer for ${label(kind, name)}: ${timeout} ms have elapsed`,
    "TimeoutError",
  );
}

/** `action` is what the agent was about to do. */
export function ownerLost(
  action: string,
  kind: CellKind,
  name: string,
): OwnerLostError {
  return new OwnerLostError(
    `Cannot ${action} ${
      label(kind, name)
    } as this agent must own the cell: it was declared dead by recover() meanwhile`,
  );
}

/**
 * Blocks until `attempt`, which has just returned nothing, returns something. Sleeps in
 * `sleep` for at most as long as that is given, in ms.
 */
export function blockUntil<R>(
  cell: RunningCell,
  timeout: number,
  alternative: string,
  attempt: () => R | undefined,
  sleep: (timeout: number) => void,
): R {
  const deadline = performance.now() + timeout;
  return blockLooking(cell, (interval) => {
    const left = deadline - performance.now();
    if (left <= 0) throw timedOut(cell.kind, cell.name, timeout);
    if (!canBlock()) throw cannotBlock(alternative);
    sleep(Math.min(left, interval));
    return attempt();
  });
}

/** Shows a cell as `LazyInit "name" { 42 }`, and one without a value as `{ <phase> }`. */
export function inspectCell(
  kind: CellKind,
  name: string,
  phase: Phase,
  value: string,
): string {
  const content = phase === "initialized" ? value : `<${phase}>`;
  return `${label(kind, name)} { ${content} }`;
}
