// Copyright 2026 the lazyinit authors. MIT license.

// First, as the modules may keep what they find of `Atomics`
import "./_platform.ts";
import { assertEquals, assertRejects } from "@std/assert";
import { Sleepers } from "./_sleepers.ts";
import { sleepAsync, type Watched } from "../_waiting.ts";
import { int32, LazyInit, Mutex, MutexLazyInit, OnceState } from "../mod.ts";
import { Flag, until } from "./_flag.ts";
import { pair } from "./_jobs.ts";
import { isWatched, lockName, locks } from "./_locks.ts";
import type { Birth, Message } from "./testdata/mortal_worker.ts";

/** The agent that the test plays: no real one has this id but by chance. */
const OWNER = { id: 12_345_678 };
const OTHER = { id: 12_345_679 };

/** Time in which a watch that is granted its lock does something. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) {
    await new Promise((resolve) => setTimeout(resolve));
  }
}

/** Holds the lock of the agent, as if it lived, until it is released. */
function live({ id }: { id: number }): Promise<{ end(): void }> {
  const { promise, resolve } = Promise.withResolvers<void>();
  return new Promise((granted) => {
    locks.request(lockName({ id }), {}, () => {
      granted({ end: resolve });
      return promise;
    });
  });
}

/** A word that the test owns in the name of another agent. */
class Word implements Watched {
  readonly words = new Int32Array(new SharedArrayBuffer(4));
  owner: number | undefined;
  recovered: number[] = [];
  notified = 0;

  announcedOwner(): number | undefined {
    return this.owner;
  }

  recover(agentId: number): void {
    this.recovered.push(agentId);
    Atomics.notify(this.words, 0);
  }

  notifyAll(): void {
    this.notified++;
    Atomics.notify(this.words, 0);
  }

  sleep(signal?: AbortSignal): Promise<void> {
    return sleepAsync(this.words, 0, 0, signal, this);
  }
}

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

Deno.test("sleepAsync() recovers the word when its announced owner has ended", async () => {
  const word = new Word();
  word.owner = OWNER.id;
  const { end } = await live(OWNER);
  const sleep = word.sleep();
  await until(() => isWatched(OWNER));
  end();
  await sleep;
  assertEquals([word.recovered, word.notified], [[OWNER.id], 0]);
});

Deno.test("sleepAsync() wakes the others and recovers nothing when the owner that it watches goes on unannounced", async () => {
  const word = new Word();
  word.owner = OWNER.id;
  const { end } = await live(OWNER);
  const sleep = word.sleep();
  await until(() => isWatched(OWNER));
  word.owner = undefined;
  end();
  await until(() => word.recovered.length + word.notified > 0);
  assertEquals([word.recovered, word.notified], [[], 1]);
  await sleep;
});

Deno.test("sleepAsync() watches whoever owns the word in the end", async () => {
  const word = new Word();
  const ends = [await live(OWNER), await live(OTHER)];
  const sleep = word.sleep();
  word.owner = OWNER.id;
  // It is told of nothing
  await until(() => isWatched(OWNER));
  word.owner = OTHER.id;
  await until(() => isWatched(OTHER));
  await until(async () => !await isWatched(OWNER));
  for (const { end } of ends) end();
  await sleep;
  assertEquals([word.recovered, word.notified], [[OTHER.id], 0]);
});

Deno.test("sleepAsync() watches nobody when it has ended", async () => {
  for (const wake of [true, false]) {
    const word = new Word();
    word.owner = OWNER.id;
    const { end } = await live(OWNER);
    const controller = new AbortController();
    const sleep = word.sleep(controller.signal);
    await until(() => isWatched(OWNER));
    if (wake) {
      word.notifyAll();
      await sleep;
    } else {
      controller.abort(new Error("Enough"));
      await assertRejects(() => sleep, Error, "Enough");
    }
    await until(async () => !await isWatched(OWNER));
    end();
  }
});

Deno.test("sleepAsync() watches nobody if the word changes before it sleeps", async () => {
  const word = new Word();
  const { end } = await live(OWNER);
  word.announcedOwner = () => {
    word.words[0] = 1;
    return OWNER.id;
  };
  const sleep = word.sleep();
  await turns();
  word.notifyAll();
  await sleep;
  await until(async () => !await isWatched(OWNER));
  end();
});

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
