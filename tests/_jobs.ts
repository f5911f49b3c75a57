// Copyright 2026 the lazyinit authors. MIT license.

import type { LazyInitHandle } from "../mod.ts";
import { json, typedArray } from "../mod.ts";

/** What a test asks an agent to do, with everything shared that it takes. */
export type Job =
  | {
    /** Initializes in a race that begins with `start`, and counts the calls of initializers. */
    kind: "race";
    method: "callOnce" | "initOnce" | "getOrInit" | "getOrInitAsync";
    handle: LazyInitHandle;
    value: Pair;
    start: SharedArrayBuffer;
    calls: SharedArrayBuffer;
  }
  | {
    /** As `race`, in a cell of which every agent writes its own element later. */
    kind: "raceForView";
    handle: LazyInitHandle;
    index: number;
    start: SharedArrayBuffer;
    calls: SharedArrayBuffer;
  }
  | {
    /** Initializes; the initializer raises `entered` and blocks until `leave` is raised. */
    kind: "initialize";
    method: "getOrInit" | "getOrInitAsync" | "tryInit" | "init";
    handle: LazyInitHandle;
    outcome: { value: Pair } | { error: string };
    entered?: SharedArrayBuffer;
    leave?: SharedArrayBuffer;
  }
  | {
    /** `callOnce` with an initializer as in `initialize`. */
    kind: "callOnce";
    handle: LazyInitHandle;
    value: Pair;
    entered: SharedArrayBuffer;
    leave: SharedArrayBuffer;
  }
  | {
    /** Initializes a cell with what it gets from another, once `leave` is raised. */
    kind: "nest";
    handle: LazyInitHandle;
    inner: LazyInitHandle;
    method: "getOrInit" | "getOrInitAsync" | "wait" | "reset";
    value: Pair;
    entered: SharedArrayBuffer;
    leave: SharedArrayBuffer;
  }
  | {
    kind: "wait";
    method: "wait" | "waitAsync";
    handle: LazyInitHandle;
  }
  | { kind: "reset"; handle: LazyInitHandle; method: "reset" | "resetAsync" }
  | {
    /** Reads until `stop` is raised, tells what it sees, and reports what was torn. */
    kind: "read";
    handle: LazyInitHandle;
    index: number;
    seen: SharedArrayBuffer;
    stop: SharedArrayBuffer;
  }
  | {
    /** Adds 1 to a plain counter, many times, under a mutex. */
    kind: "count";
    method: "lock" | "lockIfAvailable" | "lockAsync";
    mutex: SharedArrayBuffer;
    counter: SharedArrayBuffer;
    start: SharedArrayBuffer;
    rounds: number;
  }
  | {
    /** Holds a mutex from `entered` to `leave`. */
    kind: "hold";
    mutex: SharedArrayBuffer;
    entered: SharedArrayBuffer;
    leave: SharedArrayBuffer;
  }
  | { kind: "agentId" }
  | {
    /** Reads a cell of every codec. */
    kind: "readAll";
    handles: Record<string, LazyInitHandle>;
  }
  | {
    /** Runs the constructor over memory that every agent has, and races to initialize. */
    kind: "place";
    memory: SharedArrayBuffer;
    byteOffset: number;
    value: number;
    start: SharedArrayBuffer;
  };

/** Two parts that must agree, so that a torn read shows. */
export type Pair = { left: number; right: number; padding: string };

export const pair = json<Pair>(4096);
export const view = typedArray(Int32Array, 16);

/** Long enough that writing it takes longer than switching agents. */
export function pairOf(value: number): Pair {
  return { left: value, padding: "x".repeat(value % 2000), right: value };
}
