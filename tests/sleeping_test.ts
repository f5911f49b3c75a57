// Copyright 2026 the lazyinit authors. MIT license.

// First, as the modules may keep what they find of the platform
import { pendingTimers } from "./_timers.ts";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { int32, MutexLazyInit, OnceState } from "../mod.ts";
import { turns } from "./_flag.ts";

/** Runs `body`, and gives it the calls of `Atomics.waitAsync` so far and which of them are over. */
async function countingSleeps(
  body: (sleeps: { begun: number; ended: number }) => Promise<void>,
): Promise<void> {
  const { waitAsync } = Atomics;
  const sleeps = { begun: 0, ended: 0 };
  const counting = (...args: unknown[]) => {
    const sleep = Reflect.apply(waitAsync, Atomics, args);
    sleeps.begun++;
    Promise.resolve(sleep.value).then(() => sleeps.ended++);
    return sleep;
  };
  Object.assign(Atomics, { waitAsync: counting });
  try {
    await body(sleeps);
  } finally {
    Atomics.waitAsync = waitAsync;
  }
}

Deno.test("MutexLazyInit.waitAsync() sleeps once for all tasks of its agent", async () => {
  const cell = new MutexLazyInit(int32);
  await countingSleeps(async (sleeps) => {
    const values = Array.from({ length: 10 }, () => cell.waitAsync());
    await turns();
    assertEquals(sleeps, { begun: 1, ended: 0 });
    cell.init(() => 1);
    assertEquals(await Promise.all(values), Array(10).fill(1));
    assertEquals(sleeps, { begun: 1, ended: 1 });
  });
});

Deno.test("OnceState.waitAsync() lets the other tasks sleep on when one is aborted", async () => {
  const state = new OnceState();
  const controller = new AbortController();
  await countingSleeps(async (sleeps) => {
    const aborted = state.waitAsync(controller);
    const other = state.waitAsync();
    controller.abort(new Error("Enough"));
    await assertRejects(() => aborted, Error, "Enough");
    await turns();
    assertEquals(sleeps, { begun: 1, ended: 0 });
    state.begin();
    state.publish();
    await other;
  });
});

Deno.test("MutexLazyInit.waitAsync() within an initializer leaves no timer behind", async () => {
  const [outer, inner] = [new MutexLazyInit(int32), new MutexLazyInit(int32)];
  const { promise, resolve } = Promise.withResolvers<number>();
  const slow = inner.initAsync(() => promise);
  const value = outer.initAsync(async () => await inner.waitAsync());
  // One for the sleep, and one for the search
  assertEquals(pendingTimers(), 2);
  resolve(1);
  assertEquals(await slow, 1);
  assertEquals(await value, 1);
  assertEquals(pendingTimers(), 0);
});

Deno.test("MutexLazyInit.waitAsync() goes on when the initializer that has called it is done", async () => {
  const [outer, inner] = [new MutexLazyInit(int32), new MutexLazyInit(int32)];
  let left: Promise<number> | undefined;
  outer.init(() => {
    left = inner.waitAsync();
    return 1;
  });
  inner.init(() => 2);
  assertEquals(await left, 2);
});

Deno.test("MutexLazyInit.getOrInitAsync() calls the initializers of its agent in the order of the calls", async () => {
  const cell = new MutexLazyInit(int32);
  const order: number[] = [];
  const tasks = Array.from(
    { length: 10 },
    (_, index) =>
      cell.getOrInitAsync(async () => {
        order.push(index);
        await turns();
        throw new Error("Failed");
      }),
  );
  const results = await Promise.allSettled(tasks);
  assert(results.every(({ status }) => status === "rejected"));
  assertEquals(order, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
});
