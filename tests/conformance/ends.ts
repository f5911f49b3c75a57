// Copyright 2026 the lazyinit authors. MIT license.

import { assertEquals } from "@std/assert";
import type { LazyInitHandle, MutexLazyInit } from "../../mod.ts";
import { Flag, until } from "../testdata/flag.ts";
import { isAwaited } from "./races.ts";
import type { Backstage, Case, Peer, Stage } from "./suite.ts";

/** How an agent ends that initializes a cell, or how it is waited for. */
export type Way =
  | "is terminated"
  | "closes itself"
  | "throws where nobody catches"
  | "is terminated in `Atomics.wait` or a loop"
  | "has not announced itself"
  | "is waited for by blocking agents only";

/** What becomes of the cell then, if nobody calls `recover()`. */
export type Fate =
  | "is taken over"
  /** The platform does so by itself, but not at once. */
  | "is taken over after 2 s"
  /** Nothing. */
  | "`recover()`"
  /** Nothing, as the agent has not ended; it goes on waiting or looping. */
  | "lives on"
  | "lives on, and so its call";

export type Fates = Readonly<Record<Way, Fate>>;

const ONLY_RECOVER: Fates = {
  "is terminated": "`recover()`",
  "closes itself": "`recover()`",
  "throws where nobody catches": "`recover()`",
  "is terminated in `Atomics.wait` or a loop": "`recover()`",
  "has not announced itself": "`recover()`",
  "is waited for by blocking agents only": "`recover()`",
};

/** The table in README. */
export const FATES = {
  Deno: {
    ...ONLY_RECOVER,
    "is terminated": "is taken over",
    "closes itself": "is taken over",
    "throws where nobody catches": "is taken over",
    "is terminated in `Atomics.wait` or a loop": "lives on",
  },
  Chromium: {
    ...ONLY_RECOVER,
    "is terminated": "is taken over",
    "closes itself": "is taken over",
    "throws where nobody catches": "lives on, and so its call",
    "is terminated in `Atomics.wait` or a loop": "is taken over after 2 s",
  },
  Node: ONLY_RECOVER,
  Bun: ONLY_RECOVER,
} satisfies Record<string, Fates>;

/** What the owner does in its initializer. */
export type Deed = "wait" | "close" | "throw" | "block" | "loop";

/** What the main thread asks of a worker. */
type Task =
  | {
    readonly kind: "own";
    readonly handle: LazyInitHandle;
    readonly deed: Deed;
    readonly leave: SharedArrayBuffer;
  }
  | { readonly kind: "block"; readonly handle: LazyInitHandle }
  | { readonly kind: "lock"; readonly mutex: SharedArrayBuffer };

interface Owner {
  readonly peer: Peer;
  readonly id: number;
  /** What it initializes is published when this is raised, if it lives. */
  readonly leave: Flag;
}

/** Has a worker begin to initialize, and resolves when its initializer runs. */
export async function own(
  peer: Peer,
  { handle }: MutexLazyInit<number>,
  deed: Deed,
): Promise<Owner> {
  const leave = new Flag();
  tell(peer, { kind: "own", handle, deed, leave: leave.buffer });
  return { peer, leave, id: await peer.port.next() };
}

function tell({ port }: Peer, task: Task): void {
  port.send(task);
}

/** Resolves when the platform has told of the end of an agent, or of one that ended later. */
async function settle(stage: Stage, { ended }: Peer): Promise<void> {
  await ended;
  const { MutexLazyInit, int32 } = stage.library;
  const cell = new MutexLazyInit(int32);
  const { peer } = await own(stage.spawn(1)[0]!, cell, "wait");
  const value = cell.getOrInitAsync(() => 2);
  peer.terminate();
  await (peer.ended ?? value);
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
  const { agentId, announceAgent, int32, Mutex, MutexLazyInit } = library;
  const task: Task = await port.next();
  switch (task.kind) {
    case "own":
      await announceAgent();
      await MutexLazyInit.from(task.handle, int32).initAsync(() =>
        initialize(backstage, task)
      );
      return;

    case "block":
      return port.send(
        MutexLazyInit.from(task.handle, int32).getOrInit(() => 2),
      );

    case "lock":
      new Mutex(task.mutex).lock();
      return port.send(agentId());
  }
}

/** Asserts what becomes of a cell whose owner has ended in its initializer. */
async function assertFate(
  stage: Stage,
  fate: Fate,
  cell: MutexLazyInit<number>,
  owner: Owner,
  value: Promise<number>,
): Promise<void> {
  switch (fate) {
    case "is taken over":
    case "is taken over after 2 s":
      return assertEquals(await value, 2);

    case "lives on, and so its call":
      owner.leave.raise();
      return assertEquals(await value, 1);

    default:
      await settle(stage, owner.peer);
      assertEquals(cell.phase, "initializing");
      assertEquals(cell.recover(owner.id), true);
      assertEquals(await value, 2);
      // What lives on ends now
      owner.leave.raise();
  }
}

function endsBy(
  way: Exclude<
    Way,
    "has not announced itself" | "is waited for by blocking agents only"
  >,
  ...deeds: Deed[]
): Case[] {
  return deeds.map((deed) => ({
    name:
      `MutexLazyInit.getOrInitAsync() does as README says if the owner ${way} (${deed})`,
    async main(stage) {
      const { MutexLazyInit, int32 } = stage.library;
      const cell = new MutexLazyInit(int32);
      const owner = await own(stage.spawn(1)[0]!, cell, deed);
      const value = cell.getOrInitAsync(() => 2);
      if (way.startsWith("is terminated")) owner.peer.terminate();
      await assertFate(stage, stage.fates[way], cell, owner, value);
    },
    peer,
  }));
}

export const cases: Case[] = [
  ...endsBy("is terminated", "wait"),
  ...endsBy("closes itself", "close"),
  ...endsBy("throws where nobody catches", "throw"),
  ...endsBy("is terminated in `Atomics.wait` or a loop", "block", "loop"),
  {
    name:
      "Mutex.lockAsync() does as README says if the owner has not announced itself",
    async main(stage) {
      const mutex = new stage.library.Mutex();
      const holder = stage.spawn(1)[0]!;
      tell(holder, { kind: "lock", mutex: mutex.buffer });
      const id = await holder.port.next();
      const token = mutex.lockAsync();
      holder.terminate();
      assertEquals(stage.fates["has not announced itself"], "`recover()`");
      await settle(stage, holder);
      assertEquals(mutex.lockIfAvailable(), null);
      assertEquals(mutex.recover(id), true);
      assertEquals((await token).unlock(), true);
    },
    peer,
  },
  {
    name:
      "MutexLazyInit.getOrInit() does as README says if the owner is waited for by blocking agents only",
    async main(stage) {
      const { MutexLazyInit, int32 } = stage.library;
      const cell = new MutexLazyInit(int32);
      const owner = await own(stage.spawn(1)[0]!, cell, "wait");
      const waiter = stage.spawn(1)[0]!;
      tell(waiter, { kind: "block", handle: cell.handle });
      const words = new Int32Array(cell.handle.buffer);
      await until(() => isAwaited(words));
      owner.peer.terminate();
      await assertFate(
        stage,
        stage.fates["is waited for by blocking agents only"],
        cell,
        owner,
        waiter.port.next(),
      );
    },
    peer,
  },
];
