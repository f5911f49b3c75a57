// Copyright 2026 the lazyinit authors. MIT license.

// First, as the modules may keep what they find of `Atomics`
import {
  phasesWhileZeroing,
  replaceable,
  withoutBlocking,
  withoutWaitAsync,
} from "./_platform.ts";
import {
  assert,
  assertEquals,
  assertNotStrictEquals,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { AsyncLocalStorage } from "node:async_hooks";
import { inspect } from "node:util";
import {
  agentId,
  AlreadyInitializedError,
  type Codec,
  int32,
  json,
  LayoutMismatchError,
  LazyInit,
  MutexLazyInit,
  NotInitializedError,
  RecursiveInitializationError,
  string,
  typedArray,
} from "../mod.ts";
import { Agents } from "./_agents.ts";
import { importCopy } from "./_copies.ts";
import { Flag, until } from "./_flag.ts";
import { pair, pairOf, view } from "./_jobs.ts";
import { isSlotZeroed, slotOf } from "./_cell_slots.ts";

const INITS = ["init", "tryInit", "getOrInit"] as const;
const ASYNC_INITS = ["initAsync", "tryInitAsync", "getOrInitAsync"] as const;

/** Asserts that no agent owns a cell, which may lose its value. */
function assertFree(cell: MutexLazyInit<unknown>): void {
  const { initialized } = cell;
  assertEquals(cell.reset({ timeout: 0 }), initialized);
}

/** A promise and what settles it. */
function defer<T>() {
  return Promise.withResolvers<T>();
}

Deno.test("MutexLazyInit() starts uninitialized", () => {
  const cell = new MutexLazyInit(int32, { name: "answer" });
  assertEquals(cell.initialized, false);
  assertEquals(cell.phase, "uninitialized");
  assertEquals(cell.get(), undefined);
  assertEquals(cell.name, "answer");
  assertEquals(cell.handle.kind, "MutexLazyInit");
  assertThrows(
    () => cell.value,
    NotInitializedError,
    'Cannot read MutexLazyInit "answer" as it must be initialized',
  );
});

Deno.test("MutexLazyInit() attaches to the cell that is there, and refuses another", () => {
  const buffer = new SharedArrayBuffer(64);
  const cell = new MutexLazyInit(int32, { buffer, byteOffset: 8 });
  cell.init(() => 42);
  assertEquals(new MutexLazyInit(int32, { buffer, byteOffset: 8 }).value, 42);
  assertThrows(
    () => new LazyInit(int32, { buffer, byteOffset: 8 }),
    LayoutMismatchError,
  );
  assertThrows(
    () => new MutexLazyInit(string(0), { buffer, byteOffset: 8 }),
    LayoutMismatchError,
  );
  assertEquals(MutexLazyInit.byteLength(int32), 32);
});

Deno.test("MutexLazyInit() has a given value from the beginning", () => {
  const cell = new MutexLazyInit(string(8), { value: "" });
  assertEquals(cell.get(), "");
  assertEquals(cell.phase, "initialized");
  assertEquals(MutexLazyInit.from(cell.handle, string(8)).value, "");
  const view = new MutexLazyInit(typedArray(Uint8Array, 2), {
    value: Uint8Array.of(1, 2),
  });
  assertEquals([...view.value], [1, 2]);
  assertStrictEquals(view.value.buffer, view.handle.buffer as ArrayBufferLike);
});

Deno.test("MutexLazyInit() drops a value where another agent came before", () => {
  const buffer = new SharedArrayBuffer(MutexLazyInit.byteLength(int32));
  const first = new MutexLazyInit(int32, { buffer });
  const during = () => {
    const other = new MutexLazyInit(int32, { buffer, value: 1 });
    assertEquals(other.phase, "initializing");
    return 2;
  };
  first.init(during);
  assertEquals(new MutexLazyInit(int32, { buffer, value: 3 }).value, 2);
});

Deno.test("MutexLazyInit() refuses a value that the codec refuses, and leaves the cell usable", () => {
  const buffer = new SharedArrayBuffer(MutexLazyInit.byteLength(int32));
  assertThrows(
    () => new MutexLazyInit(int32, { buffer, value: 2 ** 31 }),
    RangeError,
  );
  assertThrows(
    () => new MutexLazyInit(int32, { buffer, value: "1" as unknown as number }),
    TypeError,
  );
  const cell = new MutexLazyInit(int32, { buffer });
  assertEquals(cell.phase, "uninitialized");
  assertEquals(cell.init(() => 4), 4);
});

Deno.test("MutexLazyInit.from() attaches through a clone of the handle", () => {
  const cell = new MutexLazyInit(int32, { name: "answer" });
  const attached = MutexLazyInit.from(structuredClone(cell.handle), int32);
  assertEquals(attached.name, "answer");
  attached.init(() => 42);
  assertEquals(cell.value, 42);
  assertThrows(
    // A type error, too
    () => MutexLazyInit.from(new LazyInit(int32).handle as never, int32),
    LayoutMismatchError,
    "it must be a MutexLazyInit of int32 with 4 bytes: its handle says LazyInit",
  );
});

Deno.test("MutexLazyInit.get() returns the same reference until a reset", () => {
  const cell = new MutexLazyInit(json<{ a: number }>(64));
  const first = cell.init(() => ({ a: 1 }));
  assertStrictEquals(cell.get(), first);
  assertStrictEquals(cell.value, first);
  assertStrictEquals(cell.getUnchecked(), first);
  assertStrictEquals(cell.getOrInit(() => ({ a: 2 })), first);
  cell.reset();
  const second = cell.init(() => ({ a: 1 }));
  assertEquals(second, first);
  assertNotStrictEquals(second, first);
});

Deno.test("MutexLazyInit.getUnchecked() sees a value that came after a reset", () => {
  const cell = new MutexLazyInit(int32);
  const other = MutexLazyInit.from(cell.handle, int32);
  assertEquals(cell.getUnchecked(), 0);
  other.init(() => 1);
  assertEquals(cell.getUnchecked(), 1);
  other.reset();
  other.init(() => 2);
  assertEquals(cell.getUnchecked(), 2);
});

Deno.test("MutexLazyInit.getMut() writes to memory that all instances see", () => {
  const cell = new MutexLazyInit(view);
  assertEquals(cell.getMut(), undefined);
  cell.init(() => {});
  cell.getMut()![3] = 7;
  assertEquals(MutexLazyInit.from(cell.handle, view).value[3], 7);
});

Deno.test("MutexLazyInit.init() fails on a cell that is initialized, with its value", () => {
  const cell = new MutexLazyInit(int32, { name: "answer" });
  assertEquals(cell.init(() => 42), 42);
  const error = assertThrows(
    () => cell.init(() => 43),
    AlreadyInitializedError,
    'Cannot initialize MutexLazyInit "answer" as it must be uninitialized: it is initialized',
  );
  assertEquals(error.value, 42);
});

Deno.test("MutexLazyInit.tryInit() tells all three outcomes", () => {
  const cell = new MutexLazyInit(int32);
  const error = new Error("Failed");
  assertEquals(
    cell.tryInit(() => {
      throw error;
    }),
    { ok: false, reason: "during-init", error },
  );
  assertEquals(cell.tryInit(() => 42), { ok: true, value: 42 });
  assertEquals(cell.tryInit(() => 43), {
    ok: false,
    reason: "already-init",
    value: 42,
  });
});

Deno.test("MutexLazyInit.getOrInit() returns the value, whoever made it", () => {
  const cell = new MutexLazyInit(int32);
  assertEquals(cell.getOrInit(() => 42), 42);
  assertEquals(cell.getOrInit(() => 43), 42);
});

Deno.test("MutexLazyInit rethrows what an initializer threw, unchanged", async () => {
  for (const thrown of [new Error("Failed"), undefined, "text", null]) {
    const cell = new MutexLazyInit(int32);
    const fail = () => {
      throw thrown;
    };
    for (const method of ["init", "getOrInit"] as const) {
      let caught: unknown = "nothing";
      try {
        cell[method](fail);
      } catch (error) {
        caught = error;
      }
      assertStrictEquals(caught, thrown);
    }
    for (const method of ["initAsync", "getOrInitAsync"] as const) {
      for (const initializer of [fail, () => Promise.reject(thrown)]) {
        const caught = await cell[method](initializer).then(
          () => "nothing",
          (error) => error,
        );
        assertStrictEquals(caught, thrown);
      }
    }
    assertEquals(cell.phase, "uninitialized");
    assertFree(cell);
    assertEquals(cell.init(() => 1), 1);
  }
});

Deno.test("MutexLazyInit zeroes the slot of an initializer that failed", async () => {
  const cell = new MutexLazyInit(view);
  const spoil = (slot: Int32Array) => {
    slot.fill(-1);
    throw new Error("Failed");
  };
  assertThrows(() => cell.init(spoil));
  assert(isSlotZeroed(cell));
  await assertRejects(() => cell.initAsync(spoil));
  assert(isSlotZeroed(cell));
});

Deno.test("MutexLazyInit takes a codec that fails as an initializer that failed", async () => {
  const cell = new MutexLazyInit(string(4));
  assertThrows(
    () => cell.init(() => "Zürich"),
    RangeError,
    "'value' must take at most 4 bytes: it takes 7",
  );
  await assertRejects(() => cell.initAsync(() => "Zürich"), RangeError);
  assertEquals(cell.phase, "uninitialized");

  const undecodable: Codec<number> = {
    ...int32,
    decode() {
      throw new Error("Cannot decode");
    },
  };
  const other = new MutexLazyInit(undecodable);
  assertThrows(() => other.init(() => 1), Error, "Cannot decode");
  assertEquals(other.phase, "uninitialized");
  assert(isSlotZeroed(other));
});

Deno.test("MutexLazyInit and LazyInit give an initializer nothing if the value is not a view", async () => {
  const count = (...given: unknown[]) => given.length;
  assertEquals(new LazyInit(int32).callOnce(count), 0);
  assertEquals(new MutexLazyInit(int32).getOrInit(count), 0);
  assertEquals(await new MutexLazyInit(int32).getOrInitAsync(count), 0);
});

Deno.test("MutexLazyInit refuses an initializer that is no function", async () => {
  const cell = new MutexLazyInit(int32);
  // Also when there is nothing left to initialize
  for (let i = 0; i < 2; i++) {
    for (const initializer of [undefined, null, 42]) {
      for (const method of INITS) {
        assertThrows(
          () => cell[method](initializer as never),
          TypeError,
          "'initializer' must be a function",
        );
      }
      for (const method of ASYNC_INITS) {
        await assertRejects(
          () => cell[method](initializer as never),
          TypeError,
          "'initializer' must be a function",
        );
      }
    }
    cell.getOrInit(() => 42);
  }
});

Deno.test("MutexLazyInit refuses a promise from a synchronous initializer", () => {
  for (const method of ["init", "getOrInit"] as const) {
    const cell = new MutexLazyInit(int32);
    assertThrows(
      () => cell[method]((() => Promise.reject(new Error("Late"))) as never),
      TypeError,
      `must not return a promise: use ${method}Async() instead`,
    );
    assertEquals(cell.phase, "uninitialized");
    assertEquals(cell.init(() => 1), 1);
  }
});

Deno.test("MutexLazyInit refuses bad timeouts, initialized or not", () => {
  const cell = new MutexLazyInit(int32);
  for (let i = 0; i < 2; i++) {
    const calls = [
      ...INITS.map((method) => (timeout: number) =>
        cell[method](() => {
          throw new Error("Never called");
        }, { timeout })
      ),
      (timeout: number) => cell.wait({ timeout }),
      (timeout: number) => cell.reset({ timeout }),
    ];
    for (const call of calls) {
      assertThrows(() => call(-1), RangeError, "is -1");
      assertThrows(() => call(NaN), RangeError, "is NaN");
      assertThrows(() => call("1" as never), TypeError, 'is "1"');
    }
    assertEquals(cell.initialized, i === 1);
    cell.getOrInit(() => 42);
  }
});

Deno.test("MutexLazyInit takes null and undefined for no signal", async () => {
  for (const signal of [null, undefined]) {
    const options = { signal } as { signal: null };
    const cell = new MutexLazyInit(int32);
    const waiting = cell.waitAsync(options);
    assertEquals(await cell.initAsync(() => 1, options), 1);
    assertEquals(await waiting, 1);
    assertEquals(await cell.getOrInitAsync(() => 2, options), 1);
    assertEquals((await cell.tryInitAsync(() => 2, options)).ok, false);
    assertEquals(await cell.resetAsync(options), true);
  }
});

Deno.test("MutexLazyInit fills a view in place, or copies what is returned", async () => {
  const codec = typedArray(Int32Array, 2);
  const inPlace = new MutexLazyInit(codec);
  let slot: Int32Array | undefined;
  const value = inPlace.init((view) => {
    slot = view;
    view.set([1, 2]);
  });
  assertStrictEquals(value, slot);
  assertEquals([...value], [1, 2]);

  const copied = new MutexLazyInit(codec);
  assertEquals([...copied.init(() => new Int32Array([3, 4]))], [3, 4]);

  const later = new MutexLazyInit(codec);
  assertEquals(
    [
      ...await later.initAsync(async (view) => {
        await Promise.resolve();
        view.set([5, 6]);
      }),
    ],
    [5, 6],
  );
  const copiedLater = new MutexLazyInit(codec);
  assertEquals(
    [
      ...await copiedLater.initAsync(() =>
        Promise.resolve(new Int32Array([7, 8]))
      ),
    ],
    [7, 8],
  );
});

Deno.test("MutexLazyInit.initAsync() and its kin resolve as the synchronous ones return", async () => {
  const cell = new MutexLazyInit(int32);
  const error = new Error("Failed");
  assertEquals(await cell.tryInitAsync(() => Promise.reject(error)), {
    ok: false,
    reason: "during-init",
    error,
  });
  assertEquals(await cell.initAsync(() => Promise.resolve(42)), 42);
  assertEquals(await cell.tryInitAsync(() => 43), {
    ok: false,
    reason: "already-init",
    value: 42,
  });
  assertEquals(await cell.getOrInitAsync(() => 43), 42);
  const already = await assertRejects(
    () => cell.initAsync(() => 43),
    AlreadyInitializedError,
  );
  assertEquals(already.value, 42);
});

Deno.test("MutexLazyInit.getOrInitAsync() runs one initializer for concurrent tasks", async () => {
  const cell = new MutexLazyInit(int32);
  let calls = 0;
  const values = await Promise.all(
    Array.from({ length: 8 }, (_, i) =>
      cell.getOrInitAsync(async () => {
        calls++;
        await Promise.resolve();
        return i;
      })),
  );
  assertEquals(calls, 1);
  assertEquals(values, new Array(8).fill(0));
});

Deno.test("MutexLazyInit.getOrInitAsync() goes on with the next task's initializer after a failure", async () => {
  const cell = new MutexLazyInit(int32);
  const failing = defer<number>();
  const first = cell.getOrInitAsync(() => failing.promise);
  const second = cell.getOrInitAsync(() => Promise.resolve(2));
  const third = cell.getOrInitAsync(() => Promise.resolve(3));
  failing.reject(new Error("Failed"));
  await assertRejects(() => first, Error, "Failed");
  const values = await Promise.all([second, third]);
  assertEquals(values[0], values[1]);
});

Deno.test("MutexLazyInit refuses re-entry by every synchronous call", () => {
  const enter: Record<string, (cell: MutexLazyInit<number>) => unknown> = {
    init: (cell) => cell.init(() => 1),
    tryInit: (cell) => cell.tryInit(() => 1),
    getOrInit: (cell) => cell.getOrInit(() => 1),
    wait: (cell) => cell.wait(),
    "wait with timeout": (cell) => cell.wait({ timeout: 0 }),
    reset: (cell) => cell.reset(),
    "through another instance": (cell) =>
      MutexLazyInit.from(structuredClone(cell.handle), int32).init(() => 1),
  };
  for (const [name, reenter] of Object.entries(enter)) {
    const cell = new MutexLazyInit(int32, { name });
    assertThrows(
      () =>
        cell.getOrInit(() => {
          reenter(cell);
          return 2;
        }),
      RecursiveInitializationError,
      `Cannot enter MutexLazyInit "${name}" again`,
    );
    assertEquals(cell.phase, "uninitialized");
    assertEquals(cell.init(() => 3), 3);
  }
});

Deno.test("MutexLazyInit refuses re-entry by every asynchronous call", async () => {
  const enter: Record<
    string,
    (cell: MutexLazyInit<number>) => Promise<unknown>
  > = {
    initAsync: (cell) => cell.initAsync(() => 1),
    tryInitAsync: (cell) => cell.tryInitAsync(() => 1),
    getOrInitAsync: (cell) => cell.getOrInitAsync(() => 1),
    waitAsync: (cell) => cell.waitAsync(),
    resetAsync: (cell) => cell.resetAsync(),
    "through another cell": (cell) =>
      new MutexLazyInit(int32).getOrInitAsync(() =>
        cell.getOrInitAsync(() => 1)
      ),
  };
  for (const [name, reenter] of Object.entries(enter)) {
    for (const pause of [() => undefined, () => Promise.resolve()]) {
      const cell = new MutexLazyInit(int32, { name });
      await assertRejects(
        () =>
          cell.getOrInitAsync(async () => {
            await pause();
            await reenter(cell);
            return 2;
          }),
        RecursiveInitializationError,
        `Cannot enter MutexLazyInit "${name}" again`,
      );
      assertEquals(cell.phase, "uninitialized");
      assertEquals(await cell.initAsync(() => 3), 3);
    }
  }
});

Deno.test("MutexLazyInit refuses an asynchronous re-entry from a synchronous initializer", async () => {
  const cell = new MutexLazyInit(int32);
  let waited: Promise<number> | undefined;
  cell.init(() => {
    waited = cell.waitAsync();
    return 1;
  });
  await assertRejects(() => waited!, RecursiveInitializationError);
});

Deno.test("MutexLazyInit takes a task that outlives its initializer for one like any other", async () => {
  const cell = new MutexLazyInit(int32);
  const later = defer<void>();
  let outliving: Promise<number> | undefined;
  await cell.getOrInitAsync(() => {
    outliving = later.promise.then(() => cell.waitAsync());
    return 1;
  });
  cell.reset();
  const blocked = defer<number>();
  const second = cell.getOrInitAsync(() => blocked.promise);
  later.resolve();
  await Promise.resolve();
  blocked.resolve(2);
  assertEquals(await outliving, 2);
  assertEquals(await second, 2);
});

Deno.test("MutexLazyInit.getOrInitAsync() keeps the value that it found when another task resets the cell", async () => {
  const cell = new MutexLazyInit(int32);
  cell.init(() => 1);
  const found = [
    cell.getOrInitAsync(() => 2),
    cell.initAsync(() => 2).catch(({ value }) => value),
    cell.waitAsync(),
  ];
  cell.reset();
  assertEquals(await Promise.all(found), [1, 1, 1]);
  assertEquals(cell.get(), undefined);
});

Deno.test("MutexLazyInit leaves no listener on a signal", async () => {
  const { signal } = new AbortController();
  let listeners = 0;
  const { addEventListener, removeEventListener } = signal;
  signal.addEventListener = (...args: Parameters<typeof addEventListener>) => {
    listeners++;
    addEventListener.apply(signal, args);
  };
  signal.removeEventListener = (
    ...args: Parameters<typeof removeEventListener>
  ) => {
    listeners--;
    removeEventListener.apply(signal, args);
  };
  const cell = new MutexLazyInit(int32);
  const made = defer<number>();
  const owner = cell.getOrInitAsync(() => made.promise, { signal });
  const waits = [
    cell.getOrInitAsync(() => 2, { signal }),
    cell.waitAsync({ signal }),
  ];
  await until(() => listeners === 3);
  made.resolve(1);
  assertEquals(await Promise.all([owner, ...waits]), [1, 1, 1]);
  await until(() => listeners === 0);
});

Deno.test("MutexLazyInit takes a task that outlives a synchronous initializer for one like any other", async () => {
  const [cell, other] = [new MutexLazyInit(int32), new MutexLazyInit(int32)];
  const later = defer<void>();
  let outliving: Promise<number> | undefined;
  cell.init(() => {
    outliving = other.initAsync(() =>
      later.promise.then(() => cell.waitAsync())
    );
    return 1;
  });
  cell.reset();
  const made = defer<number>();
  const second = cell.getOrInitAsync(() => made.promise);
  later.resolve();
  await Promise.resolve();
  made.resolve(2);
  assertEquals(await outliving, 2);
  assertEquals(await second, 2);
});

Deno.test("MutexLazyInit refuses an asynchronous re-entry through another object of the same memory", async () => {
  const cell = new MutexLazyInit(int32);
  const again = MutexLazyInit.from(structuredClone(cell.handle), int32);
  await assertRejects(
    () =>
      cell.getOrInitAsync(async () => {
        await Promise.resolve();
        return await again.waitAsync();
      }),
    RecursiveInitializationError,
  );
  assertEquals(cell.phase, "uninitialized");
});

Deno.test("MutexLazyInit refuses a re-entry through another copy of the package", async () => {
  const copy = await importCopy();
  assertNotStrictEquals(copy.MutexLazyInit, MutexLazyInit);
  const cell = new MutexLazyInit(int32);
  const again = copy.MutexLazyInit.from(
    structuredClone(cell.handle),
    copy.int32,
  );
  for (const wait of [() => again.wait(), () => again.waitAsync()]) {
    await assertRejects(
      () =>
        cell.getOrInitAsync(async () => {
          await Promise.resolve();
          return await wait();
        }),
      copy.RecursiveInitializationError,
    );
  }
  // Not of another task
  const { promise, resolve } = Promise.withResolvers<number>();
  const value = cell.initAsync(() => promise);
  const waiting = again.waitAsync();
  resolve(1);
  assertEquals(await Promise.all([value, waiting]), [1, 1]);
});

Deno.test("MutexLazyInit lets the cell go if it finds nothing to begin", () => {
  const cell = new MutexLazyInit(int32);
  const other = MutexLazyInit.from(cell.handle, int32);
  const { compareExchange } = replaceable;
  replaceable.compareExchange = (...args) => {
    replaceable.compareExchange = compareExchange;
    // As another agent would that is faster
    other.init(() => 1);
    return compareExchange(...args);
  };
  assertEquals(cell.getOrInit(() => 2), 1);
  assertFree(cell);
});

Deno.test("MutexLazyInit refuses a signal that is none, and changes nothing", async () => {
  const cell = new MutexLazyInit(int32);
  const never = () => {
    throw new Error("Never called");
  };
  for (let i = 0; i < 2; i++) {
    for (const signal of [5, {}, { throwIfAborted() {}, aborted: false }]) {
      const options = { signal: signal as AbortSignal };
      for (
        const call of [
          ...ASYNC_INITS.map((method) => () => cell[method](never, options)),
          () => cell.waitAsync(options),
          () => cell.resetAsync(options),
        ]
      ) {
        await assertRejects(call, TypeError, "'signal' must be an AbortSignal");
      }
    }
    assertEquals(cell.initialized, i === 1);
    cell.getOrInit(() => 42);
  }
});

Deno.test("MutexLazyInit zeroes the slot while nobody else may write or read it", async () => {
  const cell = new MutexLazyInit(int32);
  const other = MutexLazyInit.from(cell.handle, int32);
  let attempts = 0;
  const observed = {
    get phase() {
      attempts++;
      assertEquals(other.get(), undefined);
      assertThrows(() => other.init(() => 3, { timeout: 0 }));
      return cell.phase;
    },
  };
  const phases = phasesWhileZeroing(observed, () => {
    assertThrows(() => cell.init(() => JSON.parse("{")), SyntaxError);
    cell.init(() => 1);
    cell.reset();
  });
  assert(!phases.includes("initialized"));
  assertEquals(attempts, 2);
  cell.init(() => 2);
  assertEquals(await cell.resetAsync(), true);
});

Deno.test("MutexLazyInit sleeps once while an initializer runs, until the value is published", async () => {
  using agents = await Agents.start(2);
  for (const method of ["getOrInit", "getOrInitAsync"] as const) {
    const cell = new MutexLazyInit(pair);
    const winner = await agents.initialize(0, cell, { value: pairOf(1) });
    const sleeps = agents.sleepsOf(1);
    const racer = agents.do(1, {
      kind: "initialize",
      method,
      handle: cell.handle,
      outcome: { value: pairOf(2) },
    });
    await agents.asleep(1);
    // Time in which one that polls would do so
    for (let turn = 0; turn < 50; turn++) {
      await new Promise((resolve) => setTimeout(resolve));
    }
    winner.leave();
    assertEquals(await racer, pairOf(1));
    assertEquals(agents.sleepsOf(1), sleeps + 1);
    await winner.done;
  }
});

Deno.test("MutexLazyInit lets an initializer use other cells", async () => {
  const inner = new MutexLazyInit(int32);
  const outer = new MutexLazyInit(int32);
  assertEquals(outer.init(() => inner.getOrInit(() => 1) + 1), 2);
  outer.reset();
  inner.reset();
  assertEquals(
    await outer.initAsync(async () =>
      await inner.getOrInitAsync(() => Promise.resolve(1)) + 1
    ),
    2,
  );
});

Deno.test("MutexLazyInit refuses synchronous calls while its own agent initializes asynchronously", async () => {
  const cell = new MutexLazyInit(int32);
  const made = defer<number>();
  const initialized = cell.getOrInitAsync(() => made.promise);
  for (
    const call of [
      () => cell.init(() => 1),
      () => cell.tryInit(() => 1),
      () => cell.getOrInit(() => 1),
      () => cell.wait(),
      () => cell.reset(),
    ]
  ) assertThrows(call, RecursiveInitializationError);
  assertEquals(cell.get(), undefined);
  assertEquals(cell.phase, "initializing");
  const waits = [cell.waitAsync(), cell.getOrInitAsync(() => 2)];
  made.resolve(42);
  assertEquals(await initialized, 42);
  assertEquals(await Promise.all(waits), [42, 42]);
  assertEquals(cell.reset(), true);
});

Deno.test("MutexLazyInit.resetAsync() does not make other tasks of its agent fail", async () => {
  const cell = new MutexLazyInit(int32);
  const made = defer<number>();
  const initialized = cell.getOrInitAsync(() => made.promise);
  const reset = cell.resetAsync();
  made.resolve(42);
  await initialized;
  assertEquals(await reset, true);
  // Whatever step the reset is at, a synchronous call of another task works
  for (let step = 0; step < 10; step++) {
    const reset = cell.resetAsync();
    for (let microtask = 0; microtask < step; microtask++) {
      await Promise.resolve();
    }
    assertEquals(cell.getOrInit(() => 42), 42);
    await reset;
    cell.reset();
  }
});

Deno.test("MutexLazyInit names the way out where it may not block", async () => {
  using agents = await Agents.start(1);
  const cell = new MutexLazyInit(pair);
  const initialized = await agents.initialize(0, cell, { value: pairOf(1) });
  withoutBlocking(() => {
    for (
      const [call, alternative] of [
        [() => cell.init(() => pairOf(2)), "initAsync()"],
        [() => cell.tryInit(() => pairOf(2)), "tryInitAsync()"],
        [() => cell.getOrInit(() => pairOf(2)), "getOrInitAsync()"],
        [() => cell.wait(), "waitAsync()"],
        [() => cell.reset(), "resetAsync()"],
      ] as const
    ) {
      const error = assertThrows(call, TypeError);
      assertEquals(
        error.message,
        `Cannot block in this agent: use ${alternative} instead`,
      );
    }
    const error = assertThrows(() => cell.wait({ timeout: 0 }), DOMException);
    assertEquals(error.name, "TimeoutError");
  });
  const waited = cell.getOrInitAsync(() => pairOf(2));
  initialized.leave();
  assertEquals(await waited, pairOf(1));
  await initialized.done;
  withoutBlocking(() => {
    assertEquals(cell.wait(), pairOf(1));
    assertEquals(cell.reset(), true);
    assertEquals(cell.getOrInit(() => pairOf(3)), pairOf(3));
  });
});

Deno.test("MutexLazyInit waits by polling where Atomics.waitAsync is missing", async () => {
  await withoutWaitAsync(async () => {
    const cell = new MutexLazyInit(int32);
    const made = defer<number>();
    const first = cell.getOrInitAsync(() => made.promise);
    const others = [cell.getOrInitAsync(() => 2), cell.waitAsync()];
    made.resolve(1);
    assertEquals(await Promise.all([first, ...others]), [1, 1, 1]);
  });
});

Deno.test("MutexLazyInit waiters that abort reject with the signal's reason and leave no trace", async () => {
  const cell = new MutexLazyInit(int32);
  const made = defer<number>();
  const initialized = cell.getOrInitAsync(() => made.promise);
  const reason = new Error("Enough");
  const controller = new AbortController();
  const { signal } = controller;
  const never = () => {
    throw new Error("Never called");
  };
  const aborted = [
    ...ASYNC_INITS.map((method) => cell[method](never, { signal })),
    cell.waitAsync({ signal }),
    cell.resetAsync({ signal }),
  ];
  const live = [cell.getOrInitAsync(() => 2), cell.waitAsync()];
  controller.abort(reason);
  for (const promise of aborted) {
    assertStrictEquals(await assertRejects(() => promise), reason);
  }
  // And those that come too late
  await assertRejects(() => cell.initAsync(never, { signal }), Error, "Enough");
  await assertRejects(() => cell.waitAsync({ signal }), Error, "Enough");
  await assertRejects(() => cell.resetAsync({ signal }), Error, "Enough");
  made.resolve(1);
  assertEquals(await initialized, 1);
  assertEquals(await Promise.all(live), [1, 1]);
  assertFree(cell);
});

Deno.test("MutexLazyInit does not call the initializer of a signal that is aborted before", async () => {
  const cell = new MutexLazyInit(int32);
  const signal = AbortSignal.abort(new Error("Enough"));
  for (const method of ASYNC_INITS) {
    await assertRejects(
      () => cell[method](() => 1, { signal }),
      Error,
      "Enough",
    );
  }
  assertEquals(cell.phase, "uninitialized");
  assertEquals(cell.init(() => 2), 2);
  assertEquals(await cell.getOrInitAsync(() => 1, { signal }), 2);
});

Deno.test("MutexLazyInit publishes what the initializer of an aborted owner makes", async () => {
  const cell = new MutexLazyInit(int32);
  const made = defer<number>();
  const reason = new Error("Enough");
  const controller = new AbortController();
  const owner = cell.getOrInitAsync(() => made.promise, {
    signal: controller.signal,
  });
  const waiter = cell.waitAsync();
  controller.abort(reason);
  assertStrictEquals(await assertRejects(() => owner), reason);
  assertEquals(cell.phase, "initializing");
  made.resolve(42);
  assertEquals(await waiter, 42);
});

Deno.test("MutexLazyInit keeps to itself what the initializer of an aborted owner throws", async () => {
  const cell = new MutexLazyInit(int32);
  const made = defer<number>();
  const controller = new AbortController();
  const owner = cell.getOrInitAsync(() => made.promise, {
    signal: controller.signal,
  });
  controller.abort();
  await assertRejects(() => owner, DOMException);
  made.reject(new Error("Nobody's"));
  await until(() => cell.phase === "uninitialized");
  assertEquals(cell.init(() => 1), 1);
});

Deno.test("MutexLazyInit.reset() empties the cell for every instance", () => {
  const cell = new MutexLazyInit(int32);
  const other = MutexLazyInit.from(cell.handle, int32);
  assertEquals(cell.reset(), false);
  cell.init(() => 42);
  assertEquals(other.value, 42);
  assertEquals(other.reset(), true);
  assertEquals(other.reset(), false);
  assertEquals(cell.get(), undefined);
  assertThrows(() => cell.value, NotInitializedError);
  assert(isSlotZeroed(cell));
  assertEquals(other.init(() => 43), 43);
  assertEquals(cell.value, 43);
});

Deno.test("MutexLazyInit.reset() leaves live views valid", () => {
  const cell = new MutexLazyInit(view);
  const value = cell.init((slot) => slot.fill(7));
  cell.reset();
  assertEquals(value.length, 16);
  assertEquals(value[0], 0);
});

Deno.test("MutexLazyInit.reset() and .resetAsync() wait for a running initializer", async () => {
  using agents = await Agents.start(2);
  for (const method of ["reset", "resetAsync"] as const) {
    const cell = new MutexLazyInit(pair);
    const initialized = await agents.initialize(0, cell, { value: pairOf(1) });
    const error = assertThrows(() => cell.reset({ timeout: 1 }), DOMException);
    assertEquals(error.name, "TimeoutError");
    const reset = agents.do(1, { kind: "reset", handle: cell.handle, method });
    await agents.asleep(1);
    assertEquals(cell.phase, "initializing");
    initialized.leave();
    assertEquals(await initialized.done, pairOf(1));
    assertEquals(await reset, true);
    assertEquals(cell.get(), undefined);
  }
});

Deno.test("MutexLazyInit shows itself in Deno and Node", () => {
  const cell = new MutexLazyInit(int32, { name: "answer" });
  for (const show of [Deno.inspect, inspect]) {
    assertEquals(show(cell), 'MutexLazyInit "answer" { <uninitialized> }');
  }
  cell.init(() => {
    assertEquals(
      Deno.inspect(cell),
      'MutexLazyInit "answer" { <initializing> }',
    );
    return 42;
  });
  for (const show of [Deno.inspect, inspect]) {
    assertEquals(show(cell), 'MutexLazyInit "answer" { 42 }');
  }
  assertEquals(
    Deno.inspect(new MutexLazyInit(int32)),
    "MutexLazyInit { <uninitialized> }",
  );
});

Deno.test("MutexLazyInit tells another task that runs in the middle of an initializer from that", async () => {
  const outer = new MutexLazyInit(int32);
  const cell = new MutexLazyInit(int32);
  const { promise, resolve } = defer<number>();
  let inOuter: ReturnType<typeof AsyncLocalStorage.snapshot> | undefined;
  const made = outer.initAsync(() => {
    inOuter = AsyncLocalStorage.snapshot();
    return promise;
  });
  let value: Promise<number> | undefined;
  // Deno runs other tasks there when it first loads a part of itself
  cell.init(() => {
    value = inOuter!(() => cell.waitAsync());
    return 42;
  });
  assertEquals(await value, 42);
  resolve(1);
  await made;
});

Deno.test("MutexLazyInit belongs to its agent while it is initializing, and to none before and after", async () => {
  const other = agentId() === 1 ? 2 : 1;
  const cell = new MutexLazyInit(int32);
  const isOwned = () => {
    assertEquals(cell.recover(other), false);
    assertThrows(() => cell.reset({ timeout: 0 }));
  };
  assertEquals(cell.recover(agentId()), false);
  cell.init(() => {
    isOwned();
    return 1;
  });
  assertEquals(cell.recover(agentId()), false);
  assertFree(cell);
  await cell.initAsync(async () => {
    await Promise.resolve();
    isOwned();
    return 1;
  });
  assertEquals(cell.recover(agentId()), false);
  assertFree(cell);
  await assertRejects(() => cell.initAsync(() => Promise.reject(new Error())));
  assertEquals(cell.recover(agentId()), false);
  assertFree(cell);
});

for (const method of ["getOrInit", "getOrInitAsync"] as const) {
  Deno.test(`MutexLazyInit.${method}() runs one initializer among racing agents`, async () => {
    using agents = await Agents.start(4);
    for (let round = 0; round < 25; round++) {
      const cell = new MutexLazyInit(pair);
      const start = new Flag();
      const calls = new SharedArrayBuffer(4);
      const raced = agents.all((index) => ({
        kind: "race",
        method,
        handle: cell.handle,
        value: pairOf(round * 4 + index),
        start: start.buffer,
        calls,
      }));
      start.raise();
      const results = await raced;
      assertEquals(new Int32Array(calls)[0], 1);
      assertEquals(results.filter(({ won }) => won).length, 1);
      for (const { value } of results) assertEquals(value, cell.value);
      assertFree(cell);
    }
  });
}

Deno.test("MutexLazyInit.getOrInit() gives all agents the same memory with a view codec", async () => {
  using agents = await Agents.start(4);
  const cell = new MutexLazyInit(view);
  const start = new Flag();
  const calls = new SharedArrayBuffer(4);
  const raced = agents.all((index) => ({
    kind: "raceForView",
    handle: cell.handle,
    index,
    start: start.buffer,
    calls,
  }));
  start.raise();
  assertEquals(await raced, [true, true, true, true]);
  assertEquals(new Int32Array(calls)[0], 1);
  assertEquals([...cell.value.subarray(0, 5)], [0, 1, 2, 3, -1]);
});

Deno.test("MutexLazyInit blocks racers until the winner is done and then releases all", async () => {
  using agents = await Agents.start(5);
  const cell = new MutexLazyInit(pair);
  const winner = await agents.initialize(0, cell, { value: pairOf(1) });
  let released = 0;
  const racers = [
    agents.do(1, {
      kind: "initialize",
      method: "getOrInit",
      handle: cell.handle,
      outcome: { value: pairOf(2) },
    }),
    agents.do(2, {
      kind: "initialize",
      method: "getOrInitAsync",
      handle: cell.handle,
      outcome: { value: pairOf(3) },
    }),
    agents.do(3, { kind: "wait", method: "wait", handle: cell.handle }),
    agents.do(4, { kind: "wait", method: "waitAsync", handle: cell.handle }),
    cell.waitAsync(),
    cell.getOrInitAsync(() => pairOf(4)),
  ];
  for (const racer of racers) racer.then(() => released++);
  await agents.asleep(1, 2, 3, 4);
  assertEquals(released, 0);
  assertEquals(cell.get(), undefined);
  assertThrows(
    () => cell.getOrInit(() => pairOf(5), { timeout: 1 }),
    DOMException,
    "1 ms have elapsed",
  );
  winner.leave();
  assertEquals(await winner.done, pairOf(1));
  for (const value of await Promise.all(racers)) {
    assertEquals(value, pairOf(1));
  }
});

Deno.test("MutexLazyInit hands over to a waiter when an initializer fails", async () => {
  using agents = await Agents.start(4);
  const cell = new MutexLazyInit(pair);
  const failing = await agents.initialize(
    0,
    cell,
    { error: "No network" },
    "init",
  );
  const waits = [
    agents.do(1, {
      kind: "initialize",
      method: "getOrInit",
      handle: cell.handle,
      outcome: { value: pairOf(2) },
    }),
    agents.do(2, {
      kind: "initialize",
      method: "getOrInitAsync",
      handle: cell.handle,
      outcome: { value: pairOf(3) },
    }),
    // Cannot take over, and so must not swallow what wakes those that can
    agents.do(3, { kind: "wait", method: "wait", handle: cell.handle }),
    cell.waitAsync(),
  ];
  await agents.asleep(1, 2, 3);
  failing.leave();
  await assertRejects(() => failing.done, Error, "No network");
  const [first, ...others] = await Promise.all(waits);
  assert(first.left === 2 || first.left === 3);
  for (const other of others) assertEquals(other, first);
});

Deno.test("MutexLazyInit hands over until an initializer succeeds", async () => {
  using agents = await Agents.start(4);
  for (let round = 0; round < 10; round++) {
    const cell = new MutexLazyInit(pair);
    const entered = new Flag();
    const leave = new Flag();
    const attempts = [0, 1, 2].map((index) =>
      agents.do(index, {
        kind: "initialize",
        method: "init",
        handle: cell.handle,
        outcome: { error: `Failure ${index}` },
        entered: entered.buffer,
        leave: leave.buffer,
      })
    );
    const succeeding = agents.do(3, {
      kind: "wait",
      method: "wait",
      handle: cell.handle,
    });
    await entered.raised();
    leave.raise();
    for (const [index, attempt] of attempts.entries()) {
      await assertRejects(() => attempt, Error, `Failure ${index}`);
    }
    assertEquals(cell.phase, "uninitialized");
    cell.init(() => pairOf(round));
    assertEquals(await succeeding, pairOf(round));
  }
});

Deno.test("MutexLazyInit serves waiters beside one that timed out or was aborted", async () => {
  using agents = await Agents.start(2);
  const cell = new MutexLazyInit(pair);
  const failing = await agents.initialize(
    0,
    cell,
    { error: "No network" },
    "init",
  );
  const controller = new AbortController();
  const aborted = cell.getOrInitAsync(() => pairOf(1), {
    signal: controller.signal,
  });
  for (const method of INITS) {
    const error = assertThrows(
      () => cell[method](() => pairOf(1), { timeout: 1 }),
      DOMException,
    );
    assertEquals(error.name, "TimeoutError");
  }
  const live = agents.do(1, {
    kind: "initialize",
    method: "getOrInit",
    handle: cell.handle,
    outcome: { value: pairOf(2) },
  });
  controller.abort();
  await assertRejects(() => aborted, DOMException);
  failing.leave();
  await assertRejects(() => failing.done, Error, "No network");
  assertEquals(await live, pairOf(2));
});

Deno.test("MutexLazyInit is not starved by an asynchronous waiter of a blocked agent", async () => {
  using agents = await Agents.start(1);
  const cell = new MutexLazyInit(pair);
  const failing = await agents.initialize(
    0,
    cell,
    { error: "No network" },
    "init",
  );
  const waiting = cell.getOrInitAsync(() => pairOf(1));
  failing.leave();
  // A single wake-up would go to `waiting`, which cannot run while this blocks
  assertEquals(cell.getOrInit(() => pairOf(2)), pairOf(2));
  assertEquals(await waiting, pairOf(2));
  await assertRejects(() => failing.done, Error, "No network");
});

Deno.test("MutexLazyInit.get() is never torn by concurrent resets", async () => {
  using agents = await Agents.start(2);
  const cell = new MutexLazyInit(pair);
  const stop = new Flag();
  const seen = new Int32Array(new SharedArrayBuffer(8));
  const read = agents.all((index) => ({
    kind: "read",
    handle: cell.handle,
    index,
    seen: seen.buffer,
    stop: stop.buffer,
  }));
  for (let round = 1; round <= 3_000; round++) {
    cell.init(() => pairOf(round));
    // Now a reader has the value in its cache, now it is in the middle of decoding
    const reader = round % 20;
    if (reader < seen.length) {
      while (Atomics.load(seen, reader) !== round);
    } else {
      for (let pause = 0; pause < round % 500; pause++) cell.get();
    }
    cell.reset();
  }
  stop.raise();
  assertEquals(await read, [{ torn: 0 }, { torn: 0 }]);
});

Deno.test("MutexLazyInit.get() reads again when a reset comes in the middle of decoding", () => {
  let interrupt = () => {};
  const codec: Codec<number[]> = {
    tag: "two halves",
    byteLength: 8,
    encode([left, right], { buffer, byteOffset }) {
      new Int32Array(buffer, byteOffset).set([left!, right!]);
    },
    decode({ buffer, byteOffset }) {
      const words = new Int32Array(buffer, byteOffset);
      const left = words[0]!;
      interrupt();
      const right = words[1]!;
      if (left !== right) throw new Error("Torn");
      return [left, right];
    },
  };
  const writer = new MutexLazyInit(codec);
  const once = (body: () => void) => () => {
    interrupt = () => {};
    body();
  };

  writer.init(() => [1, 1]);
  const reader = MutexLazyInit.from(writer.handle, codec);
  interrupt = once(() => {
    writer.reset();
    writer.init(() => [2, 2]);
  });
  assertEquals(reader.get(), [2, 2]);

  const late = MutexLazyInit.from(writer.handle, codec);
  interrupt = once(() => writer.reset());
  assertEquals(late.get(), undefined);
  assertThrows(() => late.value, NotInitializedError);
});

Deno.test("MutexLazyInit.get() passes on the error of a codec that cannot decode", () => {
  const cell = new MutexLazyInit(json(16));
  cell.init(() => 42);
  slotOf(cell).set(new TextEncoder().encode("{"));
  const other = MutexLazyInit.from(cell.handle, json(16));
  assertThrows(() => other.get(), SyntaxError);
});
