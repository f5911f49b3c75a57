// Copyright 2026 the lazyinit authors. MIT license.

/*
 * What a program in TypeScript that has the package from npm may write, and what it
 * may not: one import of each entry point, and types that would be `any` if theirs
 * could not be found.
 */

import {
  type AsyncInitializer,
  type InitResult,
  json,
  type MutexLazyInit,
  typedArray,
} from "@lazyinit/lazyinit";
import {
  Mutex,
  OnceState,
  type Phase,
  type UnlockToken,
} from "@lazyinit/lazyinit/atomics";
import {
  type Codec,
  float64,
  int32,
  string,
  struct,
} from "@lazyinit/lazyinit/codec";
import {
  AlreadyInitializedError,
  type DeadlockError,
} from "@lazyinit/lazyinit/errors";
import {
  LazyInit,
  type LazyInitHandle,
  type LazyInitOptions,
} from "@lazyinit/lazyinit/lazy-init";
import { MutexLazyInit as SameClass } from "@lazyinit/lazyinit/mutex-lazy-init";

export const options: LazyInitOptions = { name: "answer" };
export const cell: LazyInit<number> = new LazyInit(int32, options);
export const handle: LazyInitHandle = cell.handle;
export const missing: number | undefined = cell.get();

export const table: MutexLazyInit<Float64Array> = new SameClass(
  typedArray(Float64Array, 3),
);
export const view: Float64Array | undefined = table.getMut();
export const result: InitResult<Float64Array> = table.tryInit((slot) =>
  slot.fill(1)
);
export const later: AsyncInitializer<number> = () => Promise.resolve(42);

export const city: Codec<{ readonly name: string; readonly latitude: number }> =
  struct({ name: string(64), latitude: float64 });

export const token: UnlockToken = new Mutex().lock();
export const phase: Phase = new OnceState().phase;

export function found(error: unknown): unknown {
  return error instanceof AlreadyInitializedError ? error.value : undefined;
}
export function names(error: DeadlockError): readonly string[] {
  return error.cells;
}

// @ts-expect-error A function cannot be shared
json<() => void>(64);
// @ts-expect-error Only views can be written in place
cell.getMut();
// @ts-expect-error It has no such phase
export const wrong: Phase = "initialised";
// @ts-expect-error A handle names a buffer
export const incomplete: LazyInitHandle = { kind: "LazyInit", byteOffset: 0 };
// @ts-expect-error A cell of numbers holds no text
cell.initOnce("42");
