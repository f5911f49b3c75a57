// Copyright 2026 the lazyinit authors. MIT license.
/// <reference lib="deno.worker" />

/* An agent that does to a map what a test tells it, to the end or until it ends in the middle. */

import {
  agentId,
  float64,
  int32,
  json,
  LazyInitMap,
  type LazyInitMapHandle,
  MutexLazyInit,
  string,
} from "../../mod.ts";
import { Flag } from "../_flag.ts";

/** What each key is given: its text, as often as its number says. */
export type Value = readonly string[];

export const keyCodec = string();
export const valueCodec = json<Value>();

export type MapMessage =
  | {
    /** Initializes so many keys, each in its turn of a random order, and looks at all. */
    kind: "insert";
    handle: LazyInitMapHandle<string, Value>;
    keys: number;
    seed: number;
    /** How often each key was made. */
    made: SharedArrayBuffer;
    /** How many of ten initializers fail. */
    failing: number;
    /** How many of ten keys are reset before they are made. */
    resetting: number;
    /** After how many atomic operations the agent ends, or in the end, if it does; … */
    operations?: number;
    /** … which raises this in the last moment. */
    ended?: SharedArrayBuffer;
  }
  | {
    /** Initializes a key by another one, when another agent has begun as well. */
    kind: "nest";
    handle: LazyInitMapHandle<string, Value>;
    outer: string;
    inner: string;
    entered: SharedArrayBuffer;
    /** What the initializer waits for. */
    leave: SharedArrayBuffer;
    asynchronous: boolean;
  }
  | {
    /** Opens a map of numbers by its name; an error is told as text. */
    kind: "open";
    name: string;
    as?: "another value" | "another key" | "a cell";
    /** A flag to block for first. */
    start?: SharedArrayBuffer;
  }
  /** Initializes a key of the map that was opened. */
  | { kind: "getOrInit"; key: string; value: number }
  | { kind: "dispose" };

type Insertion = Extract<MapMessage, { kind: "insert" }>;
type Nesting = Extract<MapMessage, { kind: "nest" }>;
type Opening = Extract<MapMessage, { kind: "open" }>;

class Failure extends Error {}

export function textOf(key: number): string {
  return `key ${key}`;
}

export function valueOf(key: string): Value {
  return Array(Number(key.slice(4)) % 20).fill(key);
}

/** Has the agent end in the middle of what it does after so many atomic operations. */
function endAfter(operations: number, ended: SharedArrayBuffer): void {
  let left = operations;
  for (const name of ["load", "compareExchange", "add", "notify"] as const) {
    const original = Atomics[name] as (...args: unknown[]) => number;
    Object.assign(Atomics, {
      [name]: (...args: unknown[]) => {
        if (left-- === 0) end(ended);
        return original(...args);
      },
    });
  }
}

function end(ended: SharedArrayBuffer): never {
  new Flag(ended).raise();
  Deno.exit();
}

/** Returns how much was wrong. */
function insert(message: Insertion): number {
  const { handle, keys, failing, resetting, operations, ended } = message;
  let { seed } = message;
  const made = new Int32Array(message.made);
  const map = LazyInitMap.from(handle, keyCodec, valueCodec);
  const counted = Atomics.add;
  let wrong = 0;

  /** Returns an integer from 0 to `limit` - 1, the same ones for the same seed. */
  function random(limit: number): number {
    seed = Math.imul(seed ^ seed >>> 15, 0x2c1b3c6d) + 0x9e3779b9 | 0;
    return (seed >>> 8) % limit;
  }

  function make(key: string): Value {
    if (random(10) < failing) throw new Failure();
    counted(made, Number(key.slice(4)), 1);
    return valueOf(key);
  }

  function look(key: string, value: Value | undefined): void {
    if (`${value}` !== `${valueOf(key)}`) wrong++;
  }

  if (ended !== undefined) endAfter(operations!, ended);
  const start = random(keys);
  for (let i = 0; i < keys; i++) {
    // All of them, as the step and the number of keys have no common divisor
    const key = textOf((start + i * 7_919) % keys);
    if (random(10) < resetting) map.reset(key);
    for (let done = false; !done;) {
      try {
        look(key, map.getOrInit(key, make));
        done = true;
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
      }
    }
    const seen = textOf(random(keys));
    const value = map.get(seen);
    if (value !== undefined) look(seen, value);
  }
  // Where others had done much of it
  if (ended !== undefined) end(ended);
  return wrong;
}

async function nest(message: Nesting): Promise<string> {
  const { handle, outer, inner, asynchronous } = message;
  const map = LazyInitMap.from(handle, keyCodec, valueCodec);
  const entered = new Flag(message.entered);
  const leave = new Flag(message.leave);
  try {
    if (asynchronous) {
      await map.getOrInitAsync(outer, async () => {
        entered.raise();
        await leave.raised();
        return await map.getOrInitAsync(inner, valueOf);
      });
    } else {
      map.getOrInit(outer, () => {
        entered.raise();
        leave.block();
        return map.getOrInit(inner, valueOf);
      });
    }
    return "made";
  } catch (error) {
    return (error as Error).name;
  }
}

let opened: LazyInitMap<string, number> | undefined;

async function open({ name, as, start }: Opening): Promise<string> {
  if (start !== undefined) new Flag(start).block();
  try {
    switch (as) {
      case "another value":
        await LazyInitMap.open(name, string(), float64);
        break;
      case "another key":
        await LazyInitMap.open(name, string(8), int32);
        break;
      case "a cell":
        await MutexLazyInit.open(name, int32);
        break;
      case undefined:
        opened = await LazyInitMap.open(name, string(), int32);
    }
    return "opened";
  } catch (error) {
    return String(error);
  }
}

function perform(message: MapMessage): unknown {
  switch (message.kind) {
    case "insert":
      return insert(message);
    case "nest":
      return nest(message);
    case "open":
      return open(message);
    case "getOrInit":
      return opened!.getOrInit(message.key, () => message.value);
    case "dispose":
      return opened![Symbol.dispose]();
  }
}

if (typeof WorkerGlobalScope !== "undefined") {
  self.onmessage = async ({ data }: MessageEvent<MapMessage>) => {
    self.postMessage(await perform(data));
  };
  self.postMessage(agentId());
}
