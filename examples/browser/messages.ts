// Copyright 2026 the lazyinit authors. MIT license.

/**
 * What the page and its workers send each other.
 *
 * @module
 */

import {
  type CellKind,
  type Codec,
  int32,
  type LazyInitHandle,
  type LazyInitMapHandle,
  typedArray,
} from "../../mod.ts";
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

/** As many primes as there are: only the worker that finds them knows. */
export const primesCodec: Codec<Uint32Array> = typedArray(Uint32Array);

/** What the worker that finds primes is told. */
export interface PrimesJob {
  readonly cell: LazyInitHandle<Uint32Array, "MutexLazyInit">;
  readonly limit: number;
}

/** The number of the worker that made the value of a key. */
export const makerCodec: Codec<number> = int32;

/** What a worker that fills the map is told. */
export interface KeysJob {
  readonly worker: number;
  readonly map: LazyInitMapHandle<number, number>;
  readonly keyCount: number;
  /** How often an initializer was called, for all keys and workers together. */
  readonly calls: Int32Array<SharedArrayBuffer>;
  readonly start: LazyInitHandle;
}

export type KeysMessage = "ready" | "done";

/** The same number over and over: the one of the reload that wrote it. */
export const copiesCodec: Codec<Uint32Array> = typedArray(Uint32Array, 100_000);

/** What the worker that reloads is told, and the one that reads meanwhile. */
export interface ReloadJob {
  readonly cell: LazyInitHandle<Uint32Array, "MutexLazyInit">;
  readonly reloads: number;
  readonly start: LazyInitHandle;
}

/** What one way of reading has seen so far. */
export interface Looks {
  readonly whole: number;
  readonly torn: number;
  /** How often there was no value to look at. */
  readonly none: number;
}

/** So many times the same number, one after the other. */
export interface Stretch {
  readonly value: number;
  readonly count: number;
}

/** What the worker that reads has seen so far. */
export interface ReadingReport {
  readonly read: Looks;
  readonly kept: Looks;
  /** The kept view, when it was last seen torn. */
  readonly torn: readonly Stretch[];
  readonly isLast: boolean;
}

export type ReadingMessage = "ready" | ReadingReport;
