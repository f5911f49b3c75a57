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
import { inspect } from "node:util";
import {
  agentId,
  AlreadyInitializedError,
  type Codec,
  int32,
  json,
  LazyInit,
  MutexLazyInit,
  NotInitializedError,
  OwnerLostError,
  RecursiveInitializationError,
  string,
  struct,
  typedArray,
  uint32,
} from "../mod.ts";
import { Agents } from "./_agents.ts";
import { Flag, until } from "./_flag.ts";
import { type Pair, pair, pairOf } from "./_jobs.ts";
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

Deno.test("Fault 4, the kernel's as_ref() takes the mutex: get() reads past a running initializer, and holds up nobody", async () => {
  using agents = await Agents.start(1);
  const cell = new MutexLazyInit(pair);
  const made = await agents.initialize(0, cell, { value: pairOf(1) });
  assertEquals(cell.get(), undefined);
  assertEquals(cell.phase, "initializing");
  // The other agent owns the cell, as the kernel's mutex is held
  assertThrows(() => cell.reset({ timeout: 1 }), DOMException);
  assertEquals(cell.get(), undefined);
  made.leave();
  await made.done;

  let inTheMiddle: (() => void) | undefined;
  const slow: Codec<Pair> = {
    ...pair,
    decode(slot) {
      inTheMiddle?.();
      return pair.decode(slot);
    },
  };
  const reader = MutexLazyInit.from(cell.handle, slow);
  const other = MutexLazyInit.from(cell.handle, pair);
  inTheMiddle = () => {
    inTheMiddle = undefined;
    assertEquals(other.get(), pairOf(1));
    assertEquals(other.value, pairOf(1));
    assertEquals(other.wait({ timeout: 0 }), pairOf(1));
    assertEquals(other.getOrInit(() => pairOf(2)), pairOf(1));
    assertEquals(other.reset({ timeout: 0 }), true);
  };
  assertEquals(reader.get(), undefined);
  assertEquals(inTheMiddle, undefined);
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

Deno.test("Fault of this package, inspection: a cell whose value cannot be decoded says so", () => {
  const codec: Codec<number> = {
    ...int32,
    decode() {
      throw new Error("On purpose");
    },
  };
  for (const Cell of [LazyInit, MutexLazyInit]) {
    const cell = new Cell(int32, { name: "answer" });
    if (cell instanceof LazyInit) cell.initOnce(42);
    else cell.init(() => 42);
    const other = Cell.from(cell.handle as never, codec);
    const text = `${Cell.name} "answer" { <undecodable> }`;
    assertEquals(Deno.inspect(other), text);
    assertEquals(inspect(other), text);
  }
});

Deno.test("Fault of this package, nobody watches: an announced owner that ends before it has woken those who waited is noticed", async () => {
  const url = new URL("./testdata/mortal_worker.ts", import.meta.url);
  const cell = new MutexLazyInit(pair);
  // Sleeps while there is no owner
  const value = cell.waitAsync({ signal: AbortSignal.timeout(20_000) });
  const worker = new Worker(url, { type: "module" });
  try {
    await new Promise((resolve) => worker.onmessage = resolve);
    const ended = new Flag();
    worker.postMessage({
      kind: "end",
      handle: cell.handle,
      stage: "taken",
      announced: true,
      entered: new Flag().buffer,
      leave: new Flag().buffer,
      ended: ended.buffer,
    });
    await ended.raised();
    await until(() => cell.phase === "uninitialized");
    cell.init(() => pairOf(1));
    assertEquals(await value, pairOf(1));
  } finally {
    worker.terminate();
  }
});

Deno.test("Fault of this package, weak order at placing: a compare-exchange decides whether memory that is not zero is a cell", () => {
  for (const Cell of [LazyInit, MutexLazyInit]) {
    const buffer = new SharedArrayBuffer(Cell.byteLength(int32));
    const cell = new Cell(int32, { buffer });
    if (cell instanceof LazyInit) cell.initOnce(42);
    else cell.init(() => 42);
    const { load } = Atomics;
    // As if this agent saw the value of the other one, and not yet that it has claimed the
    // memory, as a load may do on weakly ordered processors
    Object.assign(Atomics, {
      load(words: Int32Array, index: number): number {
        return words.buffer === buffer && index === 2 ? 0 : load(words, index);
      },
    });
    try {
      assertEquals(new Cell(int32, { buffer }).get(), 42);
    } finally {
      Object.assign(Atomics, { load });
    }
  }
});

Deno.test("Fault of this package, writes after a loss: an encoder that has lost the cell writes nothing after its next look", () => {
  let lost = 0;
  const codec: Codec<string> = {
    ...string(64),
    encode(value, slot) {
      // Another agent declares this one dead, and initializes the cell
      if (lost++ === 0) {
        assertEquals(cell.recover(agentId()), true);
        assertEquals(cell.init(() => "another"), "another");
      }
      string(64).encode(value, slot);
    },
  };
  const cell = new MutexLazyInit(codec);
  assertThrows(() => cell.init(() => "this one"), OwnerLostError);
  assertEquals(MutexLazyInit.from(cell.handle, codec).value, "another");
});
