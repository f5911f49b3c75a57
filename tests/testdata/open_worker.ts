// Copyright 2026 the lazyinit authors. MIT license.

/* An agent that opens cells by their names, as a test orders it, in Deno and in Node. */

import {
  BroadcastChannel,
  parentPort,
  threadId,
  workerData,
} from "node:worker_threads";
import {
  type Codec,
  float64,
  int32,
  LazyInit,
  LazyInitMap,
  type LazyInitOpenOptions,
  MutexLazyInit,
} from "../../mod.ts";
import { importCopy } from "../_copies.ts";
import { Flag } from "../_flag.ts";
import { Opener, type Order, type OrderMessage } from "../_openers.ts";

const CODECS = { int32, float64 };
const CLASSES = { LazyInit, MutexLazyInit };
/** The one key that is used of a map. */
const KEY = 7;
const HOLDERS = "@lazyinit/lazyinit holders ";
const GATE = "@lazyinit/lazyinit gate ";

type Face =
  | LazyInit<number>
  | MutexLazyInit<number>
  | LazyInitMap<number, number>;

const faces = new Map<string, Face>();
const aborts = new Map<string, AbortController>();

function faceOf(label: string): Face {
  const face = faces.get(label);
  if (face === undefined) throw new Error(`Nothing is open as ${label}`);
  return face;
}

async function open(
  { name, type = "MutexLazyInit" }: Order & { kind: "open" },
  codec: Codec<number>,
  options: LazyInitOpenOptions,
): Promise<Face> {
  return type === "LazyInitMap"
    ? await LazyInitMap.open<number, number>(name, int32, codec, options)
    : await CLASSES[type].open<number>(name, codec, options);
}

async function perform(order: Order): Promise<unknown> {
  switch (order.kind) {
    case "open": {
      const { name, label = name, codec = "int32" } = order;
      const request = new AbortController();
      aborts.set(label, request);
      if (order.start !== undefined) new Flag(order.start).block();
      const { signal } = request;
      const face = await open(order, CODECS[codec], { signal });
      faces.set(label, face);
      return face.name;
    }

    case "open in a copy": {
      const copy = await importCopy();
      const face = await copy.MutexLazyInit.open(order.name, copy.int32);
      faces.set(order.label, face);
      return face.name;
    }

    case "open many": {
      const cells = await Promise.all(
        order.names.map((name) => MutexLazyInit.open(name, int32)),
      );
      return cells.map((cell, index) => cell.getOrInit(() => index));
    }

    case "abort":
      return aborts.get(order.label)!.abort(new Error("Aborted by the test"));

    case "getOrInit": {
      const face = faceOf(order.label);
      return face instanceof LazyInitMap
        ? face.getOrInit(KEY, () => order.value)
        : (face as MutexLazyInit<number>).getOrInit(() => order.value);
    }

    case "get": {
      const face = faceOf(order.label);
      return face instanceof LazyInitMap ? face.get(KEY) : face.get();
    }

    case "dispose":
      return faceOf(order.label)[Symbol.dispose]();

    case "block":
      new Flag(order.entered).raise();
      return new Flag(order.leave).block();

    case "nest": {
      const nested = await Opener.start();
      try {
        await nested.do({ kind: "open", name: order.name });
        return await nested.do({
          kind: "getOrInit",
          label: order.name,
          value: order.value,
        });
      } finally {
        await nested.terminate();
      }
    }

    case "hang at a lock":
      return hangAtLock(order.step, order.granted, new Flag(order.hung));

    case "hang at an answer":
      return hangAtAnswer(new Flag(order.hung));

    case "pause before it holds": {
      const [entered, leave] = [new Flag(order.entered), new Flag(order.leave)];
      return beforeItHolds(async () => {
        entered.raise();
        await leave.raised();
      });
    }

    case "pause while it looks":
      return pauseWhileItLooks(new Flag(order.entered), new Flag(order.leave));

    case "abort before it holds":
      return beforeItHolds(() => {
        aborts.get(order.label)!.abort(new Error("Aborted by the test"));
      });

    case "skip the gate":
      return skipGate();

    case "count requests": {
      const counter = new Int32Array(order.counter);
      return replaceRequests((request) => (...args) => {
        Atomics.add(counter, 0, 1);
        return request(...args);
      });
    }

    case "delay answers":
      return delayAnswers(order.milliseconds);

    case "churn":
      return await churn(order.name, order.rounds, order.held);
  }
}

type Request = (
  name: string,
  options: { mode?: "shared" | "exclusive" },
  granted: (lock: object | null) => unknown,
) => Promise<unknown>;

/** Puts something in the place of the requests for locks, from now on. */
function replaceRequests(replacement: (request: Request) => Request): void {
  // deno-lint-ignore no-explicit-any -- Deno does not declare Web Locks
  const { locks } = navigator as any;
  locks.request = replacement(locks.request.bind(locks));
}

/** Has this agent go no further than the lock request with that number, from now on. */
function hangAtLock(step: number, granted: boolean, hung: Flag): void {
  let count = 0;
  const never = new Promise(() => {});
  const hang = () => {
    hung.raise();
    return never;
  };
  replaceRequests((request) => (name, options, callback) => {
    count++;
    if (count < step) return request(name, options, callback);
    return count > step || !granted ? hang() : request(name, options, hang);
  });
}

/** Calls `act` before the next request that would make this agent a holder. */
function beforeItHolds(act: () => unknown): void {
  let acted = false;
  replaceRequests((request) => async (name, options, granted) => {
    if (!acted && name.startsWith(HOLDERS) && options.mode === "shared") {
      acted = true;
      await act();
    }
    return await request(name, options, granted);
  });
}

/** Has this agent pause when it has found next that there is no holder. */
function pauseWhileItLooks(entered: Flag, leave: Flag): void {
  replaceRequests((request) => (name, options, granted) =>
    request(name, options, async (lock) => {
      if (
        lock !== null && name.startsWith(HOLDERS) &&
        options.mode === "exclusive"
      ) {
        entered.raise();
        await leave.raised();
      }
      return await granted(lock);
    })
  );
}

function skipGate(): void {
  replaceRequests((request) => async (name, options, granted) =>
    name.startsWith(GATE) && options.mode === "exclusive"
      ? await granted({})
      : await request(name, options, granted)
  );
}

/** Has this agent answer no more. */
function hangAtAnswer(hung: Flag): void {
  const { postMessage } = BroadcastChannel.prototype;
  BroadcastChannel.prototype.postMessage = function (message) {
    if ((message as { type?: string })?.type !== "answer") {
      return postMessage.call(this, message);
    }
    hung.raise();
  };
}

function delayAnswers(milliseconds: number): void {
  const { postMessage } = BroadcastChannel.prototype;
  BroadcastChannel.prototype.postMessage = function (message) {
    if ((message as { type?: string })?.type !== "answer") {
      return postMessage.call(this, message);
    }
    setTimeout(() => postMessage.call(this, message), milliseconds);
  };
}

/**
 * Opens the name and gives it up, over and over. Returns how often another agent had
 * another cell of that name open at the same time.
 */
async function churn(
  name: string,
  rounds: number,
  counts: SharedArrayBuffer,
): Promise<{ ghosts: number; made: number }> {
  const held = new Int32Array(counts);
  let ghosts = 0;
  let made = 0;
  for (let round = 0; round < rounds; round++) {
    using cell = await MutexLazyInit.open(name, int32);
    const value = cell.getOrInit(() => {
      made++;
      // Word 0 counts the cells
      return Atomics.add(held, 0, 1) + 1;
    });
    Atomics.add(held, value, 1);
    for (let other = 1; other <= Atomics.load(held, 0); other++) {
      if (other !== value && Atomics.load(held, other) > 0) ghosts++;
    }
    // Others attach meanwhile
    if (round % 2 === 0) await new Promise((resolve) => setTimeout(resolve));
    Atomics.sub(held, value, 1);
  }
  return { ghosts, made };
}

parentPort!.on("message", async ({ id, order }: OrderMessage) => {
  let reply: { result?: unknown; error?: { name: string; message: string } };
  try {
    reply = { result: await perform(order) };
  } catch (error) {
    const { name, message } = error as Error;
    reply = { error: { name, message } };
  }
  parentPort!.postMessage({ id, ...reply });
});
parentPort!.postMessage({ id: 0, result: workerData ?? threadId });
