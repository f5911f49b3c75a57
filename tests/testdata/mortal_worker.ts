// Copyright 2026 the lazyinit authors. MIT license.
/// <reference lib="deno.worker" />

/* An agent that ends in the middle of what it does, at once and without cleaning up. */

// First, as the modules may keep what they find of `Atomics`
import { onceTaken, replaceable } from "../_platform.ts";
import { Sleepers } from "../_sleepers.ts";
import {
  agentId,
  announceAgent,
  LazyInit,
  type LazyInitHandle,
  Mutex,
  MutexLazyInit,
  OnceState,
} from "../../mod.ts";
import { Flag } from "../_flag.ts";
import { type Pair, pair, pairOf } from "../_jobs.ts";
import { locks } from "../_locks.ts";
import { agentScript, type Copy } from "./agent_script.ts";

/** What the agent tells of itself when it listens. */
export interface Birth {
  readonly id: number;
  readonly sleepers: SharedArrayBuffer;
}

/** Where the agent ends. */
export type Stage =
  /** It has taken the cell and not yet called its initializer. */
  | "taken"
  /** Its initializer runs. */
  | "initializing"
  /** It has written a part of the value. */
  | "writing"
  /** It has written the value and not published it. */
  | "written"
  /** It has published the value and woken nobody. */
  | "published"
  /** Its initializer has failed, and it is about to zero the slot. */
  | "failed"
  /** It has reset the cell, and is about to zero the slot. */
  | "resetting";

export type Message =
  | {
    /** Begins, and ends by itself. */
    kind: "end";
    handle: LazyInitHandle;
    stage: Stage;
    announced: boolean;
    /** Raised by the initializer, … */
    entered: SharedArrayBuffer;
    /** … which then blocks until this one is raised, … */
    leave: SharedArrayBuffer;
    /** … in a loop. */
    spins?: boolean;
    /** Raised in the last moment. */
    ended: SharedArrayBuffer;
  }
  | {
    /**
     * Gets or resets the value, but is slow right after it has taken the cell; and tells
     * what came of it, unless it ends there.
     */
    kind: "dawdle";
    handle: LazyInitHandle;
    method: "getOrInit" | "reset";
    ends: boolean;
    /** Raised when it has taken the cell, … */
    entered: SharedArrayBuffer;
    /** … where it then blocks until this one is raised. */
    leave: SharedArrayBuffer;
    /** Raised in the last moment. */
    ended: SharedArrayBuffer;
  }
  | {
    /** Locks a mutex, and keeps it. */
    kind: "lock";
    mutex: SharedArrayBuffer;
    /** Whether the agent announces itself before. */
    announced: boolean;
    entered: SharedArrayBuffer;
  }
  | {
    /** Locks a mutex, and initializes a cell before, while the platform refuses Web Locks. */
    kind: "lock when refused";
    mutex: SharedArrayBuffer;
    handle: LazyInitHandle;
    entered: SharedArrayBuffer;
  }
  | {
    /** Runs an asynchronous initializer. */
    kind: "initialize";
    handle: LazyInitHandle;
    entered: SharedArrayBuffer;
    /** It finishes when this is raised, if ever; before that, … */
    leave?: SharedArrayBuffer;
    /** … it does this. */
    then?:
      | "announce"
      | "announce from another copy"
      /** Ends when it has published the value, before it wakes anybody, … */
      | "end when it publishes"
      /** … or resets the cell there and begins again, for ever. */
      | "begin again when it publishes"
      /** Closes its agent at once. */
      | "close";
  }
  | {
    /** Waits for others to initialize. */
    kind: "wait";
    handle: LazyInitHandle;
  }
  | {
    /** Closes itself, or throws an uncaught error. */
    kind: "close" | "throw";
  };

type Task = Extract<Message, { kind: "end" }>;
type SlowTask = Extract<Message, { kind: "dawdle" }>;

function end(task: Task | SlowTask): never {
  // Not by raise(), as this may stand in for Atomics.notify
  Atomics.store(new Int32Array(task.ended), 0, 1);
  exit();
}

/** Ends the worker here: by itself, `Deno.exit()` has it go on for a few more steps. */
function exit(): never {
  (Deno.exit as () => void)();
  for (;;);
}

function perform(task: Task): void {
  const { handle, stage } = task;
  const last = () => end(task);
  const codec: typeof pair = {
    ...pair,
    encode(value, slot) {
      if (stage === "writing") {
        new Int32Array(slot.buffer, slot.byteOffset, 2).fill(-1);
        last();
      }
      pair.encode(value, slot);
      if (stage === "written") last();
    },
  };
  const cell = handle.kind === "LazyInit"
    ? LazyInit.from(handle, codec)
    : MutexLazyInit.from(handle, codec);
  const initializer = () => {
    new Flag(task.entered).raise();
    if (task.spins) new Flag(task.leave).spin();
    else new Flag(task.leave).block();
    if (stage === "initializing") last();
    if (stage === "published") replaceable.notify = last;
    if (stage === "failed") {
      Uint8Array.prototype.fill = last;
      throw new Error("Failed");
    }
    return pairOf(1);
  };
  if (cell instanceof LazyInit) {
    cell.callOnce(initializer);
  } else if (stage === "resetting") {
    Uint8Array.prototype.fill = last;
    cell.reset();
  } else {
    if (stage === "taken") onceTaken(handle.buffer, last);
    cell.getOrInit(initializer);
  }
}

/** Returns the value, whether there was one to reset, or the name of an error. */
function dawdle(task: SlowTask): unknown {
  const cell = MutexLazyInit.from(task.handle, pair);
  onceTaken(task.handle.buffer, () => {
    new Flag(task.entered).raise();
    new Flag(task.leave).block();
    if (task.ends) end(task);
  });
  try {
    return task.method === "getOrInit"
      ? cell.getOrInit(() => pairOf(1))
      : cell.reset();
  } catch (error) {
    return (error as Error).name;
  }
}

async function initialize(
  { entered, leave, then, handle }: Extract<Message, { kind: "initialize" }>,
): Promise<Pair> {
  new Flag(entered).raise();
  if (then === "close") self.close();
  if (leave === undefined) return await new Promise(() => {});
  await new Flag(leave).raised();
  switch (then) {
    case "announce":
      await announceAgent();
      break;

    case "announce from another copy": {
      const copy: Copy = (0, eval)(agentScript());
      await copy.announceAgent();
      break;
    }

    case "end when it publishes":
    case "begin again when it publishes": {
      const { notify } = replaceable;
      replaceable.notify = (words, index, count) => {
        if (words.buffer !== handle.buffer) return notify(words, index, count);
        if (then === "end when it publishes") exit();
        replaceable.notify = notify;
        const state = new OnceState(handle.buffer, handle.byteOffset);
        state.reset();
        state.begin();
        return 0;
      };
    }
  }
  return pairOf(1);
}

self.onmessage = async ({ data }: MessageEvent<Message>) => {
  switch (data.kind) {
    case "end":
      if (data.announced) await announceAgent();
      return perform(data);

    case "dawdle":
      return self.postMessage(dawdle(data));

    case "lock":
      if (data.announced) await announceAgent();
      new Mutex(data.mutex).lock();
      return new Flag(data.entered).raise();

    case "lock when refused": {
      const refused = new Error("Refused");
      locks.request = () => Promise.reject(refused);
      await MutexLazyInit.from(data.handle, pair).initAsync(() => pairOf(1));
      const error = await announceAgent().catch((error) => error);
      Reflect.deleteProperty(locks, "request");
      if (error !== refused) throw new Error("Not refused");
      await announceAgent();
      new Mutex(data.mutex).lock();
      return new Flag(data.entered).raise();
    }

    case "initialize":
      return await MutexLazyInit.from(data.handle, pair).getOrInitAsync(
        () => initialize(data),
      );

    case "wait":
      return await MutexLazyInit.from(data.handle, pair).waitAsync();

    case "close":
      return self.close();

    case "throw":
      // Out of any promise
      return setTimeout(() => {
        throw new Error("Thrown on purpose");
      });
  }
};
const sleepers = new Sleepers();
sleepers.countThisAgent();
self.postMessage(
  { id: agentId(), sleepers: sleepers.buffer } satisfies Birth,
);
