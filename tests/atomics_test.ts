// Copyright 2026 the lazyinit authors. MIT license.

// First, as the modules may keep what they find of `Atomics`
import {
  onceTaken,
  replaceable,
  withoutBlocking,
  withoutWaitAsync,
} from "./_platform.ts";
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import fc from "fast-check";
import { AsyncLocalStorage } from "node:async_hooks";
import { blockLooking, sleepLooking } from "../_deadlock.ts";
import { SLICE_BYTES } from "../_resetting.ts";
import {
  beginRun,
  currentRuns,
  finishRun,
  isWithin,
  type Run,
  type RunningCell,
  unfinishedRuns,
  within,
  withinAsync,
} from "../_running.ts";
import { sleepAsync, type Watched } from "../_waiting.ts";
import {
  agentId,
  canBlock,
  DeadlockError,
  int32,
  LayoutMismatchError,
  LazyInit,
  Mutex,
  MutexLazyInit,
  OnceState,
  OwnerLostError,
  type Phase,
  typedArray,
  UnlockToken,
} from "../mod.ts";
import { Agents } from "./_agents.ts";
import { isSlotZeroed } from "./_cell_slots.ts";
import { Flag, turns, until } from "./_flag.ts";
import { isWatched, live } from "./_locks.ts";

/*
 * The words of a header, room by room. This file and the schedules alone look at them.
 */

const PHASE = 0b11;
const WAITERS = 0b100;
const ANNOUNCED = 0b1000;
const GENERATION_SHIFT = 3;
const OWNER_SHIFT = 4;
const INITIALIZING = 1;
const INITIALIZED = 2;
const LENGTH_WORD = 5;
const LAST_GENERATION = 2 ** 29 - 1;
const OTHER_AGENT = agentId() === 7 ? 8 : 7;

/** A cell without a slot, and the words of its header. */
function newState(): { state: OnceState; words: Int32Array } {
  const buffer = new SharedArrayBuffer(OnceState.byteLength);
  return { state: new OnceState(buffer), words: new Int32Array(buffer) };
}

/** The state word of a cell that an agent owns. */
function ownedBy(agentId: number): number {
  return agentId << OWNER_SHIFT | INITIALIZING;
}

/** Resolves when a task sleeps on the state word, or is about to. */
async function asleep(words: Int32Array): Promise<void> {
  await until(() => (words[0]! & WAITERS) !== 0);
}

Deno.test("agentId() returns a positive integer that stays the same", () => {
  assert(Number.isInteger(agentId()) && agentId() > 0 && agentId() < 2 ** 28);
  assertEquals(agentId(), agentId());
});

Deno.test("agentId() differs from agent to agent", async () => {
  using agents = await Agents.start(3);
  const ids = await agents.all(() => ({ kind: "agentId" }));
  assertEquals(new Set([agentId(), ...ids]).size, 4);
});

Deno.test("canBlock() tells whether Atomics.wait is allowed", () => {
  assertEquals(canBlock(), true);
  withoutBlocking(() => assertEquals(canBlock(), false));
});

Deno.test("OnceState() starts from zeroed memory", () => {
  const state = new OnceState();
  assertEquals(state.phase, "uninitialized");
  assertEquals(state.generation, 0);
  assertEquals(state.byteOffset, 0);
  assertEquals(state.buffer.byteLength, OnceState.byteLength);
  assertEquals(OnceState.byteLength, 24);
});

Deno.test("OnceState() refuses memory that it cannot use", () => {
  assertThrows(
    () => new OnceState(new ArrayBuffer(24) as unknown as SharedArrayBuffer),
    TypeError,
    "'buffer' must be a SharedArrayBuffer: current value is an object",
  );
  assertThrows(
    () => new OnceState(new SharedArrayBuffer(16)),
    RangeError,
    "must have 24 bytes at byte 0: it ends at byte 16",
  );
  assertThrows(
    () => new OnceState(new SharedArrayBuffer(64), 4),
    RangeError,
    "multiple of 8",
  );
});

Deno.test("OnceState() finds a header that another object has over the same memory", () => {
  const buffer = new SharedArrayBuffer(64);
  const [state, other] = [new OnceState(buffer, 8), new OnceState(buffer, 8)];
  assertEquals(state.begin(), true);
  assertEquals(other.phase, "initializing");
  assertEquals(other.begin(), false);
  state.publish();
  assertEquals(other.phase, "initialized");
  assertEquals(other.reset(), true);
  assertEquals(state.generation, 1);
  const words = new Int32Array(buffer);
  assertEquals([...words.subarray(0, 2)], [0, 0]);
  assert(words.subarray(8).every((word) => word === 0));
});

Deno.test("OnceState goes through its phases", () => {
  const { state } = newState();
  assertEquals(state.begin(), true);
  assertEquals(state.phase, "initializing");
  assertEquals(state.generation, 0);
  assertEquals(state.begin(), false);
  assertEquals(state.reset(), false);
  state.rollback();
  assertEquals(state.phase, "uninitialized");
  assertEquals(state.generation, 0);
  assertEquals(state.begin(), true);
  state.publish();
  assertEquals(state.phase, "initialized");
  assertEquals(state.begin(), false);
  assertEquals(state.generation, 0);
  assertEquals(state.reset(), true);
  assertEquals(state.phase, "uninitialized");
  assertEquals(state.generation, 1);
  assertEquals(state.reset(), false);
  assertEquals(state.generation, 1);
  assertEquals(state.begin(), true);
  assertEquals(state.generation, 1);
});

Deno.test("OnceState writes its words as the protocol says", () => {
  const { state, words } = newState();
  state.begin();
  assertEquals([...words], [ownedBy(agentId()), 0, 0, 0, 0, 0]);
  state.rollback();
  assertEquals([...words], [0, 0, 0, 0, 0, 0]);
  state.begin();
  state.publish();
  assertEquals([...words], [INITIALIZED, 0, 0, 0, 0, 0]);
  state.reset();
  assertEquals([...words], [1 << GENERATION_SHIFT, 1, 0, 0, 0, 0]);
  state.begin();
  assertEquals([...words], [ownedBy(agentId()), 1, 0, 0, 0, 0]);
  state.publish();
  assertEquals(
    [...words],
    [1 << GENERATION_SHIFT | INITIALIZED, 1, 0, 0, 0, 0],
  );
});

Deno.test("OnceState.publish() and .rollback() refuse a cell that this object has not begun", () => {
  const { state } = newState();
  const other = new OnceState(state.buffer);
  for (const end of ["publish", "rollback"] as const) {
    assertThrows(() => state[end](), Error, "the cell is uninitialized");
    other.begin();
    assertThrows(() => state[end](), Error, "the cell is initializing");
    other[end]();
    // It has left already
    assertThrows(() => other[end](), Error, "must have entered it by begin()");
    other.reset();
  }
  state.begin();
  state.publish();
  assertThrows(() => state.publish(), Error, "the cell is initialized");
  assertEquals(state.phase, "initialized");
});

Deno.test("OnceState.begin() leaves a cell to its owner, announced or not", () => {
  const { state, words } = newState();
  for (const bits of [0, WAITERS, ANNOUNCED, WAITERS | ANNOUNCED]) {
    words[0] = ownedBy(OTHER_AGENT) | bits;
    assertEquals(state.phase, "initializing");
    assertEquals(state.begin(), false);
    assertEquals(state.reset(), false);
    assertEquals(state.recover(agentId()), false);
    assertEquals([...words], [ownedBy(OTHER_AGENT) | bits, 0, 0, 0, 0, 0]);
  }
});

Deno.test("OnceState.begin() keeps the waiters bit and the generation", () => {
  const { state, words } = newState();
  state.begin();
  state.publish();
  state.reset();
  assertEquals(state.wait(1), false);
  assertEquals(words[0]! & WAITERS, WAITERS);
  state.begin();
  assertEquals(words[0]! & WAITERS, WAITERS);
  state.publish();
  assertEquals(words[0]! & WAITERS, 0);
  assertEquals(state.generation, 1);
});

Deno.test("OnceState begins and resets though a task has begun to wait since the word was loaded", async () => {
  const { state, words } = newState();
  const { compareExchange } = replaceable;
  for (const change of ["begin", "reset"] as const) {
    if (change === "reset") {
      state.begin();
      state.publish();
    }
    let raced = false;
    replaceable.compareExchange = (...args) => {
      if (!raced) {
        raced = true;
        // As a waiter does that comes in between
        Atomics.or(words, 0, WAITERS);
      }
      return compareExchange(...args);
    };
    try {
      assertEquals(state[change](), true);
    } finally {
      replaceable.compareExchange = compareExchange;
    }
    assert(raced);
    if (change === "begin") {
      assertEquals(words[0], ownedBy(agentId()) | WAITERS);
      const waiting = state.waitAsync();
      await asleep(words);
      state.publish();
      await waiting;
      state.reset();
    }
    assertEquals(words[0]! & (PHASE | WAITERS), 0);
  }
});

Deno.test("OnceState.reset() and .recover() wrap the generation and keep the phase legal", () => {
  for (const ends of ["reset", "recover"] as const) {
    const { state, words } = newState();
    words[0] = -1 << GENERATION_SHIFT;
    words[1] = LAST_GENERATION;
    assertEquals(state.generation, LAST_GENERATION);
    state.begin();
    assertEquals(state.generation, LAST_GENERATION);
    if (ends === "reset") {
      state.publish();
      assertEquals(words[0], -1 << GENERATION_SHIFT | INITIALIZED);
      assertEquals(state.reset(), true);
    } else assertEquals(state.recover(agentId()), true);
    assertEquals([...words], [0, 0, 0, 0, 0, 0]);
    assertEquals(state.generation, 0);
    state.begin();
    state.publish();
    assertEquals(state.generation, 0);
  }
});

Deno.test("OnceState transitions wake all that wait", async () => {
  for (const change of ["publish", "rollback", "reset", "recover"] as const) {
    const { state, words } = newState();
    state.begin();
    if (change === "reset") state.publish();
    // In the place of waiters, which would look again by themselves
    Atomics.or(words, 0, WAITERS);
    const woken: string[] = [];
    for (let i = 0; i < 2; i++) {
      const sleep = Atomics.waitAsync(words, 0, words[0]!);
      if (sleep.async) sleep.value.then((how) => woken.push(how));
    }
    if (change === "recover") state.recover(agentId());
    else state[change]();
    await until(() => woken.length === 2);
    assertEquals(woken, ["ok", "ok"]);
    assertEquals(words[0]! & WAITERS, 0);
  }
});

Deno.test("OnceState.recover() wakes all that wait, even if there is nothing to recover", async () => {
  const { state, words } = newState();
  words[0] = WAITERS;
  let woken: string | undefined;
  const sleep = Atomics.waitAsync(words, 0, WAITERS);
  if (sleep.async) sleep.value.then((how) => woken = how);
  assertEquals(state.recover(OTHER_AGENT), false);
  await until(() => woken === "ok");
  assertEquals(words[0], WAITERS);
});

Deno.test("OnceState.recover() takes a cell from the agent that owns it only", () => {
  const { state, words } = newState();
  assertEquals(state.recover(OTHER_AGENT), false);
  for (const bits of [0, WAITERS, ANNOUNCED, WAITERS | ANNOUNCED]) {
    words[0] = ownedBy(OTHER_AGENT) | bits;
    const { generation } = state;
    assertEquals(state.recover(agentId()), false);
    assertEquals(state.recover(OTHER_AGENT ^ 1), false);
    assertEquals(state.generation, generation);
    assertEquals(state.recover(OTHER_AGENT), true);
    assertEquals(state.phase, "uninitialized");
    assertEquals(state.generation, generation + 1);
    assertEquals(words[0]! & WAITERS, 0);
    assertEquals(state.recover(OTHER_AGENT), false);
  }
  // The bits that name an owner in another phase say something else
  words[0] = OTHER_AGENT << OWNER_SHIFT | INITIALIZED;
  assertEquals(state.recover(OTHER_AGENT), false);
  assertEquals(state.phase, "initialized");
});

Deno.test("OnceState.recover() ends a run for good", () => {
  for (const end of ["publish", "rollback"] as const) {
    const { state } = newState();
    const [lost, next] = [state, new OnceState(state.buffer)];
    lost.begin();
    assertEquals(next.recover(agentId()), true);
    assertThrows(() => lost[end](), OwnerLostError);
    assertEquals(state.phase, "uninitialized");
    assertEquals(state.generation, 1);

    // Nor does it end a later one of the same agent
    lost.begin();
    next.recover(agentId());
    next.begin();
    assertThrows(() => lost[end](), OwnerLostError);
    assertEquals(state.phase, "initializing");
    next.publish();
    assertEquals(state.phase, "initialized");
    assertEquals(state.generation, 2);
  }
});

Deno.test("OnceState.begin() and .reset() fail if the cell has been recovered since the word was loaded", () => {
  const { compareExchange } = replaceable;
  for (const change of ["begin", "reset"] as const) {
    const { state } = newState();
    const other = new OnceState(state.buffer);
    if (change === "reset") {
      state.begin();
      state.publish();
    }
    replaceable.compareExchange = (...args) => {
      replaceable.compareExchange = compareExchange;
      // As another agent does that is faster
      if (change === "begin") other.begin();
      else other.reset();
      return compareExchange(...args);
    };
    try {
      assertEquals(state[change](), false);
    } finally {
      replaceable.compareExchange = compareExchange;
    }
    if (change === "begin") other.publish();
    assertEquals(state.generation, change === "begin" ? 0 : 1);
  }
});

Deno.test("OnceState.reset() fails if its agent is declared dead meanwhile", () => {
  const { state, words } = newState();
  state.begin();
  state.publish();
  onceTaken(state.buffer, () => {
    assertEquals(state.phase, "initializing");
    assertEquals(new OnceState(state.buffer).recover(agentId()), true);
  });
  assertThrows(
    () => state.reset(),
    OwnerLostError,
    "Cannot reset the cell as this agent must own the cell: it was declared dead by recover() meanwhile",
  );
  assertEquals(state.phase, "uninitialized");
  assertEquals([...words.subarray(0, 2)], [1 << GENERATION_SHIFT, 1]);
});

Deno.test("OnceState.wait() times out, and refuses bad timeouts", () => {
  const { state } = newState();
  assertEquals(state.wait(0), false);
  assertEquals(state.wait(1), false);
  assertThrows(() => state.wait(-1), RangeError, "current value is -1");
  assertThrows(() => state.wait(NaN), RangeError, "current value is NaN");
  assertThrows(
    () => state.wait("1" as unknown as number),
    TypeError,
    'current value is "1"',
  );
});

Deno.test("OnceState.wait() sleeps on a word that says so, for the rest of its time only", () => {
  const { state, words } = newState();
  const { wait } = replaceable;
  const timeouts: number[] = [];
  replaceable.wait = (found, index, value, timeout) => {
    // What canBlock() asks sleeps on no cell
    if (found.buffer !== state.buffer) {
      return wait(found, index, value, timeout);
    }
    assertEquals([index, value], [0, words[0]! | WAITERS]);
    timeouts.push(timeout!);
    if (timeouts.length === 4) {
      state.begin();
      state.publish();
      return "ok";
    }
    // Spuriously, after some time
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2);
    return "ok";
  };
  try {
    assertEquals(state.wait(60_000), true);
  } finally {
    replaceable.wait = wait;
  }
  assertEquals(timeouts.length, 4);
  for (let i = 1; i < timeouts.length; i++) {
    assert(timeouts[i]! < timeouts[i - 1]!);
  }
});

Deno.test("OnceState.wait() names the way out where it may not block", () => {
  const { state } = newState();
  withoutBlocking(() => {
    assertThrows(() => state.wait(), TypeError, "use waitAsync() instead");
    assertEquals(state.wait(0), false);
    state.begin();
    state.publish();
    assertEquals(state.wait(), true);
  });
});

Deno.test("OnceState.waitAsync() goes on waiting after a rollback and a reset", async () => {
  const { state, words } = newState();
  let done = false;
  const waited = state.waitAsync().then(() => done = true);
  await asleep(words);
  state.begin();
  state.rollback();
  await asleep(words);
  assertEquals(done, false);
  state.begin();
  state.recover(agentId());
  await asleep(words);
  assertEquals(done, false);
  state.begin();
  state.publish();
  await waited;
});

Deno.test("OnceState.waitAsync() rejects with the reason of an aborted signal", async () => {
  const { state } = newState();
  const reason = new Error("Enough");
  const controller = new AbortController();
  const waited = state.waitAsync({ signal: controller.signal });
  controller.abort(reason);
  assertEquals(await assertRejects(() => waited), reason);
  assertEquals(
    await assertRejects(() => state.waitAsync({ signal: controller.signal })),
    reason,
  );
  // Nothing to wait for
  state.begin();
  state.publish();
  await state.waitAsync({ signal: controller.signal });
});

Deno.test("OnceState.waitAsync() polls where Atomics.waitAsync is missing", async () => {
  await withoutWaitAsync(async () => {
    const state = new OnceState();
    const waited = state.waitAsync();
    state.begin();
    state.publish();
    await waited;

    const reason = new Error("Enough");
    const controller = new AbortController();
    const aborted = new OnceState().waitAsync({ signal: controller.signal });
    controller.abort(reason);
    assertEquals(await assertRejects(() => aborted), reason);
  });
});

Deno.test("OnceState refuses a word that no cell writes", async () => {
  for (const [word, shown] of [[3, "3"], [-1, "4294967295"]] as const) {
    const { state, words } = newState();
    words[0] = word;
    for (
      const use of [
        () => state.phase,
        () => state.generation,
        () => state.begin(),
        () => state.reset(),
        () => state.recover(agentId()),
        () => state.wait(0),
      ]
    ) {
      assertThrows(
        use,
        LayoutMismatchError,
        `must be 0, 1 or 2: current value is 3 in word ${shown}`,
      );
    }
    await assertRejects(() => state.waitAsync(), LayoutMismatchError);
    assertEquals([...words], [word, 0, 0, 0, 0, 0]);
  }
});

/** The id of the agent that holds a mutex, 0 if it is free. */
function holderOf(mutex: Mutex): number {
  return new Int32Array(mutex.buffer)[0]! & (1 << 28) - 1;
}

Deno.test("Mutex() refuses memory that it cannot use", () => {
  assertThrows(
    () => new Mutex({} as SharedArrayBuffer),
    TypeError,
    "must be a SharedArrayBuffer",
  );
  const buffer = new SharedArrayBuffer(8);
  for (const byteOffset of [-4, 2, 8, NaN, Infinity, 2 ** 53, 0.5]) {
    assertThrows(() => new Mutex(buffer, byteOffset), RangeError);
  }
  assertThrows(
    () => new Mutex(buffer, "4" as unknown as number),
    TypeError,
    "'byteOffset' must be a number",
  );
});

Deno.test("Mutex.lock() excludes every other lock until it is unlocked", () => {
  const mutex = new Mutex();
  const token = mutex.lock();
  assert(token instanceof UnlockToken);
  assertEquals(token.locked, true);
  assertEquals(holderOf(mutex), agentId());
  assertEquals(mutex.lockIfAvailable(), null);
  assertEquals(token.unlock(), true);
  assertEquals(token.locked, false);
  assertEquals(holderOf(mutex), 0);
  assertEquals(mutex.lock().unlock(), true);
});

Deno.test("Mutex.lock() throws in the agent that holds the mutex", () => {
  const mutex = new Mutex();
  using _token = mutex.lock();
  assertThrows(
    () => mutex.lock(),
    TypeError,
    "Cannot lock the mutex as this agent holds it already",
  );
  assertEquals(mutex.lockIfAvailable(1000), null);
});

Deno.test("Mutex.lockIfAvailable() refuses bad timeouts even when it is free", () => {
  const mutex = new Mutex();
  assertThrows(() => mutex.lockIfAvailable(-1), RangeError, "is -1");
  assertThrows(() => mutex.lockIfAvailable(NaN), RangeError, "is NaN");
  assertThrows(
    () => mutex.lockIfAvailable(null as unknown as number),
    TypeError,
    "is null",
  );
  assertEquals(mutex.lockIfAvailable()?.locked, true);
});

Deno.test("UnlockToken.unlock() never unlocks somebody else's lock", async () => {
  const mutex = new Mutex();
  const used = mutex.lock();
  used.unlock();
  using agents = await Agents.start(1);
  const holder = await agents.hold(0, mutex);
  assertEquals(used.unlock(), false);
  used[Symbol.dispose]();
  assertEquals(mutex.lockIfAvailable(), null);
  holder.leave();
  await holder.done;
  assertEquals(mutex.lockIfAvailable()?.locked, true);
});

Deno.test("UnlockToken.unlock() leaves a word that names somebody else", () => {
  const mutex = new Mutex();
  const words = new Int32Array(mutex.buffer);
  for (const other of [12345, 12345 | 1 << 31]) {
    const token = mutex.lock();
    words[0] = other;
    assertEquals(token.unlock(), false);
    assertEquals(words[0], other);
    words[0] = 0;
  }
});

Deno.test("Mutex and OnceState refuse what is no signal, and change nothing", async () => {
  const mutex = new Mutex();
  const state = new OnceState();
  for (const signal of [5, {}, { throwIfAborted() {}, aborted: false }]) {
    const options = { signal: signal as AbortSignal };
    for (
      const wait of [
        () => mutex.lockAsync(options),
        () => state.waitAsync(options),
      ]
    ) {
      await assertRejects(wait, TypeError, "'signal' must be an AbortSignal");
    }
  }
  assertEquals(holderOf(mutex), 0);
  assertEquals(state.phase, "uninitialized");
});

Deno.test("Mutex and OnceState take null and undefined for no signal", async () => {
  for (const signal of [null, undefined]) {
    const options = { signal } as { signal: null };
    assertEquals((await new Mutex().lockAsync(options)).unlock(), true);
    const state = new OnceState();
    const waiting = state.waitAsync(options);
    state.begin();
    state.publish();
    await waiting;
  }
});

Deno.test("UnlockToken[Symbol.dispose]() unlocks at the end of a block, even by an error", () => {
  const mutex = new Mutex();
  assertThrows(() => {
    using _token = mutex.lock();
    throw new Error("Failed");
  });
  assertEquals(holderOf(mutex), 0);
});

Deno.test("Mutex.lockIfAvailable() times out while another agent holds the mutex", async () => {
  const mutex = new Mutex();
  using agents = await Agents.start(1);
  const holder = await agents.hold(0, mutex);
  assertEquals(mutex.lockIfAvailable(5), null);
  assert(holderOf(mutex) !== agentId());
  holder.leave();
  assertEquals(mutex.lockIfAvailable(10_000)?.locked, true);
  await holder.done;
});

Deno.test("Mutex.lock() names the way out where it may not block", async () => {
  const mutex = new Mutex();
  using agents = await Agents.start(1);
  const holder = await agents.hold(0, mutex);
  withoutBlocking(() => {
    const error = assertThrows(() => mutex.lock(), TypeError);
    assertEquals(
      error.message,
      "Cannot block in this agent: use lockAsync() instead",
    );
    assertThrows(() => mutex.lockIfAvailable(1), TypeError, "lockAsync()");
    assertEquals(mutex.lockIfAvailable(), null);
  });
  holder.leave();
  await holder.done;
  withoutBlocking(() => assertEquals(mutex.lock().unlock(), true));
});

Deno.test("Mutex.lockAsync() waits for another task of the same agent", async () => {
  const mutex = new Mutex();
  const token = await mutex.lockAsync();
  const order: string[] = [];
  const second = mutex.lockAsync().then((token) => {
    order.push("second locks");
    return token;
  });
  await until(() => new Int32Array(mutex.buffer)[0]! < 0);
  order.push("first unlocks");
  token.unlock();
  assertEquals((await second).unlock(), true);
  assertEquals(order, ["first unlocks", "second locks"]);
});

Deno.test("Mutex.lockAsync() rejects with the reason of an aborted signal and leaves no lock", async () => {
  const mutex = new Mutex();
  const token = mutex.lock();
  const reason = new Error("Enough");
  const controller = new AbortController();
  const aborted = mutex.lockAsync({ signal: controller.signal });
  controller.abort(reason);
  assertEquals(await assertRejects(() => aborted), reason);
  token.unlock();
  assertEquals(holderOf(mutex), 0);
  assertEquals(
    await assertRejects(() => mutex.lockAsync({ signal: controller.signal })),
    reason,
  );
  assertEquals(mutex.lock().unlock(), true);
});

Deno.test("Mutex.lockAsync() that was aborted swallows no wake-up", async () => {
  const mutex = new Mutex();
  const token = mutex.lock();
  const controller = new AbortController();
  // First in the queue of sleepers, before the one that must be woken
  const aborted = mutex.lockAsync({ signal: controller.signal });
  const waiting = mutex.lockAsync();
  controller.abort();
  await assertRejects(() => aborted, DOMException);
  token.unlock();
  assertEquals((await waiting).unlock(), true);
});

Deno.test("Mutex.lock() is not starved by an asynchronous waiter of the blocked agent", async () => {
  const mutex = new Mutex();
  using agents = await Agents.start(1);
  const holder = await agents.hold(0, mutex);
  const waiting = mutex.lockAsync();
  holder.leave();
  // A single wake-up would go to `waiting`, which cannot run while this blocks
  const token = mutex.lockIfAvailable(10_000);
  assert(token?.unlock());
  (await waiting).unlock();
  await holder.done;
});

for (const method of ["lock", "lockIfAvailable", "lockAsync"] as const) {
  Deno.test(`Mutex.${method}() excludes agents from each other under load`, async () => {
    const [mutex, counter] = [
      new Mutex(),
      new Int32Array(new SharedArrayBuffer(4)),
    ];
    using agents = await Agents.start(4);
    const start = new Flag();
    const rounds = 2_000;
    const counted = agents.all((index) => ({
      kind: "count",
      // One agent mixes in another way of locking
      method: index === 0 ? "lock" : method,
      mutex: mutex.buffer,
      counter: counter.buffer,
      start: start.buffer,
      rounds,
    }));
    start.raise();
    await counted;
    assertEquals(counter[0], 4 * rounds);
    assertEquals(new Int32Array(mutex.buffer)[0], 0);
  });
}

for (const Cell of [LazyInit, MutexLazyInit]) {
  Deno.test(`${Cell.name} refuses a state that no cell can be in, and is not held afterwards`, () => {
    for (const word of [3, -1]) {
      const cell = new Cell(int32);
      const words = new Int32Array(cell.handle.buffer);
      const initialize = (make: () => number) =>
        cell instanceof LazyInit ? cell.callOnce(make) : cell.tryInit(make);
      words[0] = word;
      assertThrows(() => cell.phase, LayoutMismatchError);
      assertThrows(() => cell.get(), LayoutMismatchError);
      assertThrows(() => cell.value, LayoutMismatchError);
      assertThrows(() => initialize(() => 1), LayoutMismatchError);
      if (cell instanceof LazyInit) continue;
      assertThrows(() => cell.reset(), LayoutMismatchError);
      words[0] = 0;
      assertThrows(
        () =>
          cell.init(() => {
            words[0] = word;
            return 1;
          }),
        LayoutMismatchError,
      );
      words[0] = 0;
      assertEquals(cell.init(() => 2), 2);
    }
  });
}

for (const Cell of [LazyInit, MutexLazyInit]) {
  Deno.test(`${Cell.name} refuses a length that no value can have, and leaves what comes after it alone`, () => {
    const codec = typedArray(Uint16Array, 3);
    const size = Cell.byteLength(codec);
    for (const length of [7, 9, 2 ** 30, -1]) {
      const buffer = new SharedArrayBuffer(size + 8);
      const neighbour = new Uint8Array(buffer, size).fill(7);
      const cell = new Cell(codec, { buffer });
      const initialize = () =>
        cell instanceof LazyInit
          ? cell.callOnce(() => {})
          : cell.init(() => {});
      new Int32Array(buffer)[LENGTH_WORD] = length;
      assertThrows(initialize, LayoutMismatchError, "its length word says");
      assertEquals([...neighbour], Array(8).fill(7));
      // What has failed is given back zeroed
      assertEquals([...initialize()!], [0, 0, 0]);
    }
  });
}

Deno.test("MutexLazyInit.get() refuses a length word that was overwritten, and reset() brings the cell in order", () => {
  const bytes = typedArray(Uint8Array);
  const cell = new MutexLazyInit(bytes, { name: "index" });
  const words = new Int32Array(cell.handle.buffer, 0, 6);
  for (const length of [-1, 2 ** 20, 17]) {
    cell.init(() => Uint8Array.of(1, 2));
    const max = cell.handle.buffer.byteLength - OnceState.byteLength;
    words[LENGTH_WORD] = length;
    const attached = MutexLazyInit.from(cell.handle, bytes);
    const error = assertThrows(() => attached.get(), LayoutMismatchError);
    assertEquals(
      error.message,
      `Cannot read MutexLazyInit "index" as its value must take at most ${max} bytes: its length word says ${
        length >>> 0
      }`,
    );
    assertEquals(cell.reset(), true);
    assert(isSlotZeroed(cell));
  }
});

Deno.test("MutexLazyInit.resetAsync() zeroes a value whose length word was overwritten meanwhile", async () => {
  const cell = new MutexLazyInit(typedArray(Uint8Array));
  cell.init((_slot, allocate) => allocate(3 * SLICE_BYTES).fill(1));
  const words = new Int32Array(cell.handle.buffer, 0, 6);
  const reset = cell.resetAsync();
  words[LENGTH_WORD] = -1;
  assertEquals(await reset, true);
  assert(isSlotZeroed(cell));
  assertEquals([...cell.init(() => Uint8Array.of(1))], [1]);
});

Deno.test("MutexLazyInit over a random length word ends in a value or a documented error", () => {
  const codec = typedArray(Uint8Array, { maxLength: 300 });
  const byteLength = MutexLazyInit.byteLength(codec);
  const guard = 64;
  fc.assert(
    fc.property(
      fc.oneof(fc.integer(), fc.nat(300), fc.constantFrom(0, -1, 5)),
      fc.boolean(),
      (length, isGrowable) => {
        const buffer = isGrowable
          ? new SharedArrayBuffer(guard + OnceState.byteLength, {
            maxByteLength: guard + byteLength,
          })
          : new SharedArrayBuffer(guard + byteLength + guard);
        const ends = [new Uint8Array(buffer, 0, guard).fill(0xa5)];
        if (!isGrowable) {
          ends.push(new Uint8Array(buffer, guard + byteLength).fill(0xa5));
        }
        const options = { buffer, byteOffset: guard };
        new MutexLazyInit(codec, options)
          .init(() => new Uint8Array(5).fill(1));
        new Int32Array(buffer, guard)[LENGTH_WORD] = length;
        const attached = new MutexLazyInit(codec, options);
        for (
          const call of [
            () => attached.get(),
            () => attached.read((value) => value.length),
            () => attached.getOrInit(() => Uint8Array.of(1)),
          ]
        ) {
          try {
            call();
          } catch (error) {
            assert(error instanceof LayoutMismatchError);
          }
        }
        assertEquals(attached.reset(), true);
        assertEquals([...attached.init(() => Uint8Array.of(7))], [7]);
        for (const end of ends) assert(end.every((byte) => byte === 0xa5));
      },
    ),
    { numRuns: 300 },
  );
});

/*
 * Who watches the owner of a word.
 */

/** The agent that the test plays: no real one has this id but by chance. */
const OWNER = { id: 12_345_678 };
const OTHER = { id: 12_345_679 };

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

/*
 * Words 3 and 4.
 */

Deno.test("MutexLazyInit keeps no initializers that have finished, however many start each other", async () => {
  const finished = Promise.withResolvers<Run[]>();
  function start(left: number): void {
    new MutexLazyInit(int32).initAsync(async () => {
      await Promise.resolve();
      if (left > 0) start(left - 1);
      else {
        const kept: Run[] = [];
        let run: Run | undefined = currentRuns()[0];
        for (; run !== undefined; run = run.outer) kept.push(run);
        finished.resolve(kept);
      }
      return left;
    });
  }
  start(100);
  assert((await finished.promise).length < 3);
});

/*
 * The search itself, step by step: the test plays the other agents, and shows in the
 * headers of their cells what the search is to see.
 */

class FakeCell implements RunningCell {
  readonly name: string;
  readonly words = new Int32Array(new SharedArrayBuffer(24));
  readonly index = 0;
  readonly ownedByThisAgent = true;
  phase: Phase = "initializing";
  generation = 0;

  constructor(name: string) {
    this.name = name;
  }

  get label(): string {
    return `Cell ${this.name}`;
  }

  owns(generation: number): boolean {
    return this.generation === generation;
  }

  recover(): boolean {
    return false;
  }

  get shown(): number {
    return Atomics.load(this.words, 4) >>> 0;
  }

  set shown(word: number) {
    Atomics.store(this.words, 4, word);
  }
}

class ForeignCell extends FakeCell {
  override readonly ownedByThisAgent = false as never;

  override owns(): boolean {
    return false;
  }
}

function probe(nonce: number, hops: number): number {
  return (nonce << 4 | hops) >>> 0;
}

/** A wait of one initializer for one cell: calls `step` before each look. */
function waiting(step: (own: FakeCell, target: ForeignCell) => unknown): void {
  const own = new FakeCell("own");
  const target = new ForeignCell("target");
  const run = beginRun(own, 0);
  let looks = 0;
  try {
    blockLooking(target, () => {
      if (looks++ === 100_000) throw new Error("Nothing came of it");
      return step(own, target);
    });
  } finally {
    finishRun(run);
  }
}

/** As {@linkcode waiting}, in which each look must change what is shown from `see` to `show`. */
function assertShows(steps: { see: number; show: number }[]): void {
  let step = 0;
  waiting((own, target) => {
    if (step > 0) assertEquals(own.shown, steps[step - 1]!.show);
    if (step === steps.length) return true;
    target.shown = steps[step++]!.see;
  });
}

Deno.test("blockLooking() shows how deep the run waits, and a probe from 15 on", () => {
  assertShows([
    { see: 0, show: 1 },
    { see: 3, show: 4 },
    { see: 14, show: 15 },
    { see: 0, show: 1 },
  ]);
  let own = 0;
  waiting((cell, target) => {
    target.shown = 15;
    own = cell.shown;
    return own > 15 || undefined;
  });
  assertEquals(own & 15, 15);
  // A first nonce
  assert(own < 2 ** 31);
});

Deno.test("blockLooking() passes on a greater probe until it has passed 15 cells", () => {
  const greatest = 2 ** 28 - 1;
  assertShows([
    { see: probe(greatest, 15), show: probe(greatest, 14) },
    { see: probe(greatest, 1), show: probe(greatest, 0) },
  ]);
  waiting((own, target) => {
    if (target.shown === 0) target.shown = probe(greatest, 0);
    else {
      // Its own, which is a first one
      assert(own.shown > 15 && own.shown < 2 ** 31);
      return true;
    }
  });
});

Deno.test("blockLooking() shows its own probe instead of a lesser one", () => {
  waiting((own, target) => {
    if (target.shown === 0) target.shown = probe(1, 15);
    else {
      assert(own.shown > probe(1, 15));
      assertEquals(own.shown & 15, 15);
      return true;
    }
  });
});

Deno.test("blockLooking() believes a probe that comes round twice with different nonces", () => {
  const nonces: number[] = [];
  const error = assertThrows(() =>
    waiting((own, target) => {
      target.shown = Math.max(own.shown, 15);
      if (own.shown > 15) nonces.push(own.shown >>> 4);
    }), DeadlockError);
  assertEquals(error.cells, ["own", "target"]);
  assertEquals(nonces.length, 2);
  // The second is greater than all first ones
  assert(nonces[0]! < 2 ** 27 && nonces[1]! >= 2 ** 27);
});

Deno.test("blockLooking() does not believe a probe that comes round once and stays", () => {
  let looks = 0;
  waiting((own, target) => {
    if (looks === 0) target.shown = 15;
    if (looks === 1) target.shown = own.shown;
    return looks++ === 20 || undefined;
  });
});

Deno.test("blockLooking() does not believe a probe that comes round by different waits", async () => {
  const own = new FakeCell("own");
  const targets = [new ForeignCell("first"), new ForeignCell("second")];
  const run = beginRun(own, 0);
  const woken = Promise.withResolvers<void>();
  const sleep = sleepLooking(
    targets[0]!,
    [run],
    undefined,
    () => woken.promise,
  );
  let turns = 0;
  let shown = 0;
  blockLooking(targets[1]!, () => {
    targets[0]!.shown = targets[1]!.shown = 15;
    if (own.shown <= 15 || own.shown === shown) return undefined;
    shown = own.shown;
    targets[turns & 1]!.shown = shown;
    return turns++ === 10 || undefined;
  });
  woken.resolve();
  await sleep;
  finishRun(run);
});

Deno.test("sleepLooking() shows the deepest of its waits, and none that has ended", async () => {
  const own = new FakeCell("own");
  const targets = [3, 7, 5].map((depth) => {
    const target = new ForeignCell(`${depth}`);
    target.shown = depth;
    return target;
  });
  const run = beginRun(own, 0);
  const wakers = targets.map(() => Promise.withResolvers<void>());
  const sleeps = targets.map((target, index) =>
    sleepLooking(target, [run], undefined, () => wakers[index]!.promise)
  );
  await until(() => own.shown === 8);
  wakers[1]!.resolve();
  await sleeps[1];
  assertEquals(own.shown, 0);
  await until(() => own.shown === 6);
  wakers[0]!.resolve();
  await sleeps[0];
  assertEquals(own.shown, 6);
  wakers[2]!.resolve();
  await sleeps[2];
  assertEquals(own.shown, 0);
  finishRun(run);
});

Deno.test("blockLooking() draws a nonce for each wait", () => {
  const own = new FakeCell("own");
  const target = new ForeignCell("target");
  target.shown = 15;
  const run = beginRun(own, 0);
  const nonces = new Set<number>();
  for (let wait = 1; wait <= 3; wait++) {
    blockLooking(target, () => {
      if (own.shown === 0) return undefined;
      nonces.add(own.shown);
      return true;
    });
    assertEquals(nonces.size, wait);
  }
  finishRun(run);
});

Deno.test("blockLooking() leaves no wait behind that could not end at the end of the stack", () => {
  const [first, second] = [new FakeCell("first"), new FakeCell("second")];
  const [deep, flat] = [new ForeignCell("deep"), new ForeignCell("flat")];
  const runs = [first, second].map((cell) => beginRun(cell, 0));
  const { words } = first;
  deep.shown = 9;
  const end = () => {
    throw new RangeError("Maximum call stack size exceeded");
  };
  assertThrows(
    () =>
      blockLooking(deep, () => {
        if (second.shown === 0) return undefined;
        Object.defineProperty(first, "words", { get: end, configurable: true });
        return true;
      }),
    RangeError,
  );
  Object.defineProperty(first, "words", { value: words });
  let looks = 0;
  blockLooking(flat, () => {
    if (looks > 0) assertEquals(second.shown, 1);
    return looks++ === 2 || undefined;
  });
  for (const run of runs) finishRun(run);
});

Deno.test("blockLooking() is refused even if another wait of the run could be, which is asleep", async () => {
  const own = new FakeCell("own");
  const targets = [new ForeignCell("first"), new ForeignCell("second")];
  const run = beginRun(own, 0);
  const sleep = sleepLooking(
    targets[0]!,
    [run],
    undefined,
    (signal) =>
      new Promise((_, reject) => {
        signal!.addEventListener("abort", () => reject(signal!.reason));
      }),
  );
  let looks = 0;
  assertThrows(() =>
    blockLooking(targets[1]!, () => {
      for (const target of targets) target.shown = Math.max(own.shown, 15);
      return looks++ === 100 || undefined;
    }), DeadlockError);
  await assertRejects(() => sleep, DeadlockError);
  finishRun(run);
});

Deno.test("blockLooking() does not look at a cell whose initializer does not run", () => {
  waiting((own, target) => {
    if (target.shown !== 0) {
      assertEquals(own.shown, 1);
      return true;
    }
    target.phase = "uninitialized";
    target.shown = 7;
  });
});

Deno.test("blockLooking() shows nothing when the wait has ended", () => {
  let cell!: FakeCell;
  waiting((own) => {
    cell = own;
    return own.shown === 1 || undefined;
  });
  assertEquals(cell.shown, 0);
});

Deno.test("blockLooking() shows nothing in a cell that was taken from the run", () => {
  let looks = 0;
  waiting((own) => {
    if (looks === 0) own.generation = 1;
    else assertEquals(own.shown, 0);
    return looks++ === 3 || undefined;
  });
});

Deno.test("blockLooking() takes back what it shows when the cell is taken meanwhile", () => {
  const own = new FakeCell("own");
  const target = new ForeignCell("target");
  const run = beginRun(own, 0);
  let asked = 0;
  // Taken between the question before the write and the one after it
  own.owns = () => asked++ < 2;
  let looks = 0;
  blockLooking(target, () => looks++ === 1 || undefined);
  finishRun(run);
  assertEquals(asked > 2, true);
  assertEquals(own.shown, 0);
});

Deno.test("blockLooking() draws a nonce anew when nothing comes of it", () => {
  const nonces = new Set<number>();
  waiting((own, target) => {
    target.shown = 15;
    if (own.shown > 15) nonces.add(own.shown >>> 4);
    return nonces.size === 3 || undefined;
  });
});

Deno.test("blockLooking() ends with an error if the memory has been overwritten", () => {
  const error = new LayoutMismatchError("Overwritten");
  let own!: FakeCell;
  assertThrows(
    () =>
      waiting((cell, target) => {
        own = cell;
        Object.defineProperty(target, "phase", {
          get() {
            throw error;
          },
        });
      }),
    LayoutMismatchError,
    "Overwritten",
  );
  assertEquals(own.shown, 0);
});

Deno.test("blockLooking() takes part for all runs that have not finished", () => {
  const cells = ["a", "b", "c"].map((name) => new FakeCell(name));
  const runs = cells.map((cell) => beginRun(cell, 0));
  // As a caller does at the end of its stack
  runs[1]!.finished = true;
  let looks = 0;
  blockLooking(new ForeignCell("target"), () => looks++ === 1 || undefined);
  assertEquals(unfinishedRuns(), [runs[0]!, runs[2]!]);
  for (const run of runs) finishRun(run);
  assertEquals(unfinishedRuns(), []);
  assertEquals(cells.map(({ shown }) => shown), [0, 0, 0]);
});

Deno.test("beginRun() clears what another agent has left behind", () => {
  const own = new FakeCell("own");
  own.shown = 7;
  finishRun(beginRun(own, 0));
  assertEquals(own.shown, 0);
});

Deno.test("within() makes calls part of the run until it has finished", () => {
  const [outer, inner] = [new FakeCell("outer"), new FakeCell("inner")];
  const first = beginRun(outer, 0);
  within(first, () => {
    const second = beginRun(inner, 0);
    assertEquals(currentRuns(), [first]);
    within(second, () => {
      assertEquals(currentRuns(), [first, second]);
      assertEquals(isWithin(inner, currentRuns()), true);
      second.finished = true;
      assertEquals(currentRuns(), [first]);
      assertEquals(isWithin(inner, [second]), false);
    });
    assertEquals(isWithin(outer, currentRuns()), true);
    outer.generation = 1;
    assertEquals(isWithin(outer, currentRuns()), false);
  });
  assertEquals(currentRuns(), []);
  finishRun(first);
});

Deno.test("within() says nothing in another asynchronous context", () => {
  const cells = ["outer", "inner", "other"].map((name) => new FakeCell(name));
  const [outer, inner, other] = cells.map((cell) => beginRun(cell, 0)) as [
    Run,
    Run,
    Run,
  ];
  const inOther = withinAsync(other, () => AsyncLocalStorage.snapshot());
  const inOuter = withinAsync(outer, () => AsyncLocalStorage.snapshot());
  inOuter(() =>
    within(inner, () => {
      assertEquals(currentRuns(), [inner]);
      assertEquals(inOther(currentRuns), [other]);
    })
  );
  for (const run of [outer, inner]) finishRun(run);
  assertEquals(inOther(currentRuns), [other]);
  finishRun(other);
  assertEquals(inOther(currentRuns), []);
});
