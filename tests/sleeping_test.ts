// Copyright 2026 the lazyinit authors. MIT license.

// First, as the modules may keep what they find of the platform
import { pendingTimers } from "./_timers.ts";
import { replaceable } from "./_platform.ts";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { int32, Mutex, MutexLazyInit, OnceState } from "../mod.ts";

/** Time in which what is woken goes on, and what polls does so. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) {
    await new Promise((resolve) => setTimeout(resolve));
  }
}

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

Deno.test("Mutex.lockAsync() sleeps once for all tasks of its agent", async () => {
  const mutex = new Mutex();
  const token = mutex.lock();
  await countingSleeps(async (sleeps) => {
    const locked = Array.from(
      { length: 10 },
      async () => (await mutex.lockAsync()).unlock(),
    );
    await turns();
    assertEquals(sleeps, { begun: 1, ended: 0 });
    token.unlock();
    assertEquals(await Promise.all(locked), Array(10).fill(true));
    assertEquals(sleeps.begun, sleeps.ended);
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

Deno.test("OnceState.waitAsync() leaves no sleep behind when all tasks are aborted", async () => {
  const state = new OnceState();
  const controller = new AbortController();
  await countingSleeps(async (sleeps) => {
    for (let round = 1; round <= 2; round++) {
      const controllers = [new AbortController(), controller];
      const waits = controllers.map(({ signal }) =>
        state.waitAsync({ signal })
      );
      for (const each of controllers) each.abort(new Error("Enough"));
      for (const wait of waits) {
        await assertRejects(() => wait, Error, "Enough");
      }
      await turns();
      // The second signal is aborted before the second round
      assertEquals(sleeps, { begun: round, ended: round });
    }
  });
});

Deno.test("MutexLazyInit.waitAsync() leaves no timer behind", async () => {
  const cell = new MutexLazyInit(int32);
  const value = cell.waitAsync();
  assertEquals(pendingTimers(), 1);
  cell.init(() => 1);
  assertEquals(await value, 1);
  assertEquals(pendingTimers(), 0);
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

/** How many compare-exchanges it takes until the initializers of so many tasks have failed. */
async function costOfFailures(count: number): Promise<number> {
  const cell = new MutexLazyInit(int32);
  const { promise, reject } = Promise.withResolvers<number>();
  const order: number[] = [];
  const failures = Array.from(
    { length: count },
    (_, index) =>
      cell.getOrInitAsync(async () => {
        order.push(index);
        if (index === 0) await promise;
        throw new Error("Failed");
      }),
  );
  const { compareExchange } = replaceable;
  let cost = 0;
  replaceable.compareExchange = (...args) => {
    cost++;
    return compareExchange(...args);
  };
  try {
    reject(new Error("Failed"));
    for (const failure of failures) {
      await assertRejects(() => failure, Error, "Failed");
    }
  } finally {
    replaceable.compareExchange = compareExchange;
  }
  assertEquals(order, Array.from({ length: count }, (_, index) => index));
  return cost;
}

Deno.test("MutexLazyInit.getOrInitAsync() calls failing initializers in line, at a cost that grows as their number", async () => {
  const cost = await costOfFailures(50);
  assert(cost > 0);
  assert(await costOfFailures(200) < 8 * cost);
});
