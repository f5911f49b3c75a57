// Copyright 2026 the lazyinit authors. MIT license.

// First, as the modules may keep what they find of `Atomics`
import {
  onceTaken,
  replaceable,
  withoutBlocking,
  withoutWaitAsync,
} from "./_platform.ts";
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  agentId,
  canBlock,
  int32,
  LayoutMismatchError,
  LazyInit,
  Mutex,
  MutexLazyInit,
  OnceState,
  OwnerLostError,
  typedArray,
  UnlockToken,
} from "../mod.ts";
import { Agents } from "./_agents.ts";
import { Flag, until } from "./_flag.ts";

/* The protocol of one word, which this and the schedules alone look at. */

const PHASE = 0b11;
const WAITERS = 0b100;
const ANNOUNCED = 0b1000;
const GENERATION_SHIFT = 3;
const OWNER_SHIFT = 4;
const INITIALIZING = 1;
const INITIALIZED = 2;
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
      new Int32Array(buffer)[5] = length;
      assertThrows(initialize, LayoutMismatchError, "its length word says");
      assertEquals([...neighbour], Array(8).fill(7));
      // What has failed is given back zeroed
      assertEquals([...initialize()!], [0, 0, 0]);
    }
  });
}
