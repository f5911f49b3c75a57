// Copyright 2026 the lazyinit authors. MIT license.

import { assertEquals, assertRejects } from "@std/assert";
import { int32, Mutex, MutexLazyInit } from "../mod.ts";
import { turns } from "./_flag.ts";

class Enough extends Error {}

/** A controller whose signal counts its listeners. */
class Controller extends AbortController {
  #listeners = 0;

  constructor() {
    super();
    const { signal } = this;
    const { addEventListener, removeEventListener } = signal;
    const listeners = new Set<unknown>();
    signal.addEventListener = (...args: unknown[]) => {
      listeners.add(args[1]);
      this.#listeners = listeners.size;
      Reflect.apply(addEventListener, signal, args);
    };
    signal.removeEventListener = (...args: unknown[]) => {
      listeners.delete(args[1]);
      this.#listeners = listeners.size;
      Reflect.apply(removeEventListener, signal, args);
    };
  }

  get listeners(): number {
    return this.#listeners;
  }
}

/** Begins to initialize a cell; `end` has that come to its end. */
function begin(cell: MutexLazyInit<number>): { end(): Promise<number> } {
  const { promise, resolve } = Promise.withResolvers<number>();
  const value = cell.initAsync(() => promise);
  return {
    end() {
      resolve(1);
      return value;
    },
  };
}

/** Returns how a call ends that must not wait until the others have come to their end. */
async function outcomeOf(
  call: Promise<unknown>,
  { end }: { end(): Promise<number> },
): Promise<unknown> {
  let outcome: unknown = "It waits for the others";
  call.then((value) => outcome = value, (error) => outcome = error);
  await turns();
  const early = outcome;
  await end();
  await call.catch(() => {});
  return early;
}

Deno.test("MutexLazyInit.getOrInitAsync() calls no initializer if its signal is aborted before", async () => {
  const cell = new MutexLazyInit(int32);
  const signal = AbortSignal.abort(new Enough());
  await assertRejects(() => cell.getOrInitAsync(() => 1, { signal }), Enough);
  assertEquals(cell.phase, "uninitialized");
});

Deno.test("MutexLazyInit.getOrInitAsync() rejects while the tasks before it in line wait", async () => {
  const cell = new MutexLazyInit(int32);
  const begun = begin(cell);
  const first = cell.getOrInitAsync(() => 2);
  const controller = new AbortController();
  const second = cell.getOrInitAsync(() => 3, controller);
  const reason = new Enough();
  controller.abort(reason);
  assertEquals(await outcomeOf(second, begun), reason);
  assertEquals(await first, 1);
});

Deno.test("Mutex.lockAsync() rejects while the tasks before it in line wait", async () => {
  const mutex = new Mutex();
  const token = mutex.lock();
  const first = mutex.lockAsync();
  const controller = new AbortController();
  const second = mutex.lockAsync(controller);
  const reason = new Enough();
  controller.abort(reason);
  const outcome = await outcomeOf(second, {
    async end() {
      token.unlock();
      (await first).unlock();
      return 1;
    },
  });
  assertEquals(outcome, reason);
  assertEquals(mutex.lockIfAvailable()?.locked, true);
});

for (const when of ["before", "meanwhile"]) {
  Deno.test(`MutexLazyInit.waitAsync() within an initializer rejects if its signal is aborted ${when}`, async () => {
    const outer = new MutexLazyInit(int32);
    const inner = new MutexLazyInit(int32);
    const begun = begin(inner);
    const controller = new Controller();
    const reason = new Enough();
    const value = outer.initAsync(() => {
      if (when === "before") controller.abort(reason);
      const value = inner.waitAsync(controller);
      controller.abort(reason);
      return value;
    });
    assertEquals(await outcomeOf(value, begun), reason);
    assertEquals(controller.listeners, 0);
  });
}

Deno.test("MutexLazyInit.waitAsync() within an initializer leaves no listener on its signal", async () => {
  const outer = new MutexLazyInit(int32);
  const inner = new MutexLazyInit(int32);
  const begun = begin(inner);
  const controller = new Controller();
  const value = outer.initAsync(() => inner.waitAsync(controller));
  await begun.end();
  assertEquals(await value, 1);
  assertEquals(controller.listeners, 0);
});

Deno.test("MutexLazyInit.getOrInitAsync() listens to its signal where another library has replaced Promise", async () => {
  const cell = new MutexLazyInit(int32);
  const controller = new AbortController();
  const { promise, resolve } = Promise.withResolvers<number>();
  const { Promise: native } = globalThis;
  globalThis.Promise = class<T> extends native<T> {} as typeof native;
  let value: Promise<number>;
  try {
    value = cell.getOrInitAsync(() => promise, { signal: controller.signal });
  } finally {
    globalThis.Promise = native;
  }
  controller.abort(new Error("Enough"));
  await assertRejects(() => value, Error, "Enough");
  resolve(42);
  assertEquals(await cell.waitAsync(), 42);
});

/** What the calls that take a signal need of it. */
function plainSignal(): AbortSignal & { aborted: boolean } {
  return Object.assign(new EventTarget(), {
    aborted: false,
    reason: new Error("Enough"),
  }) as unknown as AbortSignal & { aborted: boolean };
}

Deno.test("MutexLazyInit.getOrInitAsync() takes a signal that has no more than events and whether it is aborted", async () => {
  const signal = plainSignal();
  const call = (value: number) =>
    new MutexLazyInit(int32).getOrInitAsync(() => value, { signal });
  assertEquals(await call(42), 42);
  signal.aborted = true;
  await assertRejects(() => call(43), Error, "Enough");
});

Deno.test("MutexLazyInit.open() takes a signal that has no more than events and whether it is aborted", async () => {
  const signal = plainSignal();
  const name = "plain signal";
  using cell = await MutexLazyInit.open(name, int32, { signal });
  assertEquals(cell.name, name);
  signal.aborted = true;
  await assertRejects(
    () => MutexLazyInit.open("another", int32, { signal }),
    Error,
    "Enough",
  );
});
