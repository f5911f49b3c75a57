// Copyright 2026 the lazyinit authors. MIT license.

// First, as the modules may keep what they find of `Atomics`
import { replaceable } from "./_platform.ts";
import {
  assert,
  assertEquals,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import {
  agentId,
  int32,
  LazyInit,
  LazyInitMap,
  Mutex,
  MutexLazyInit,
  OnceState,
  string,
} from "../mod.ts";
import { Agents } from "./_agents.ts";
import { run } from "./_commands.ts";
import { pair, pairOf } from "./_jobs.ts";
import { locks } from "./_locks.ts";

/** How often a wait may sleep before the test takes it for one that never ends. */
const MAX_SLEEPS = 1_000;

const { wait: sleep } = replaceable;

type Sleep = typeof sleep;

/** Runs `body` with `replacement` in the place of the sleeps of this agent. */
function sleepingBy(replacement: Sleep, body: () => void): void {
  replaceable.wait = (words, index, value, timeout) =>
    // An agent that asks whether it may block does not sleep
    timeout === 0
      ? sleep(words, index, value, timeout)
      : replacement(words, index, value, timeout);
  try {
    body();
  } finally {
    replaceable.wait = sleep;
  }
}

/** Returns the timeouts of the sleeps of `body`, each of which ends after `length` ms at the latest. */
function sleepsOf(body: () => void, length = Infinity): number[] {
  const timeouts: number[] = [];
  sleepingBy((words, index, value, timeout = Infinity) => {
    if (timeouts.push(timeout) > MAX_SLEEPS) throw new Error("Never ends");
    const slept = sleep(words, index, value, Math.min(timeout, length));
    // As if somebody had notified
    return slept === "timed-out" && timeout > length ? "ok" : slept;
  }, body);
  return timeouts;
}

/** Ends a wait that should end by itself. */
function within<T>(promise: Promise<T>): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error("Never settles")), 5_000);
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Waits of `timeout` ms that end without what they wait for, by name. */
async function blockedWaits(
  agents: Agents,
): Promise<Record<string, (timeout: number) => void>> {
  const [cell, lockFree] = [new MutexLazyInit(pair), new LazyInit(pair)];
  const [state, mutex] = [new OnceState(), new Mutex()];
  await agents.initialize(0, cell, { value: pairOf(1) });
  await agents.callOnce(1, lockFree, pairOf(1));
  await agents.hold(2, mutex);
  const timesOut = (wait: () => unknown) => {
    assertEquals(assertThrows(wait, DOMException).name, "TimeoutError");
  };
  return {
    "OnceState.wait": (timeout) => assertEquals(state.wait(timeout), false),
    "Mutex.lockIfAvailable": (timeout) =>
      assertEquals(mutex.lockIfAvailable(timeout), null),
    "LazyInit.wait": (timeout) => timesOut(() => lockFree.wait({ timeout })),
    "MutexLazyInit.wait": (timeout) => timesOut(() => cell.wait({ timeout })),
    "MutexLazyInit.getOrInit": (timeout) =>
      timesOut(() => cell.getOrInit(() => pairOf(2), { timeout })),
    "MutexLazyInit.reset": (timeout) => timesOut(() => cell.reset({ timeout })),
  };
}

Deno.test("Fault of this package, test runners replace globals later: a wait times out whatever clock and timers they put in", async () => {
  using agents = await Agents.start(3);
  const waits = await blockedWaits(agents);
  const { setTimeout, clearTimeout } = globalThis;
  const { now } = performance;
  // As fake timers do: time stands still, and nothing goes off
  performance.now = () => 0;
  Object.assign(globalThis, { setTimeout: () => 0, clearTimeout: () => {} });
  const { now: date } = Date;
  Date.now = () => 0;
  try {
    for (const [name, wait] of Object.entries(waits)) {
      assert(sleepsOf(() => wait(20), 5).length < MAX_SLEEPS, name);
    }
    const cell = new MutexLazyInit(int32);
    const value = cell.waitAsync();
    cell.init(() => 1);
    assertEquals(await value, 1);
  } finally {
    performance.now = now;
    Date.now = date;
    Object.assign(globalThis, { setTimeout, clearTimeout });
  }
});

Deno.test("Waits sleep for what is left of their time after each spurious wake-up", async () => {
  using agents = await Agents.start(3);
  for (const [name, wait] of Object.entries(await blockedWaits(agents))) {
    const timeouts = sleepsOf(() => wait(100), 20);
    assertEquals(timeouts[0]! <= 100, true, name);
    timeouts.reduce((before, timeout) => {
      assert(timeout < before, `${name}: ${timeouts}`);
      return timeout;
    });
  }
});

Deno.test("Waits block once while nothing changes", async () => {
  using agents = await Agents.start(3);
  for (const [name, wait] of Object.entries(await blockedWaits(agents))) {
    assertEquals(sleepsOf(() => wait(30)).length, 1, name);
  }
});

Deno.test("Waits end by a sleep of all that is left of their time, even if the clock stands still", async () => {
  using agents = await Agents.start(3);
  for (const [name, wait] of Object.entries(await blockedWaits(agents))) {
    let sleeps = 0;
    sleepingBy(() => {
      if (++sleeps === MAX_SLEEPS) throw new Error("Never ends");
      return "timed-out";
    }, () => wait(60_000));
    assertEquals(sleeps, 1, name);
  }
});

Deno.test("MutexLazyInit.getOrInit() within an initializer goes on waiting after each look for deadlocks", async () => {
  using agents = await Agents.start(1);
  const [outer, inner] = [new MutexLazyInit(pair), new MutexLazyInit(pair)];
  const winner = await agents.initialize(0, inner, { value: pairOf(1) });
  let sleeps = 0;
  const value = outer.getOrInit(() => {
    let made = pairOf(2);
    sleepingBy((...args) => {
      if (++sleeps === 3) winner.leave();
      return sleep(...args);
    }, () => made = inner.getOrInit(() => pairOf(3)));
    return made;
  });
  assertEquals(value, pairOf(1));
  assert(sleeps > 2);
  await winner.done;
});

Deno.test("MutexLazyInit notices an abort in the first turn of its initializer", async () => {
  for (
    const method of ["initAsync", "tryInitAsync", "getOrInitAsync"] as const
  ) {
    const cell = new MutexLazyInit(int32);
    const { promise, resolve } = Promise.withResolvers<number>();
    const controller = new AbortController();
    const reason = new Error("Enough");
    const error = await assertRejects(() =>
      within<unknown>(
        cell[method](() => {
          controller.abort(reason);
          return promise;
        }, controller),
      )
    );
    assertStrictEquals(error, reason);
    resolve(1);
    assertEquals(await within(cell.waitAsync()), 1);
  }
});

Deno.test("MutexLazyInit.getOrInitAsync() within an initializer listens to its signal", async () => {
  const cell = new MutexLazyInit(int32);
  const { promise, resolve } = Promise.withResolvers<number>();
  const slow = cell.initAsync(() => promise);
  const controller = new AbortController();
  const nested = new MutexLazyInit(int32).initAsync(async () => {
    const value = cell.getOrInitAsync(() => 1, controller);
    // It sleeps by then
    await new Promise((resolve) => setTimeout(resolve));
    controller.abort(new Error("Enough"));
    return await value;
  });
  await assertRejects(() => within(nested), Error, "Enough");
  resolve(1);
  assertEquals(await slow, 1);
});

Deno.test("MutexLazyInit.resetAsync() with a signal that was aborted before resets nothing", async () => {
  const cell = new MutexLazyInit(int32);
  cell.init(() => 1);
  const signal = AbortSignal.abort(new Error("Enough"));
  await assertRejects(() => cell.resetAsync({ signal }), Error, "Enough");
  assertEquals(cell.get(), 1);
});

Deno.test("Fault of this package, waits that pile up and herds: many waits share one sleep and leave nothing behind", async () => {
  const count = 20_000;
  const output = await run(Deno.execPath(), [
    "run",
    "--no-check",
    "--quiet",
    "--allow-read",
    "tests/testdata/many_waits.ts",
    `${count}`,
  ]);
  const shared = { rejected: count, sleepsBegun: 1, sleeps: 0, timers: 0 };
  assertEquals(JSON.parse(output), {
    aborted: shared,
    "aborted one by one": {
      ...shared,
      rejected: count / 100,
      sleepsBegun: count / 100,
    },
    woken: { ...shared, rejected: 0 },
    "wait for a lock": shared,
    "fail one after the other": shared,
  });
});

/** How many operations on the state word it takes `count` tasks that fail one after the other. */
async function stepsOfHerd(count: number): Promise<number> {
  const cell = new MutexLazyInit(int32);
  const { compareExchange } = replaceable;
  let steps = 0;
  replaceable.compareExchange = (...args) => {
    steps++;
    return compareExchange(...args);
  };
  try {
    const tasks = Array.from(
      { length: count },
      () =>
        cell.getOrInitAsync(async () => {
          await Promise.resolve();
          throw new Error("On purpose");
        }),
    );
    const results = await Promise.allSettled(tasks);
    assert(results.every(({ status }) => status === "rejected"));
  } finally {
    replaceable.compareExchange = compareExchange;
  }
  return steps;
}

Deno.test("Fault of this package, herds: twice as many tasks that fail take twice as many steps", async () => {
  const steps = await stepsOfHerd(500);
  assert(await stepsOfHerd(1_000) < 2.2 * steps);
});

/** Rejects in a later turn of the event loop, when the tasks that wait are asleep. */
function failure(message: string): Promise<never> {
  return new Promise((_, reject) => {
    setTimeout(() => reject(new Error(message)));
  });
}

Deno.test("Fault of this package, starvation: asynchronous calls of one agent have the cell or the mutex in their order, though earlier ones fail", async () => {
  const cell = new MutexLazyInit(int32);
  const map = new LazyInitMap(string(), int32);
  const order: string[] = [];
  const fail = (name: string) => () => {
    order.push(name);
    return failure(name);
  };
  const mutex = new Mutex();
  for (
    const call of [
      (name: string) => cell.getOrInitAsync(fail(name)),
      (name: string) => map.getOrInitAsync("key", fail(name)),
      async (name: string) => {
        using _token = await mutex.lockAsync();
        return await fail(name)();
      },
    ]
  ) {
    order.length = 0;
    const begin = (name: string) =>
      call(name).catch(({ message }: Error) => message);
    const calls = [begin("first"), begin("second")];
    await calls[0];
    assertEquals(order, ["first"]);
    calls.push(begin("third"));
    assertEquals(await Promise.all(calls), ["first", "second", "third"]);
    assertEquals(order, ["first", "second", "third"]);
  }
});

Deno.test("UnlockToken.unlock() hands the mutex to the next task of the agent in the same turn of the event loop", async () => {
  const mutex = new Mutex();
  const first = mutex.lockIfAvailable();
  let isLocked = false;
  const second = mutex.lockAsync().then((token) => {
    isLocked = true;
    return token;
  });
  // So that it sleeps
  await new Promise((resolve) => setTimeout(resolve));
  first?.unlock();
  // Before that task has gone on
  const third = mutex.lockAsync();
  for (let i = 0; i < 100 && !isLocked; i++) await null;
  assert(isLocked);
  (await second).unlock();
  (await third).unlock();
});

Deno.test("MutexLazyInit.getOrInitAsync() does not wait in line when it is aborted or there is a value", async () => {
  const cell = new MutexLazyInit(int32);
  const first = cell.getOrInitAsync(() => failure("First"));
  const second = cell.getOrInitAsync(() => Promise.resolve(2));
  await first.catch(() => {});
  const signal = AbortSignal.abort(new Error("Enough"));
  const aborted = cell.getOrInitAsync(() => 3, { signal });
  assertEquals(
    await Promise.race([
      second,
      aborted.catch(({ message }: Error) => message),
    ]),
    "Enough",
  );
  assertEquals(await second, 2);

  cell.reset();
  const other = MutexLazyInit.from(cell.handle, int32);
  const third = cell.getOrInitAsync(() =>
    new Promise((resolve) => setTimeout(resolve, 0, 3))
  );
  const fourth = cell.getOrInitAsync(() => 4);
  await third;
  // In the turn in which the fourth is still in line
  const fifth = other.getOrInitAsync(() => 5);
  cell.reset();
  assertEquals(await fifth, 3);
  assertEquals(await fourth, 4);
});

/** The names of the locks that agents of this process hold or ask for. */
async function lockNames(): Promise<string[]> {
  const { pending, held } = await locks.query();
  return [...pending, ...held].map(({ name }) => name);
}

Deno.test("OnceState.waitAsync() watches nobody while there is no owner, whatever the generation", async () => {
  for (let generation = 1; generation <= 3; generation++) {
    const state = new OnceState();
    for (let i = 0; i < generation; i++) {
      state.begin();
      state.recover(agentId());
    }
    const controller = new AbortController();
    // Workers of other tests may not have ended yet
    const before = await lockNames();
    const wait = state.waitAsync(controller);
    // A request for the lock of an agent would be seen by now, or granted and then fail
    await locks.query();
    const after = await lockNames();
    assertEquals(after.filter((name) => !before.includes(name)), []);
    controller.abort();
    await assertRejects(() => wait, DOMException);
  }
});
