// Copyright 2026 the lazyinit authors. MIT license.

/**
 * What the page and its workers send each other.
 *
 * @module
 */

import type { CellKind, LazyInitHandle } from "../../mod.ts";
import type { Found, Place } from "../nearest_city_index.ts";
import type { State } from "./states.ts";

/** What the form asks for. */
export interface Plan {
  readonly kind: CellKind;
  readonly workers: number;
  readonly initializer: "works" | "slow" | "fails" | "dies";
  /** How long the initializer takes, fails after or lives, in ms. */
  readonly milliseconds: number;
  /** How many initializers fail before one works. */
  readonly failures: number;
  readonly waits: "async" | "blocking";
  /** Which side frees the cell of a worker that has died. */
  readonly freedBy: "waiters" | "page";
}

/**
 * Whether the initializers are asynchronous. They are announced while they run, so
 * they are not if the plan shows `recover()`. A `LazyInit` has none.
 */
export function isAsynchronous({ kind, waits, freedBy }: Plan): boolean {
  return kind === "MutexLazyInit" && waits === "async" && freedBy === "waiters";
}

/** What a worker of the timeline is told when it starts. */
export interface TimelineJob {
  /** The number of the worker, and the value that it makes. */
  readonly worker: number;
  readonly plan: Plan;
  readonly cell: LazyInitHandle;
  /** The cell that is initialized to start all workers at once. */
  readonly start: LazyInitHandle;
  /** How many initializers are still to fail or die, shared by all workers. */
  readonly troubles: Int32Array<SharedArrayBuffer>;
  /** The Web Lock that the worker holds as long as it lives. */
  readonly lock: string;
}

/** What a worker of the search is told when it starts. */
export interface SearchJob {
  readonly cityCount: number;
  readonly coordinates: LazyInitHandle;
  readonly index: LazyInitHandle;
  readonly start: LazyInitHandle;
}

/** The time in ms since 1970, finer than `Date.now()`, and the same for all agents. */
export function now(): number {
  return performance.timeOrigin + performance.now();
}

/** A worker has reached a state. */
export interface Report {
  readonly state: State;
  /** When, by {@linkcode now}. */
  readonly at: number;
  /** What to say after the name of the state, with what separates them. */
  readonly detail: string;
  /** Sent by a worker that dies in its initializer: its id. */
  readonly dying?: number;
}

export type TimelineMessage = "ready" | Report;

/** The nearest cities, and how long it took to find them, in ms. */
export interface Answer {
  readonly found: readonly Found[];
  readonly milliseconds: number;
}

export type SearchRequest = SearchJob | Place;
export type SearchMessage = "ready" | Report | Answer;
