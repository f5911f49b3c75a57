// Copyright 2026 the lazyinit authors. MIT license.

import { assert, assertEquals, assertRejects } from "@std/assert";
import type { MutexLazyInit } from "../../mod.ts";
import { Flag } from "../_flag.ts";
import type { Port } from "./port.ts";
import type { Backstage, Case, Library, Peer, Stage } from "./suite.ts";

const WORKERS = 4;

/* Cells are disposed of by calls, as Node 20 does not know `using`. */

/** What the main thread asks of a worker, in this order. */
type Task =
  | {
    readonly kind: "open";
    readonly name: string;
    readonly start: SharedArrayBuffer;
  }
  | { readonly kind: "getOrInit"; readonly value: number }
  | { readonly kind: "dispose" };

/** All classes whose cells have names. */
function openAny(library: Library, name: string): Promise<Disposable>[] {
  const { int32, LazyInit, LazyInitMap, MutexLazyInit } = library;
  return [
    LazyInit.open(name, int32),
    MutexLazyInit.open(name, int32),
    LazyInitMap.open(name, int32, int32),
  ];
}

/** Has a worker open the cell of a name. */
async function openIn({ port }: Peer, name: string): Promise<void> {
  const start = new Flag();
  start.raise();
  tell(port, { kind: "open", name, start: start.buffer });
  assertEquals(await port.next(), "opened");
}

/** Has a worker get the value of the cell that it has open, or make it. */
async function getOrInitIn({ port }: Peer, value: number): Promise<number> {
  tell(port, { kind: "getOrInit", value });
  return await port.next();
}

/** Has a worker open the cell of a name and get its value, or make it. */
export async function openAndGetIn(
  peer: Peer,
  name: string,
  value: number,
): Promise<number> {
  await openIn(peer, name);
  return await getOrInitIn(peer, value);
}

function tell(port: Port, task: Task): void {
  port.send(task);
}

async function peer({ library, port }: Backstage): Promise<void> {
  const { int32, MutexLazyInit } = library;
  let cell: MutexLazyInit<number> | undefined;
  for (;;) {
    const task: Task = await port.next();
    if (task.kind === "open") {
      new Flag(task.start).block();
      cell = await MutexLazyInit.open(task.name, int32);
      port.send("opened");
    } else if (task.kind === "getOrInit") {
      port.send(await cell!.getOrInitAsync(() => task.value));
    } else {
      cell![Symbol.dispose]();
      port.send("disposed");
    }
  }
}

/** A case where agents can meet by a name; elsewhere, all that is asked for rejects. */
function opening(name: string, main: (stage: Stage) => Promise<void>): Case {
  return {
    name,
    async main(stage) {
      const { cannotOpen: reason, library } = stage;
      if (reason === undefined) return await main(stage);
      for (const opened of openAny(library, "answer")) {
        const { message } = await assertRejects(() => opened, TypeError);
        assertEquals(
          message,
          `Cannot open cells by name as this platform ${reason}: send 'handle' by postMessage() and attach with from() instead`,
        );
      }
    },
    peer,
  };
}

export const cases: Case[] = [
  opening(
    "MutexLazyInit.open() in 4 workers at the same moment gives them one cell",
    async ({ spawn }) => {
      const peers = spawn(WORKERS);
      const start = new Flag();
      for (const { port } of peers) {
        tell(port, { kind: "open", name: "workers", start: start.buffer });
      }
      start.raise();
      for (const { port } of peers) assertEquals(await port.next(), "opened");
      const values = await Promise.all(peers.map(getOrInitIn));
      assertEquals(new Set(values).size, 1);
    },
  ),
  opening(
    "MutexLazyInit.open() gives the main thread and its workers one cell",
    async ({ library: { int32, MutexLazyInit }, spawn }) => {
      const [first, second] = spawn(2) as [Peer, Peer];
      await openIn(first, "all");
      const cell = await MutexLazyInit.open("all", int32);
      await openIn(second, "all");
      cell.init(() => 1);
      assertEquals(await getOrInitIn(first, 2), 1);
      assertEquals(await getOrInitIn(second, 2), 1);
      cell[Symbol.dispose]();
    },
  ),
  opening(
    "MutexLazyInit[Symbol.dispose]() of the last agent that has a name open frees it",
    async ({ library: { int32, MutexLazyInit }, spawn }) => {
      const peer = spawn(1)[0]!;
      const cell = await MutexLazyInit.open("free", int32);
      cell.init(() => 1);
      await openIn(peer, "free");
      cell[Symbol.dispose]();
      // The worker has it still
      const again = await MutexLazyInit.open("free", int32);
      assertEquals(again.get(), 1);
      again[Symbol.dispose]();
      tell(peer.port, { kind: "dispose" });
      assertEquals(await peer.port.next(), "disposed");
      const another = await MutexLazyInit.open("free", int32);
      assert(!another.initialized);
      assertEquals(await openAndGetIn(peer, "free", 2), 2);
      assertEquals(another.get(), 2);
      another[Symbol.dispose]();
    },
  ),
];
