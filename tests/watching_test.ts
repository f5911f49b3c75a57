// Copyright 2026 the lazyinit authors. MIT license.

// First, as the modules may keep what they find of `Atomics`
import "./_platform.ts";
import { assertEquals, assertRejects } from "@std/assert";
import { Sleepers } from "./_sleepers.ts";
import { int32, LazyInit, Mutex, MutexLazyInit, OnceState } from "../mod.ts";
import { Flag, turns, until } from "./_flag.ts";
import { pair } from "./_jobs.ts";
import { live, locks } from "./_locks.ts";
import type { Birth, Message } from "./testdata/mortal_worker.ts";

/** Returns the names of the locks that are asked for while `body` runs. */
async function locksAskedFor(body: () => Promise<void>): Promise<string[]> {
  const { request } = locks;
  const names: string[] = [];
  Object.assign(locks, {
    request: (...args: [string]) => {
      names.push(args[0]);
      return Reflect.apply(request, locks, args);
    },
  });
  try {
    await body();
  } finally {
    Reflect.deleteProperty(locks, "request");
  }
  return names;
}

for (const Cell of [LazyInit, MutexLazyInit]) {
  Deno.test(`${Cell.name}.waitAsync() takes no generation for an owner that has announced itself`, async () => {
    const buffer = new SharedArrayBuffer(Cell.byteLength(int32));
    const cell = new Cell(int32, { buffer });
    const state = new OnceState(buffer);
    // Of each remainder modulo 8, and greater than 1, as agents have ids from 1 on
    for (let generation = 1; generation <= 16; generation++) {
      state.begin();
      state.publish();
      state.reset();
      const controller = new AbortController();
      const names = await locksAskedFor(async () => {
        const wait = cell.waitAsync(controller);
        await turns();
        controller.abort(new Error("Enough"));
        await assertRejects(() => wait, Error, "Enough");
      });
      assertEquals(names, []);
    }
  });
}

Deno.test("Mutex.lockAsync() does not watch a holder that has not announced itself", async () => {
  const mutex = new Mutex();
  const token = mutex.lock();
  const names = await locksAskedFor(async () => {
    const locked = mutex.lockAsync();
    await turns();
    assertEquals(token.unlock(), true);
    assertEquals((await locked).unlock(), true);
  });
  assertEquals(names, []);
});

Deno.test("MutexLazyInit.waitAsync() wakes to watch an announced agent that takes the cell later", async () => {
  const cell = new MutexLazyInit(pair);
  const sleepers = new Sleepers();
  sleepers.countThisAgent();
  const controller = new AbortController();
  const wait = cell.waitAsync(controller);
  assertEquals(sleepers.begun, 1);
  const url = new URL("./testdata/mortal_worker.ts", import.meta.url);
  const worker = new Worker(url, { type: "module" });
  const [entered, leave, ended] = [new Flag(), new Flag(), new Flag()];
  worker.onmessage = () => {
    const message: Message = {
      kind: "end",
      handle: cell.handle,
      stage: "initializing",
      announced: true,
      entered: entered.buffer,
      leave: leave.buffer,
      ended: ended.buffer,
    };
    worker.postMessage(message);
  };
  await entered.raised();
  await until(() => sleepers.begun === 2);
  leave.raise();
  // It is taken from the worker
  await until(() => cell.phase === "uninitialized");
  controller.abort(new Error("Enough"));
  await assertRejects(() => wait, Error, "Enough");
  worker.terminate();
});

Deno.test("MutexLazyInit.waitAsync() wakes to watch an initializer that is announced later", async () => {
  const cell = new MutexLazyInit(pair);
  const url = new URL("./testdata/mortal_worker.ts", import.meta.url);
  const worker = new Worker(url, { type: "module" });
  const id = await new Promise<number>((resolve) => {
    worker.onmessage = ({ data }: MessageEvent<Birth>) => resolve(data.id);
  });
  // So that the worker is granted its own lock late
  const { end } = await live({ id });
  const entered = new Flag();
  const message: Message = {
    kind: "initialize",
    handle: cell.handle,
    entered: entered.buffer,
  };
  worker.postMessage(message);
  await entered.raised();
  const sleepers = new Sleepers();
  sleepers.countThisAgent();
  const controller = new AbortController();
  const wait = cell.waitAsync(controller);
  assertEquals(sleepers.begun, 1);
  end();
  await until(() => sleepers.begun === 2);
  controller.abort(new Error("Enough"));
  await assertRejects(() => wait, Error, "Enough");
  worker.terminate();
});

Deno.test("holdAgentLock() tells nobody who has let go of the lock before it is granted", async () => {
  const url = new URL("./testdata/brief_holder.ts", import.meta.url);
  const worker = new Worker(url, { type: "module" });
  const told = await new Promise((resolve) => {
    worker.onmessage = ({ data }) => resolve(data);
  });
  assertEquals(told, ["long"]);
  worker.terminate();
});
