// Copyright 2026 the lazyinit authors. MIT license.

import { assert, assertEquals, assertRejects } from "@std/assert";
import type { MutexLazyInit } from "../../mod.ts";
import { Flag } from "../_flag.ts";
import type { Backstage, Case, Library, Stage } from "./suite.ts";

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
      const ports = spawn(WORKERS).map(({ port }) => port);
      const start = new Flag();
      const task = { kind: "open", name: "workers", start: start.buffer };
      for (const port of ports) port.send(task);
      start.raise();
      for (const port of ports) assertEquals(await port.next(), "opened");
      ports.forEach((port, value) => port.send({ kind: "getOrInit", value }));
      const values = await Promise.all(ports.map((port) => port.next()));
      assertEquals(new Set(values).size, 1);
    },
  ),
  opening(
    "MutexLazyInit.open() gives the main thread and its workers one cell",
    async ({ library: { int32, MutexLazyInit }, spawn }) => {
      const [first, second] = spawn(2).map(({ port }) => port);
      const start = new Flag();
      start.raise();
      const task = { kind: "open", name: "all", start: start.buffer };
      first!.send(task);
      assertEquals(await first!.next(), "opened");
      const cell = await MutexLazyInit.open("all", int32);
      second!.send(task);
      assertEquals(await second!.next(), "opened");
      assertEquals(cell.init(() => 1), 1);
      for (const port of [first!, second!]) {
        port.send({ kind: "getOrInit", value: 2 });
        assertEquals(await port.next(), 1);
      }
      cell[Symbol.dispose]();
    },
  ),
  opening(
    "MutexLazyInit[Symbol.dispose]() of the last agent that has a name open frees it",
    async ({ library: { int32, MutexLazyInit }, spawn }) => {
      const { port } = spawn(1)[0]!;
      const start = new Flag();
      start.raise();
      const task = { kind: "open", name: "free", start: start.buffer };
      const cell = await MutexLazyInit.open("free", int32);
      cell.init(() => 1);
      port.send(task);
      assertEquals(await port.next(), "opened");
      cell[Symbol.dispose]();
      // The worker has it still
      const again = await MutexLazyInit.open("free", int32);
      assertEquals(again.get(), 1);
      again[Symbol.dispose]();
      port.send({ kind: "dispose" });
      assertEquals(await port.next(), "disposed");
      const another = await MutexLazyInit.open("free", int32);
      assert(!another.initialized);
      port.send(task);
      assertEquals(await port.next(), "opened");
      port.send({ kind: "getOrInit", value: 2 });
      assertEquals(await port.next(), 2);
      assertEquals(another.get(), 2);
      another[Symbol.dispose]();
    },
  ),
];
