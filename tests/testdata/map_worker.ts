// Copyright 2026 the lazyinit authors. MIT license.
/// <reference lib="deno.worker" />

/* An agent that inserts keys into a map, to the end or until it ends in the middle. */

import {
  agentId,
  json,
  LazyInitMap,
  type LazyInitMapHandle,
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
  };

type Insertion = Extract<MapMessage, { kind: "insert" }>;
type Nesting = Extract<MapMessage, { kind: "nest" }>;

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

if (typeof WorkerGlobalScope !== "undefined") {
  self.onmessage = async ({ data }: MessageEvent<MapMessage>) => {
    self.postMessage(
      data.kind === "insert" ? insert(data) : await nest(data),
    );
  };
  self.postMessage(agentId());
}
