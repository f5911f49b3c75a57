// Copyright 2026 the lazyinit authors. MIT license.
/// <reference lib="deno.worker" />

/*
 * A thread of a scenario: a real worker that runs the real modules, but asks the
 * explorer before each operation on the scenario's memory. What it replaces, it
 * replaces before the modules are loaded.
 */

import * as modules from "node:module";
import { setImmediate } from "node:timers";
import threads from "node:worker_threads";
import {
  Abandoned,
  Channel,
  GRANTED,
  NOT_EQUAL,
  type Operation,
  PENDING,
  TIMED_OUT,
} from "./channel.ts";
import { ROLES } from "./allowed_races.ts";
import { Thread } from "./thread.ts";
import { createLocks } from "./locks.ts";
import { recordViews, unwrap } from "./views.ts";

/** What the explorer sends to start with. */
export interface Start {
  index: number;
  scenario: string;
  /** Where the scenarios are, which import the modules. */
  module: string;
  /** Whether there are Web Locks. */
  locks: boolean;
  /** How many bytes a slice of a reset zeroes, if not as many as otherwise. */
  sliceBytes: number | undefined;
  channel: SharedArrayBuffer;
  memory: SharedArrayBuffer;
  ledger: SharedArrayBuffer;
}

/** Where the package keeps what all of its copies in a thread have in common. */
const REGISTRY = Symbol.for("@lazyinit/lazyinit");
const WAIT_RESULTS = ["not-equal", "ok", "timed-out"] as const;

/** Nothing is asked while the cells are made. */
let asking = false;
/** What the scenario's memory was called in each schedule: all are one. */
const memories = new WeakSet<ArrayBufferLike>();
/** The thread as the current schedule knows it. */
let thread: Thread;
/** The virtual time, in ms. */
let now = 0;
/** The asynchronous waits that go on. */
let pending = new Map<number, (result: "ok" | "timed-out") => void>();
/** The timers that go off in the next turn, by their ids. */
let due = new Map<number, () => void>();
let timers = 0;

function replaceAtomics(channel: Channel): void {
  const asks = ({ buffer }: { buffer: ArrayBufferLike }) =>
    memories.has(buffer) && asksFor(buffer);

  const operations = [
    "load",
    "store",
    "compareExchange",
    "exchange",
    "add",
    "sub",
    "or",
    "and",
  ] satisfies Operation[];
  for (const operation of operations) {
    const original = Atomics[operation] as (
      ...args: [Int32Array, number, number, number]
    ) => number;
    Object.assign(Atomics, {
      [operation]: (view: Int32Array, index: number, a = 0, b = 0) =>
        asks(view)
          ? channel.ask(operation, wordOf(view, index), a, b)
          : original(unwrap(view), index, a, b),
    });
  }

  const { wait, waitAsync, notify } = Atomics as unknown as {
    wait: (...args: unknown[]) => string;
    waitAsync: (...args: unknown[]) => unknown;
    notify: (...args: unknown[]) => number;
  };
  Object.assign(Atomics, {
    wait(view: Int32Array, index: number, value: number, timeout = Infinity) {
      if (!asks(view)) return wait(unwrap(view), index, value, timeout);
      const timed = timeout === Infinity ? 0 : 1;
      const result = channel.ask("wait", wordOf(view, index), value, timed);
      if (result === TIMED_OUT) now += timeout;
      return WAIT_RESULTS[result];
    },
    waitAsync(view: Int32Array, index: number, value: number, timeout: number) {
      if (!asks(view)) return waitAsync(unwrap(view), index, value, timeout);
      const result = channel.ask("waitAsync", wordOf(view, index), value, 1);
      if (result === NOT_EQUAL) return { async: false, value: "not-equal" };
      return {
        async: true,
        value: new Promise((resolve) => pending.set(result - PENDING, resolve)),
      };
    },
    notify(view: Int32Array, index: number, count = Infinity) {
      if (!asks(view)) return notify(unwrap(view), index, count);
      const limit = Math.min(count, 2 ** 31 - 1);
      return channel.ask("notify", wordOf(view, index), limit);
    },
  });
}

/** Whether to ask, now that a memory is accessed. */
function asksFor(memory: ArrayBufferLike): boolean {
  // Who remembers that of an earlier schedule was abandoned with it
  if (memory !== thread.memory) throw new Abandoned();
  return asking;
}

function wordOf(view: Int32Array, index: number): number {
  return view.byteOffset / Int32Array.BYTES_PER_ELEMENT + index;
}

/**
 * Time passes when a timeout is chosen only. So timers never fire, as timeouts stand for
 * them, save those that only ask for another turn.
 */
function replacePlatform(): void {
  performance.now = () => now;
  Object.assign(globalThis, {
    setTimeout(callback: () => void, delay: number): number {
      const id = ++timers;
      if (delay === 0) due.set(id, callback);
      return id;
    },
    clearTimeout: (id: number) => due.delete(id),
    setInterval: () => 0,
    clearInterval: () => {},
  });
}

interface Loaded {
  readonly source: string;
}

/** The loading of modules, in which Deno lets a thread take a part as Node does. */
const { registerHooks } = modules as unknown as {
  registerHooks(hooks: {
    load(
      url: string,
      context: object,
      next: (url: string, context: object) => Loaded,
    ): Loaded;
  }): void;
};
const SLICE = "SLICE_BYTES = 4 * 2 ** 20;";

/** Has the modules zero so few bytes in a turn that some words take several turns. */
function shrinkSlices(sliceBytes: number): void {
  registerHooks({
    load(url, context, next) {
      const loaded = next(url, context);
      if (!url.endsWith("/_resetting.ts")) return loaded;
      const { source } = loaded;
      if (!source.includes(SLICE)) throw new Error(`There is no ${SLICE}`);
      return {
        ...loaded,
        source: source.replace(SLICE, `SLICE_BYTES = ${sliceBytes};`),
      };
    },
  });
}

/**
 * Has the agent have a known id, and draw the same numbers in all schedules; returns a
 * function that has the package forget what it has kept since the modules were loaded.
 */
function identify(index: number): () => () => void {
  const registry = new Map<string, object>([
    ["agent", { id: index + 1, salt: index << 24, factor: 1 }],
  ]);
  Object.assign(threads, { [REGISTRY]: registry });
  return () => {
    const kept = [...registry.values()].map((object) =>
      [object, { ...object }] as const
    );
    return () => {
      for (const [object, before] of kept) {
        if (object instanceof Map || object instanceof Set) object.clear();
        else Object.assign(object, before);
      }
    };
  };
}

self.onmessage = async ({ data }: MessageEvent<Start>) => {
  const { index } = data;
  const channel = new Channel(data.channel);
  const ledger = new Int32Array(data.ledger);
  const remember = identify(index);
  recordViews(memories, (access, memory, word) => {
    if (asksFor(memory)) {
      channel.ask(access, word, ROLES.indexOf(thread.role));
    }
  });
  replaceAtomics(channel);
  replacePlatform();
  if (data.sliceBytes !== undefined) shrinkSlices(data.sliceBytes);
  const locks = data.locks
    ? createLocks((...request) => channel.ask(...request))
    : undefined;
  Object.defineProperty(navigator, "locks", { value: locks });
  for (const type of ["error", "unhandledrejection"]) {
    self.addEventListener(type, (event) => {
      // Whoever would have handled it has been abandoned
      if (channel.abandoned) event.preventDefault();
    });
  }
  const { scenarios } = await import(
    data.module
  ) as typeof import("./scenarios.ts");
  const scenario = scenarios.find(({ name }) => name === data.scenario)!;
  const forget = remember();

  /** Counts schedules, so that nothing of one reaches into the next. */
  let schedule = 0;
  let ended = true;

  function begin(): void {
    const current = ++schedule;
    ended = false;
    now = 0;
    pending = new Map();
    due = new Map();
    forget();
    // The same bytes by another name, by which the modules know nothing of them yet
    const memory = structuredClone(data.memory);
    memories.add(memory);
    thread = new Thread(
      index,
      channel,
      memory,
      ledger,
      scenario.slow === index,
    );
    const body = scenario.prepare(thread);
    asking = true;
    (async () => await body())().catch((error) => {
      if (error instanceof Abandoned || current !== schedule) return;
      if (asking) channel.fail(`${error.stack}`);
    }).catch(() => {}).finally(() => {
      if (current === schedule) ended = true;
    });
  }

  /** Comes when there is nothing left to do in the turn. */
  function rest(): void {
    try {
      const [timer] = due;
      if (timer !== undefined) {
        const [id, callback] = timer;
        // Others may go first, however soon it is
        channel.ask("yield");
        due.delete(id);
        callback();
        // Locks that it has asked for are granted to it, and freed, even when it has ended
      } else if (ended && !locks?.pending) {
        asking = false;
        channel.ask("done");
        begin();
      } else {
        const event = channel.ask("idle");
        const [id, result] = [event >> 2, event & 3];
        if (result === GRANTED) return locks!.grant(id);
        const resolve = pending.get(id)!;
        pending.delete(id);
        resolve(WAIT_RESULTS[result] as "ok" | "timed-out");
      }
    } catch (error) {
      if (!(error instanceof Abandoned)) throw error;
      schedule++;
      ended = true;
      due.clear();
      locks?.forget();
    } finally {
      if (!channel.released) setImmediate(rest);
    }
  }
  self.postMessage("ready");
  setImmediate(rest);
};
