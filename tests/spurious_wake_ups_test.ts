// Copyright 2026 the lazyinit authors. MIT license.

// First, as the modules may keep what they find of `Atomics`
import { replaceable } from "./_platform.ts";
import { assert, assertEquals, assertThrows } from "@std/assert";
import { int32, LazyInit, Mutex, MutexLazyInit, OnceState } from "../mod.ts";
import { Agents } from "./_agents.ts";
import { pair, pairOf } from "./_jobs.ts";

const { wait } = replaceable;
const nowhere = new Int32Array(new SharedArrayBuffer(4));

type Sleep = (...args: Parameters<typeof wait>) => ReturnType<typeof wait>;

/** Runs `body` with `sleep` in the place of the sleeps of this agent. */
function sleepingBy(sleep: Sleep, body: () => void): void {
  replaceable.wait = (words, index, value, timeout) =>
    // An agent that asks whether it may block does not sleep
    timeout === 0
      ? wait(words, index, value, timeout)
      : sleep(words, index, value, timeout);
  try {
    body();
  } finally {
    replaceable.wait = wait;
  }
}

/** Runs `body`, all sleeps of which are woken spuriously, and checks what is left each time. */
function assertTimeIsUp(body: () => void): void {
  const timeouts: number[] = [];
  sleepingBy((_words, _index, _value, timeout = Infinity) => {
    timeouts.push(timeout);
    if (timeouts.length === 100) throw new Error("It waits for ever");
    wait(nowhere, 0, 0, Math.min(timeout, 3));
    return "ok";
  }, body);
  for (const [index, timeout] of timeouts.entries()) {
    assert(timeout <= 20);
    assert(index === 0 || timeout < timeouts[index - 1]!);
  }
}

/** Runs `body`, whose sleep is woken by nobody, and returns how its sleeps have ended. */
function endsOfSleeps(body: () => void): string[] {
  const ends: string[] = [];
  sleepingBy((...args) => {
    if (ends.length === 100) throw new Error("It does not sleep");
    const end = wait(...args);
    ends.push(end);
    return end;
  }, body);
  return ends;
}

Deno.test("OnceState.wait() ends when its time is up, however often it is woken", () => {
  const state = new OnceState();
  assertTimeIsUp(() => assertEquals(state.wait(20), false));
});

for (const Cell of [LazyInit, MutexLazyInit]) {
  Deno.test(`${Cell.name}.wait() ends when its time is up, however often it is woken`, () => {
    const cell = new Cell(int32);
    assertTimeIsUp(() => {
      assertThrows(
        () => cell.wait({ timeout: 20 }),
        DOMException,
        "20 ms have elapsed",
      );
    });
  });
}

Deno.test("MutexLazyInit.getOrInit() and .reset() end when their time is up, however often they are woken", async () => {
  using agents = await Agents.start(1);
  const cell = new MutexLazyInit(pair);
  const winner = await agents.initialize(0, cell, { value: pairOf(1) });
  const options = { timeout: 20 };
  for (
    const call of [
      () => cell.getOrInit(() => pairOf(2), options),
      () => cell.reset(options),
    ]
  ) {
    assertTimeIsUp(() => {
      assertThrows(call, DOMException, "20 ms have elapsed, and agent ");
    });
  }
  winner.leave();
  await winner.done;
});

Deno.test("Mutex.lockIfAvailable() ends when its time is up, however often it is woken", async () => {
  using agents = await Agents.start(1);
  const mutex = new Mutex();
  const holder = await agents.hold(0, mutex);
  assertTimeIsUp(() => assertEquals(mutex.lockIfAvailable(20), null));
  holder.leave();
  await holder.done;
});

Deno.test("OnceState.wait() sleeps until its time is up", () => {
  const state = new OnceState();
  assertEquals(
    endsOfSleeps(() => assertEquals(state.wait(5), false)),
    ["timed-out"],
  );
});

Deno.test("MutexLazyInit.getOrInit() sleeps until its time is up", async () => {
  using agents = await Agents.start(1);
  const cell = new MutexLazyInit(pair);
  const winner = await agents.initialize(0, cell, { value: pairOf(1) });
  const ends = endsOfSleeps(() => {
    assertThrows(
      () => cell.getOrInit(() => pairOf(2), { timeout: 5 }),
      DOMException,
    );
  });
  assertEquals(ends, ["timed-out"]);
  winner.leave();
  await winner.done;
});

Deno.test("Mutex.lockIfAvailable() sleeps until its time is up", async () => {
  using agents = await Agents.start(1);
  const mutex = new Mutex();
  const holder = await agents.hold(0, mutex);
  const ends = endsOfSleeps(() => {
    assertEquals(mutex.lockIfAvailable(5), null);
  });
  assertEquals(ends, ["timed-out"]);
  holder.leave();
  await holder.done;
});

Deno.test("A sleep of the whole rest is the end of a wait, even if the clock stands still", async () => {
  using agents = await Agents.start(1);
  const cell = new MutexLazyInit(pair);
  const mutex = new Mutex();
  const winner = await agents.initialize(0, cell, { value: pairOf(1) });
  let sleeps = 0;
  sleepingBy(() => {
    if (++sleeps === 100) throw new Error("It waits for ever");
    return "timed-out";
  }, () => {
    const timeout = 60_000;
    assertEquals(new OnceState().wait(timeout), false);
    assertThrows(
      () => cell.getOrInit(() => pairOf(2), { timeout }),
      DOMException,
    );
  });
  assertEquals(sleeps, 2);
  winner.leave();
  await winner.done;
  const holder = await agents.hold(0, mutex);
  sleepingBy(() => {
    if (++sleeps === 100) throw new Error("It waits for ever");
    return "timed-out";
  }, () => assertEquals(mutex.lockIfAvailable(60_000), null));
  assertEquals(sleeps, 3);
  holder.leave();
  await holder.done;
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
      return wait(...args);
    }, () => made = inner.getOrInit(() => pairOf(3)));
    return made;
  });
  assertEquals(value, pairOf(1));
  assert(sleeps > 2);
  await winner.done;
});
