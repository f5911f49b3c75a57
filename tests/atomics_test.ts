// Copyright 2026 the lazyinit authors. MIT license.

// First, as the modules may keep what they find of `Atomics`
import { withoutBlocking, withoutWaitAsync } from "./_platform.ts";
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
  phaseOf,
  UnlockToken,
} from "../mod.ts";
import { Agents } from "./_agents.ts";
import { Flag, until } from "./_flag.ts";

const WAITERS = 0b100;

Deno.test("agentId() returns a positive integer that stays the same", () => {
  assert(Number.isInteger(agentId()) && agentId() > 0 && agentId() < 2 ** 28);
  assertEquals(agentId(), agentId());
});

Deno.test("agentId() differs from agent to agent", async () => {
  using agents = await Agents.start(3);
  const ids = await agents.all(() => ({ kind: "agentId" }));
  assertEquals(new Set([agentId(), ...ids]).size, 4);
});

Deno.test("agentId() is shared by two copies of the module", async () => {
  const copy = await import("../atomics.ts?copy");
  assertEquals(Object.is(copy.Mutex, Mutex), false);
  assertEquals(copy.agentId(), agentId());
});

Deno.test("canBlock() tells whether Atomics.wait is allowed", () => {
  assertEquals(canBlock(), true);
  withoutBlocking(() => assertEquals(canBlock(), false));
});

Deno.test("OnceState() starts from zeroed memory", () => {
  const state = new OnceState();
  assertEquals(state.phase, "uninitialized");
  assertEquals(state.generation, 0);
  assertEquals(state.layout, 0);
  assertEquals(state.ownedByThisAgent, false);
});

Deno.test("OnceState() refuses memory that it cannot use", () => {
  assertThrows(
    () => new OnceState(new ArrayBuffer(16) as unknown as SharedArrayBuffer),
    TypeError,
    "'buffer' must be a SharedArrayBuffer: current value is an object",
  );
  assertThrows(
    () => new OnceState(new SharedArrayBuffer(8)),
    RangeError,
    "must have 16 bytes at byte 0: it ends at byte 8",
  );
  assertThrows(
    () => new OnceState(new SharedArrayBuffer(64), 4),
    RangeError,
    "multiple of 8",
  );
});

Deno.test("OnceState() goes through its phases", () => {
  const state = new OnceState();
  assertEquals(state.begin(), true);
  assertEquals(state.phase, "initializing");
  assertEquals(state.begin(), false);
  state.rollback();
  assertEquals(state.phase, "uninitialized");
  assertEquals(state.begin(), true);
  const word = state.publish();
  assertEquals(word, state.load());
  assertEquals(state.phase, "initialized");
  assertEquals(state.begin(), false);
  assertEquals(state.generation, 0);
  assertEquals(state.reset(), true);
  assertEquals(state.phase, "uninitialized");
  assertEquals(state.generation, 1);
  assertEquals(state.reset(), false);
  assertEquals(state.begin(), true);
});

Deno.test("OnceState.publish() and .rollback() refuse a cell that nobody initializes", () => {
  const state = new OnceState();
  assertThrows(() => state.publish(), Error, "the cell is uninitialized");
  assertThrows(() => state.rollback(), Error, "the cell is uninitialized");
  state.begin();
  state.publish();
  assertThrows(() => state.publish(), Error, "the cell is initialized");
  assertEquals(state.phase, "initialized");
});

Deno.test("OnceState.reset() wraps the generation and keeps the phase legal", () => {
  const buffer = new SharedArrayBuffer(16);
  const words = new Int32Array(buffer);
  words[0] = -8 | 2; // the last generation, initialized
  const state = new OnceState(buffer);
  assertEquals(state.generation, 2 ** 29 - 1);
  assertEquals(state.reset(), true);
  assertEquals(state.generation, 0);
  assertEquals(words[0], 0);
});

Deno.test("OnceState.reset() wakes whoever waits for a change", async () => {
  const buffer = new SharedArrayBuffer(16);
  const state = new OnceState(buffer);
  state.begin();
  const word = state.publish();
  const changed = state.waitForChangeAsync(word);
  state.reset();
  // Otherwise it would wake by itself, but after a minute
  assertEquals(Atomics.notify(new Int32Array(buffer), 0), 0);
  await changed;
});

Deno.test("OnceState.confirm() fails after any transition", () => {
  const state = new OnceState();
  state.begin();
  const word = state.publish();
  assertEquals(state.confirm(word), true);
  state.reset();
  assertEquals(state.confirm(word), false);
  state.begin();
  state.publish();
  assertEquals(state.confirm(word), false);
});

Deno.test("OnceState.claim() takes the first layout only", () => {
  const state = new OnceState();
  assertEquals(state.claim(1), true);
  assertEquals(state.claim(1), true);
  assertEquals(state.claim(2), false);
  assertEquals(state.layout, 1);
});

Deno.test("OnceState.begin() keeps the waiters bit and the generation", () => {
  const buffer = new SharedArrayBuffer(16);
  const words = new Int32Array(buffer);
  const state = new OnceState(buffer);
  state.begin();
  state.publish();
  state.reset();
  state.waitForChange(state.load(), 0);
  assertEquals(words[0]! & WAITERS, WAITERS);
  state.begin();
  assertEquals(words[0]! & WAITERS, WAITERS);
  state.publish();
  assertEquals(words[0]! & WAITERS, 0);
  assertEquals(state.generation, 1);
});

Deno.test("OnceState.begin() names its owner in the state word, if it is to", () => {
  const buffer = new SharedArrayBuffer(16);
  const words = new Int32Array(buffer);
  const state = new OnceState(buffer, 0, { namesOwner: true });
  assertEquals(state.ownedByThisAgent, false);
  state.begin();
  assertEquals(words[0], agentId() << 4 | 1);
  assertEquals(state.ownedByThisAgent, true);
  assertEquals(state.announcedOwner, undefined);
  state.publish();
  assertEquals([...words], [2, 0, 0, 0]);
  assertEquals(state.ownedByThisAgent, false);
});

Deno.test("OnceState.replaceRun() leaves alone what somebody else has recorded", () => {
  const buffer = new SharedArrayBuffer(16);
  const state = new OnceState(buffer);
  state.recordRun(7);
  assertEquals(new Int32Array(buffer)[3], 7);
  assertEquals(state.replaceRun(8, 9), false);
  assertEquals(state.run, 7);
  assertEquals(state.replaceRun(7, -1), true);
  assertEquals(state.run, -1);
});

Deno.test("OnceState.takeOver() takes a cell from the agent that is initializing it only", () => {
  const buffer = new SharedArrayBuffer(16);
  const words = new Int32Array(buffer);
  const state = new OnceState(buffer, 0, { namesOwner: true });
  const other = agentId() === 7 ? 8 : 7;
  assertEquals(state.takeOver(other), false);
  words[0] = other << 4 | WAITERS | 1;
  assertEquals(state.takeOver(agentId()), false);
  assertEquals(state.takeOver(other), true);
  assertEquals(words[0], agentId() << 4 | WAITERS | 1);
  words[0] = 2;
  assertEquals(state.takeOver(0), false);
});

Deno.test("OnceState.revoke() ends a run for good, and wakes", async () => {
  for (const namesOwner of [false, true]) {
    const state = new OnceState(undefined, 0, { namesOwner });
    state.begin();
    const { begun } = state;
    assertEquals(state.owns(begun), true);
    const changed = state.waitForChangeAsync(state.load());
    assertEquals(state.owns(begun), true);
    assertEquals(state.revoke(), true);
    await changed;
    assertEquals(state.phase, "uninitialized");
    assertEquals(state.generation, 1);
    assertEquals(state.owns(begun), false);
    assertThrows(() => state.publish(begun), OwnerLostError);
    assertThrows(() => state.rollback(begun), OwnerLostError);

    state.begin();
    assertEquals(state.generation, 1);
    if (!namesOwner) assertThrows(() => state.publish(begun), OwnerLostError);
    state.publish();
    assertEquals(state.generation, 1);
  }
});

Deno.test("OnceState.revoke() keeps whoever was about to begin or to reset from it", () => {
  const state = new OnceState();
  const fresh = state.load();
  assertEquals(state.revoke(), true);
  assertEquals(state.phase, "uninitialized");
  const empty = state.load();
  assertEquals(state.begin(fresh), false);
  assertEquals(state.begin(empty), true);
  const word = state.publish();
  assertEquals(state.revoke(), true);
  assertEquals(state.phase, "initialized");
  assertEquals(state.generation, 2);
  assertEquals(state.confirm(word), false);
  assertEquals(state.reset(word), false);
  assertEquals(state.revoke(word), false);
  assertEquals(state.reset(state.load()), true);
  assertEquals(state.begin(empty), false);
  assertEquals(state.begin(), true);
  assertEquals(state.generation, 3);
});

Deno.test("OnceState.revoke() leaves a cell alone that names another owner", () => {
  const buffer = new SharedArrayBuffer(16);
  const words = new Int32Array(buffer);
  const state = new OnceState(buffer, 0, { namesOwner: true });
  assertEquals(state.revoke(), false);
  const other = agentId() === 7 ? 8 : 7;
  words[0] = other << 4 | 1;
  assertEquals(state.revoke(), false);
  assertEquals([...words], [other << 4 | 1, 0, 0, 0]);
  words[0] = 8 | 2;
  assertEquals(state.revoke(), false);
  assertEquals([...words], [8 | 2, 0, 0, 0]);
});

Deno.test("OnceState transitions do not care who has begun to wait since the word was loaded", async () => {
  const state = new OnceState();
  for (const end of ["publish", "revoke"] as const) {
    const word = state.load();
    const begun = state.waitForChangeAsync(word);
    assertEquals(state.begin(word), true);
    const running = state.load();
    const changed = state.waitForChangeAsync(running);
    if (end === "publish") state.publish();
    else assertEquals(state.revoke(running & ~WAITERS), true);
    await Promise.all([begun, changed]);
    const last = state.load();
    const after = state.waitForChangeAsync(last);
    if (end === "publish") assertEquals(state.reset(last), true);
    else assertEquals(state.revoke(last), true);
    await after;
    assertEquals(state.phase, "uninitialized");
  }
});

Deno.test("OnceState.revoke() wraps the generation and keeps the phase legal", () => {
  for (const namesOwner of [false, true]) {
    const buffer = new SharedArrayBuffer(16);
    const words = new Int32Array(buffer);
    const state = new OnceState(buffer, 0, { namesOwner });
    words[0] = -8; // the last generation, uninitialized
    words[1] = 2 ** 29 - 1;
    state.begin();
    assertEquals(state.generation, 2 ** 29 - 1);
    assertEquals(state.revoke(), true);
    assertEquals(words[0], 0);
    assertEquals(state.generation, 0);
    state.begin();
    assertEquals(state.publish() >>> 3, namesOwner ? 0 : state.generation);
  }
});

Deno.test("OnceState.wait() times out, and refuses bad timeouts", () => {
  const state = new OnceState();
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

Deno.test("OnceState.wait() names the way out where it may not block", () => {
  const state = new OnceState();
  withoutBlocking(() => {
    assertThrows(() => state.wait(), TypeError, "use waitAsync() instead");
    assertEquals(state.wait(0), false);
    assertThrows(
      () => state.waitForChange(state.load()),
      TypeError,
      "use waitForChangeAsync() instead",
    );
    state.begin();
    state.publish();
    assertEquals(state.wait(), true);
  });
});

Deno.test("OnceState.waitAsync() goes on waiting after a rollback", async () => {
  const state = new OnceState();
  let done = false;
  const waited = state.waitAsync().then(() => done = true);
  state.begin();
  state.rollback();
  await until(() => (state.load() & WAITERS) !== 0);
  assertEquals(done, false);
  state.begin();
  state.publish();
  await waited;
});

Deno.test("OnceState.waitAsync() rejects with the reason of an aborted signal", async () => {
  const state = new OnceState();
  const reason = new Error("Enough");
  const controller = new AbortController();
  const waited = state.waitAsync({ signal: controller.signal });
  controller.abort(reason);
  assertEquals(await assertRejects(() => waited), reason);
  assertEquals(
    await assertRejects(() => state.waitAsync({ signal: controller.signal })),
    reason,
  );
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

Deno.test("phaseOf() refuses a word that no cell writes", () => {
  assertThrows(() => phaseOf(3), LayoutMismatchError, "current value is 3");
  assertThrows(() => phaseOf(-1), LayoutMismatchError, "in word 4294967295");
});

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
  assertEquals(mutex.heldByThisAgent, true);
  assertEquals(mutex.lockIfAvailable(), null);
  assertEquals(token.unlock(), true);
  assertEquals(token.locked, false);
  assertEquals(mutex.heldByThisAgent, false);
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
  for (const signal of [null, {}, { throwIfAborted() {}, aborted: false }]) {
    const options = { signal: signal as AbortSignal };
    for (
      const wait of [
        () => mutex.lockAsync(options),
        () => mutex.waitForUnlockAsync(options),
        () => state.waitAsync(options),
        () => state.waitForChangeAsync(0, options),
      ]
    ) {
      await assertRejects(wait, TypeError, "'signal' must be an AbortSignal");
    }
  }
  assertEquals(mutex.heldByThisAgent, false);
  assertEquals(state.load(), 0);
});

Deno.test("UnlockToken[Symbol.dispose]() unlocks at the end of a block, even by an error", () => {
  const mutex = new Mutex();
  assertThrows(() => {
    using _token = mutex.lock();
    throw new Error("Failed");
  });
  assertEquals(mutex.heldByThisAgent, false);
});

Deno.test("Mutex.lockIfAvailable() times out while another agent holds the mutex", async () => {
  const mutex = new Mutex();
  using agents = await Agents.start(1);
  const holder = await agents.hold(0, mutex);
  assertEquals(mutex.lockIfAvailable(5), null);
  assertEquals(mutex.heldByThisAgent, false);
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
    assertThrows(() => mutex.waitForUnlock(), TypeError, "waitForUnlockAsync");
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
  assertEquals(mutex.heldByThisAgent, false);
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
      assertEquals(words[1], 0);
    }
  });
}
