// Copyright 2026 the lazyinit authors. MIT license.

import { assert, assertEquals } from "@std/assert";
import type { LazyInitHandle } from "../../mod.ts";
import { Flag, until } from "../_flag.ts";
import type { Backstage, Case, Peer, Stage } from "./suite.ts";

/** How an agent ends that initializes a cell, or how it is waited for. */
export type Way =
  | "is terminated"
  | "closes itself"
  | "throws an uncaught error"
  | "is terminated in `Atomics.wait` or a loop"
  | "is waited for by blocking agents only"
  | "holds a `Mutex`"
  | "holds a `Mutex` and has not announced itself";

/** What becomes of the cell then, if nobody calls `recover()`. */
export type Fate =
  | "is taken over"
  /** The platform does so by itself, but not at once. */
  | "is taken over after 2 s"
  /** Nothing. */
  | "`recover()`"
  /** Nothing, as the agent has not ended; it goes on waiting or looping. */
  | "lives on"
  | "lives on, as does its call";

export type Fates = Readonly<Record<Way, Fate>>;

const ONLY_RECOVER: Fates = {
  "is terminated": "`recover()`",
  "closes itself": "`recover()`",
  "throws an uncaught error": "`recover()`",
  "is terminated in `Atomics.wait` or a loop": "`recover()`",
  "is waited for by blocking agents only": "`recover()`",
  "holds a `Mutex`": "`recover()`",
  "holds a `Mutex` and has not announced itself": "`recover()`",
};

const FIREFOX: Fates = {
  ...ONLY_RECOVER,
  "is terminated": "is taken over",
  "closes itself": "is taken over",
  "throws an uncaught error": "lives on, as does its call",
  "is terminated in `Atomics.wait` or a loop": "is taken over",
  "holds a `Mutex`": "is taken over",
};

/** If the event loop runs of the thread that has started the owner. */
const NODE: Fates = {
  ...ONLY_RECOVER,
  "is terminated": "is taken over",
  "closes itself": "is taken over",
  "throws an uncaught error": "is taken over",
  "is terminated in `Atomics.wait` or a loop": "is taken over",
  "is waited for by blocking agents only": "is taken over",
};

/** The table in `examples/agents_that_end.md`. */
export const FATES = {
  Deno: {
    ...FIREFOX,
    "throws an uncaught error": "is taken over",
    "is terminated in `Atomics.wait` or a loop": "lives on",
  },
  Chromium: {
    ...FIREFOX,
    "is terminated in `Atomics.wait` or a loop": "is taken over after 2 s",
  },
  Firefox: FIREFOX,
  Node: NODE,
  Bun: NODE,
  "older Deno": ONLY_RECOVER,
} satisfies Record<string, Fates>;

/** What the owner does while it owns. */
export type Deed = "wait" | "close" | "throw" | "block" | "loop";

/** What a worker is to own: a cell that it initializes, or a mutex that it locks. */
type Target = LazyInitHandle | SharedArrayBuffer;

/** What the main thread asks of a worker. */
type Task =
  | {
    readonly kind: "own";
    readonly target: Target;
    readonly deed: Deed;
    readonly announced: boolean;
    readonly leave: SharedArrayBuffer;
  }
  | { readonly kind: "block" | "wait"; readonly handle: LazyInitHandle };

export interface Owner {
  readonly peer: Peer;
  readonly id: number;
  /** What it initializes is published when this is raised, if it lives. */
  readonly leave: Flag;
}

/** The same of cells and mutexes. */
interface Property {
  readonly target: Target;
  isOwned(): boolean;
  recover(agentId: number): boolean;
  /** Resolves with 1 if the owner has published that, and with 2 if it was taken over. */
  wait(): Promise<number>;
}

function newMutexLazyInit({ library }: Stage): Property {
  const cell = new library.MutexLazyInit(library.int32);
  return {
    target: cell.handle,
    isOwned: () => cell.phase === "initializing",
    recover: (agentId) => cell.recover(agentId),
    wait: () => cell.getOrInitAsync(() => 2),
  };
}

function newLazyInit({ library }: Stage): Property {
  const cell = new library.LazyInit(library.int32);
  return {
    target: cell.handle,
    isOwned: () => cell.phase === "initializing",
    recover: (agentId) => cell.recover(agentId),
    async wait() {
      const value = cell.waitAsync();
      await until(() => cell.phase !== "initializing");
      if (cell.phase === "uninitialized") cell.initOnce(2);
      return await value;
    },
  };
}

function newMutex({ library }: Stage): Property {
  const mutex = new library.Mutex();
  return {
    target: mutex.buffer,
    isOwned: () => mutex.lockIfAvailable() === null,
    recover: (agentId) => mutex.recover(agentId),
    async wait() {
      const token = await mutex.lockAsync();
      return token.unlock() ? 2 : 1;
    },
  };
}

/** Has a worker own something, and resolves when it does. */
export async function own(
  peer: Peer,
  target: Target,
  deed: Deed,
  announced = true,
): Promise<Owner> {
  const leave = new Flag();
  tell(peer, { kind: "own", target, deed, announced, leave: leave.buffer });
  return { peer, leave, id: await peer.port.next() };
}

/** Has a worker wait for a cell without blocking, and resolves with the value, 2 by itself. */
export async function waitFor(
  peer: Peer,
  handle: LazyInitHandle,
): Promise<number> {
  tell(peer, { kind: "wait", handle });
  return await peer.port.next();
}

function tell({ port }: Peer, task: Task): void {
  port.send(task);
}

/**
 * Resolves when the platform has told of the end of an agent that ends now; at once where
 * it tells nobody.
 */
export async function noticeEnd(stage: Stage): Promise<void> {
  const property = newMutexLazyInit(stage);
  const { peer } = await own(stage.spawn(1)[0]!, property.target, "wait");
  peer.terminate();
  if (stage.fates["is terminated"] === "is taken over") await property.wait();
  else await peer.ended;
}

async function initialize(
  { library: { agentId }, port, close }: Backstage,
  { deed, leave }: Extract<Task, { kind: "own" }>,
): Promise<number> {
  port.send(agentId());
  const flag = new Flag(leave);
  switch (deed) {
    case "close":
      setTimeout(close);
      break;
    case "throw":
      setTimeout(() => {
        throw new Error("Thrown on purpose");
      });
      break;
    case "block":
      flag.block();
      break;
    case "loop":
      flag.spin();
  }
  await flag.raised();
  return 1;
}

async function peer(backstage: Backstage): Promise<void> {
  const { library, port } = backstage;
  const { agentId, announceAgent, int32 } = library;
  const task: Task = await port.next();
  if (task.kind !== "own") {
    const cell = library.MutexLazyInit.from(task.handle, int32);
    return port.send(
      task.kind === "block"
        ? cell.getOrInit(() => 2)
        : await cell.getOrInitAsync(() => 2),
    );
  }
  const { target } = task;
  if (task.announced) await announceAgent();
  if (!("kind" in target)) {
    new library.Mutex(target).lock();
    port.send(agentId());
  } else if (target.kind === "LazyInit") {
    library.LazyInit.from(target, int32).callOnce(() => {
      port.send(agentId());
      new Flag(task.leave).block();
      return 1;
    });
  } else {
    await library.MutexLazyInit.from(target, int32).initAsync(() =>
      initialize(backstage, task)
    );
  }
}

/** Asserts what becomes of something whose owner has ended. */
async function assertFate(
  stage: Stage,
  way: Way,
  property: Property,
  owner: Owner,
  value: Promise<number>,
): Promise<void> {
  const startTime = performance.now();
  const fate: Fate = stage.fates[way];
  switch (fate) {
    case "is taken over":
      return assertEquals(await value, 2);

    case "is taken over after 2 s":
      assertEquals(await value, 2);
      return assert(performance.now() - startTime > 1_000);

    case "lives on, as does its call":
      owner.leave.raise();
      return assertEquals(await value, 1);

    default:
      await owner.peer.ended;
      await noticeEnd(stage);
      assert(property.isOwned());
      assert(property.recover(owner.id));
      assertEquals(await value, 2);
      // What lives on ends now
      owner.leave.raise();
  }
}

function endsBy(
  way: Exclude<Way, "is waited for by blocking agents only">,
  method: string,
  newProperty: (stage: Stage) => Property,
  ...deeds: Deed[]
): Case[] {
  return deeds.map((deed) => ({
    name: `${method} does as the table says if the owner ${way} (${deed})`,
    async main(stage) {
      const property = newProperty(stage);
      const announced = way !== "holds a `Mutex` and has not announced itself";
      const peer = stage.spawn(1)[0]!;
      const owner = await own(peer, property.target, deed, announced);
      const value = property.wait();
      if (deed !== "close" && deed !== "throw") {
        // One that lives is left alone
        await noticeEnd(stage);
        assert(property.isOwned());
        peer.terminate();
      }
      await assertFate(stage, way, property, owner, value);
    },
    peer,
  }));
}

export const cases: Case[] = [
  ...endsBy(
    "is terminated",
    "MutexLazyInit.getOrInitAsync()",
    newMutexLazyInit,
    "wait",
  ),
  ...endsBy("holds a `Mutex`", "Mutex.lockAsync()", newMutex, "wait"),
  ...endsBy(
    "closes itself",
    "MutexLazyInit.getOrInitAsync()",
    newMutexLazyInit,
    "close",
  ),
  ...endsBy(
    "throws an uncaught error",
    "MutexLazyInit.getOrInitAsync()",
    newMutexLazyInit,
    "throw",
  ),
  ...endsBy(
    "is terminated in `Atomics.wait` or a loop",
    "MutexLazyInit.getOrInitAsync()",
    newMutexLazyInit,
    "block",
    "loop",
  ),
  ...endsBy(
    "is terminated in `Atomics.wait` or a loop",
    "LazyInit.waitAsync()",
    newLazyInit,
    "block",
  ),
  ...endsBy(
    "holds a `Mutex` and has not announced itself",
    "Mutex.lockAsync()",
    newMutex,
    "wait",
  ),
  {
    name:
      "MutexLazyInit.getOrInit() does as the table says if the owner is waited for by blocking agents only",
    async main(stage) {
      const way = "is waited for by blocking agents only";
      const property = newMutexLazyInit(stage);
      const handle = property.target as LazyInitHandle;
      const [peer, waiter] = stage.spawn(2) as [Peer, Peer];
      const owner = await own(peer, handle, "wait");
      tell(waiter, { kind: "block", handle });
      await until(() => stage.sleepers.count > 0);
      peer.terminate();
      await assertFate(stage, way, property, owner, waiter.port.next());
    },
    peer,
  },
];
