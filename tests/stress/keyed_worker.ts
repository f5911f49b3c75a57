// Copyright 2026 the lazyinit authors. MIT license.
/// <reference lib="deno.worker" />

import { agentId, LazyInitMap, OwnerLostError } from "../../mod.ts";
import { Flag } from "../_flag.ts";
import {
  FIRST_TOTAL,
  FIRST_VIOLATION,
  hold,
  keyCodec,
  KEYED_TOTALS,
  KEYED_VIOLATIONS,
  type KeyedOrder,
  type KeyedValue,
  keyOf,
  lockOf,
  RESETS,
  RUNS,
  STOP,
  sumOf,
  valueCodec,
} from "./keyed_stress.ts";

/** How many keys are asked for as often as all others. */
const HOT = 64;
/** After how many steps the event loop has its turn. */
const TURN = 64;

class Failure extends Error {}

const { add, load } = Atomics;

/** Has the agent end in the middle of what it does after so many atomic operations. */
function endAfter(operations: number, ended: Flag): void {
  let left = operations;
  for (const name of ["load", "compareExchange", "add", "notify"] as const) {
    const original = Atomics[name] as (...args: unknown[]) => number;
    Object.assign(Atomics, {
      [name]: (...args: unknown[]) => {
        if (left-- === 0) {
          ended.raise();
          Deno.exit();
        }
        return original(...args);
      },
    });
  }
}

async function run(order: KeyedOrder): Promise<number> {
  const { handle, keys, operations, mortal } = order;
  let { seed } = order;
  const words = new Int32Array(order.counters);
  const map = LazyInitMap.from(handle, keyCodec, valueCodec);
  /** What was last read of a key, and how many resets of it had ended before. */
  const last = new Map<number, { run: number; resets: number }>();

  const count = (name: typeof KEYED_TOTALS[number]) =>
    add(words, FIRST_TOTAL + KEYED_TOTALS.indexOf(name), 1);
  const violate = (name: typeof KEYED_VIOLATIONS[number]) =>
    add(words, FIRST_VIOLATION + KEYED_VIOLATIONS.indexOf(name), 1);
  const begunResets = (key: number) => RESETS + 2 * key;
  const endedResets = (key: number) => RESETS + 2 * key + 1;

  /** Returns an integer from 0 to `limit` - 1, the same ones for the same seed. */
  function random(limit: number): number {
    seed = Math.imul(seed ^ seed >>> 15, 0x2c1b3c6d) + 0x9e3779b9 | 0;
    return (seed >>> 8) % limit;
  }

  function make(key: string): KeyedValue {
    if (random(8) === 0) {
      count("failures");
      throw new Failure();
    }
    count("initializations");
    const run = add(words, RUNS, 1) + 1;
    return [key, ...Array<number>(1 + random(12)).fill(run)];
  }

  async function makeLater(key: string): Promise<KeyedValue> {
    await new Promise((resolve) => setTimeout(resolve));
    return make(key);
  }

  function look(
    key: number,
    value: KeyedValue | undefined,
    resets: number,
  ): void {
    count("look-ups");
    if (value === undefined) return;
    const [found, run, ...more] = value;
    if (found !== keyOf(key) || more.some((other) => other !== run)) {
      violate("torn values");
    }
    const before = last.get(key);
    if (
      before !== undefined && before.run !== run &&
      load(words, begunResets(key)) === before.resets
    ) violate("values replaced without a reset");
    last.set(key, { run: run!, resets });
  }

  async function step(): Promise<void> {
    const key = random(random(2) === 0 ? Math.min(HOT, keys) : keys);
    const text = keyOf(key);
    const resets = load(words, endedResets(key));
    switch (random(16)) {
      case 0: {
        add(words, begunResets(key), 1);
        const wasReset = random(2) === 0
          ? map.reset(text)
          : await map.resetAsync(text);
        add(words, endedResets(key), 1);
        if (wasReset) count("resets");
        return;
      }
      case 1:
        return look(key, await map.getOrInitAsync(text, makeLater), resets);
      case 2:
        return look(key, map.read(text, (value) => value), resets);
      case 3:
      case 4:
      case 5:
        return look(key, map.get(text), resets);
      default:
        return look(key, map.getOrInit(text, make), resets);
    }
  }

  async function attempt(call: () => Promise<void>): Promise<void> {
    try {
      await call();
    } catch (error) {
      if (error instanceof Failure) return;
      if (error instanceof OwnerLostError && mortal) return;
      violate("other errors");
    }
  }

  if (operations !== undefined) endAfter(operations, new Flag(order.ended));
  for (let steps = 1; load(words, STOP) === 0; steps++) {
    await attempt(step);
    // A worker is terminated between two turns only
    if (steps % TURN === 0) await new Promise((resolve) => setTimeout(resolve));
  }
  return await finish();

  /** Makes what has no value yet, with the others, and returns what all of them then read. */
  async function finish(): Promise<number> {
    const first = random(keys);
    for (let i = 0; i < keys; i++) {
      const key = keyOf((first + i) % keys);
      while (map.get(key) === undefined) {
        await attempt(() => Promise.resolve(void map.getOrInit(key, make)));
      }
      count("look-ups");
    }
    return sumOf(map, keys);
  }
}

self.onmessage = async ({ data }: MessageEvent<KeyedOrder>) => {
  self.postMessage(await run(data));
};
hold(lockOf(agentId()), () => {
  self.postMessage(agentId());
  return new Promise(() => {});
});
