// Copyright 2026 the lazyinit authors. MIT license.

/*
 * The known faults of the originals, none of which may come back, and what their
 * authors tested and documented, in this API.
 */

import {
  assert,
  assertEquals,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import {
  AlreadyInitializedError,
  type Codec,
  int32,
  json,
  LazyInit,
  MutexLazyInit,
  NotInitializedError,
  RecursiveInitializationError,
  struct,
  typedArray,
  uint32,
} from "../mod.ts";
import { Agents } from "./_agents.ts";
import { Flag } from "./_flag.ts";
import { pair, pairOf } from "./_jobs.ts";
import { isSlotZeroed } from "./_cell_slots.ts";

Deno.test("Fault 1, lazyinit sets inited before it writes: LazyInit publishes after it has written", () => {
  const phases: string[] = [];
  const observed: Codec<number> = {
    ...int32,
    encode(value, slot) {
      // What any other agent would see now, before and after the write
      const other = LazyInit.from(cell.handle, observed);
      phases.push(other.phase);
      assertEquals(other.get(), undefined);
      assertThrows(() => other.value, NotInitializedError);
      int32.encode(value, slot);
      phases.push(other.phase);
      assertEquals(other.get(), undefined);
    },
  };
  const cell = new LazyInit(observed);
  cell.callOnce(() => 42);
  assertEquals(phases, ["initializing", "initializing"]);
  assertEquals(LazyInit.from(cell.handle, observed).get(), 42);
});

Deno.test("Fault 1, lazyinit sets inited before it writes: no agent reads a value that is being made", async () => {
  using agents = await Agents.start(1);
  const cell = new LazyInit(pair);
  const made = await agents.callOnce(0, cell, pairOf(1));
  assertEquals(cell.initialized, false);
  assertEquals(cell.get(), undefined);
  made.leave();
  await made.done;
  assertEquals(cell.get(), pairOf(1));
});

Deno.test("Fault 2, lazyinit stays inited over garbage when f panics: LazyInit rolls back and rethrows", () => {
  const codec = typedArray(Uint8Array, 8);
  const cell = new LazyInit(codec);
  const error = new Error("Panic");
  assertStrictEquals(
    assertThrows(() =>
      cell.callOnce((slot) => {
        slot.fill(0xff);
        throw error;
      })
    ),
    error,
  );
  assertEquals(cell.phase, "uninitialized");
  assertEquals(cell.get(), undefined);
  assert(isSlotZeroed(cell));
  assertEquals([...cell.callOnce((slot) => slot.fill(1))!], Array(8).fill(1));
});

Deno.test("Fault 3, lazyinit's weak compare-exchange fails spuriously: initOnce() on a fresh cell never fails", () => {
  const count = 20_000;
  const buffer = new SharedArrayBuffer(count * LazyInit.byteLength(int32));
  for (let i = 0; i < count; i++) {
    const byteOffset = i * LazyInit.byteLength(int32);
    assertEquals(new LazyInit(int32, { buffer, byteOffset }).initOnce(i), i);
  }
});

Deno.test("Fault 4, the kernel's as_ref() takes the mutex: get() reads past a held mutex and a running initializer", async () => {
  using agents = await Agents.start(1);
  const cell = new MutexLazyInit(pair);
  const made = await agents.initialize(0, cell, { value: pairOf(1) });
  assertEquals(cell.get(), undefined);
  assertEquals(cell.phase, "initializing");
  made.leave();
  await made.done;

  // Held by some agent, for ever
  new Int32Array(cell.handle.buffer)[1] = 12345;
  const other = MutexLazyInit.from(cell.handle, pair);
  assertEquals(other.get(), pairOf(1));
  assertEquals(other.value, pairOf(1));
  assertEquals(other.wait(), pairOf(1));
  assertEquals(other.getOrInit(() => pairOf(2)), pairOf(1));
  assertThrows(() => other.reset({ timeout: 1 }), DOMException);
});

Deno.test("Fault 5, the kernel's reset() needs exclusive access: reset() takes the lock and invalidates every cache", async () => {
  using agents = await Agents.start(1);
  const cell = new MutexLazyInit(pair);
  assertEquals(
    await agents.do(0, {
      kind: "initialize",
      method: "getOrInit",
      handle: cell.handle,
      outcome: { value: pairOf(1) },
    }),
    pairOf(1),
  );
  assertEquals(cell.value, pairOf(1));
  assertEquals(
    await agents.do(0, { kind: "reset", handle: cell.handle, method: "reset" }),
    true,
  );
  assertEquals(cell.get(), undefined);
  assert(isSlotZeroed(cell));
  cell.init(() => pairOf(2));
  assertEquals(
    await agents.do(0, { kind: "wait", handle: cell.handle, method: "wait" }),
    pairOf(2),
  );
});

Deno.test("Fault 6, neither notices re-entry: an initializer that enters its own cell gets an error", async () => {
  const lockFree = new LazyInit(int32);
  assertThrows(
    () => lockFree.callOnce(() => lockFree.callOnce(() => 1)!),
    RecursiveInitializationError,
  );
  const blocking = new MutexLazyInit(int32);
  assertThrows(
    () => blocking.init(() => blocking.init(() => 1)),
    RecursiveInitializationError,
  );
  await assertRejects(
    () => blocking.initAsync(() => blocking.initAsync(() => 1)),
    RecursiveInitializationError,
  );
  assertEquals(lockFree.phase, "uninitialized");
  assertEquals(blocking.phase, "uninitialized");
});

Deno.test("The crate's first README example holds", () => {
  const VALUE = new LazyInit(uint32);
  assertEquals(VALUE.initialized, false);
  assertThrows(() => VALUE.value, NotInitializedError);
  assertEquals(VALUE.get(), undefined);

  VALUE.initOnce(233);
  assertThrows(() => VALUE.initOnce(666), AlreadyInitializedError);
  assertEquals(VALUE.initialized, true);
  assertEquals(VALUE.value, 233);
  assertEquals(VALUE.get(), 233);
});

Deno.test("The crate's second README example holds: only one of 16 threads initializes", async () => {
  using agents = await Agents.start(16);
  const cell = new LazyInit(pair);
  const start = new Flag();
  const raced = agents.all((index) => ({
    kind: "race",
    method: "callOnce",
    handle: cell.handle,
    value: pairOf(index),
    start: start.buffer,
    calls: new SharedArrayBuffer(4),
  }));
  start.raise();
  const results = await raced;
  const winners = results.flatMap(({ won }, index) => won ? [index] : []);
  assertEquals(winners.length, 1);
  assertEquals(cell.value.left, winners[0]);
});

const unit = struct({});

function tryLazyInit(once: MutexLazyInit<object>): void {
  assertEquals(once.get(), undefined);
  const value = once.init(() => ({}));
  assertStrictEquals(once.get(), value);
  const again = once.tryInit(() => ({}));
  assert(!again.ok && again.reason === "already-init");
  assertStrictEquals(again.value, value);
  assertStrictEquals(once.get(), value);
}

Deno.test("The kernel's test lazy_init holds", () => {
  tryLazyInit(new MutexLazyInit(unit));
});

Deno.test("The kernel's test lazy_init_error holds", () => {
  const once = new MutexLazyInit(unit);
  assertEquals(once.get(), undefined);
  const error = new Error("EJUKEBOX");
  assertEquals(
    once.tryInit(() => {
      throw error;
    }),
    { ok: false, reason: "during-init", error },
  );
  tryLazyInit(once);
});

Deno.test("The kernel's test lazy_init_reset holds", () => {
  const once = new MutexLazyInit(unit);
  tryLazyInit(once);
  assertEquals(once.reset(), true);
  assertEquals(once.reset(), false);
  tryLazyInit(once);
});

Deno.test("The kernel's documentation example holds", () => {
  const lazy = new MutexLazyInit(json<{ a: number }>(16));
  assert(lazy.tryInit(() => ({ a: 42 })).ok);
  assertEquals(lazy.get()!.a, 42);
  const again = lazy.tryInit(() => ({ a: 54 }));
  assert(!again.ok && again.reason === "already-init");
  assertEquals(again.value.a, 42);
});
