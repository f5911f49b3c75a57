// Copyright 2026 the lazyinit authors. MIT license.
/// <reference lib="deno.worker" />

/**
 * How the workers tell the page what they do, at the moment when they do it.
 *
 * @module
 */

import type { Initializer, MutexLazyInit } from "../../mod.ts";
import { now, type Report } from "./messages.ts";
import type { State } from "./states.ts";

export function report(
  state: State,
  detail = "",
  more: Pick<Report, "dying"> = {},
): void {
  self.postMessage({ state, at: now(), detail, ...more } satisfies Report);
}

/** Whether a wait has ended as its time was up. */
export function isTimeout(error: unknown): boolean {
  return error instanceof DOMException && error.name === "TimeoutError";
}

/** Calls `getOrInit()`, and reports if that is going to block. */
export function getOrInitReporting<T>(
  cell: MutexLazyInit<T>,
  initializer: Initializer<T>,
): Readonly<T> {
  try {
    return cell.getOrInit(initializer, { timeout: 0 });
  } catch (error) {
    if (!isTimeout(error)) throw error;
  }
  report("waiting", ", blocked in getOrInit()");
  return cell.getOrInit(initializer);
}
