// Copyright 2026 the lazyinit authors. MIT license.

/*
 * What cells do while their store says nothing, or nonsense, and how long they take: on a
 * clock whose time passes only when nothing else is left to do.
 */

import {
  assert,
  assertEquals,
  assertRejects,
  assertStrictEquals,
} from "@std/assert";
import { decodeRecord } from "../cluster/_entry.ts";
import { PermanentStoreError } from "../cluster/mod.ts";
import { int32 } from "../codec.ts";
import { OwnerLostError, RecursiveInitializationError } from "../errors.ts";
import { MemoryStore } from "./cluster/memory_store.ts";
import { VirtualClock } from "./cluster/virtual_clock.ts";

const LEASE = 1_000;

/** A store that gives no answer, with how it does so. */
const OUTAGES: readonly (readonly [string, () => unknown])[] = [
  ["refuses connections", () => {
    throw new Error("No connection");
  }],
  ["never answers", () => new Promise(() => {})],
];

/** A store of which only requests count. */
function deafStore(): MemoryStore {
  const store = new MemoryStore();
  store.deaf = true;
  return store;
}

for (const [how, outage] of OUTAGES) {
  Deno.test(`ClusterLazyInit: all calls of a process reject within six leases where the store ${how}`, async () => {
    const clock = new VirtualClock();
    const store = deafStore();
    await using cell = clock.cell(store, "key", int32);
    await clock.settle(cell.refresh());
    store.answer = outage;
    const calls = Array.from({ length: 50 }, () => cell.getOrInit(() => 1));
    const others = [
      cell.wait(),
      cell.refresh(),
      cell.reset(),
      cell.init(() => 1),
    ];
    const settled = Promise.allSettled([...calls, ...others]);
    await clock.pass(6 * LEASE);
    // All but those that have not settled
    const pending = Symbol("pending");
    assert(await Promise.race([settled, pending]) !== pending);
    for (const { status } of await settled) assertEquals(status, "rejected");
  });

  Deno.test(`ClusterLazyInit: a call is not blamed for an earlier silence where the store ${how}`, async () => {
    const clock = new VirtualClock();
    const store = deafStore();
    await using cell = clock.cell(store, "key", int32);
    store.answer = outage;
    await assertRejects(() => clock.settle(cell.refresh()));
    await clock.pass(100 * LEASE);
    const value = cell.getOrInit(() => 1);
    await clock.pass(LEASE / 2);
    store.answer = undefined;
    assertEquals(await clock.settle(value), 1);
  });

  Deno.test(`ClusterLazyInit: a value is published after an outage in which the store ${how}`, async () => {
    const clock = new VirtualClock();
    const store = deafStore();
    await using cell = clock.cell(store, "key", int32);
    const value = Promise.withResolvers<number>();
    const call = cell.getOrInit(() => value.promise);
    await clock.drain();
    store.answer = outage;
    await clock.pass(20 * LEASE);
    value.resolve(1);
    await clock.pass(20 * LEASE);
    store.answer = undefined;
    assertEquals(await clock.settle(call), 1);
    assertEquals(store.entries.size, 1);
  });

  Deno.test(`ClusterLazyInit: an initializer's error is told where the store ${how}`, async () => {
    const clock = new VirtualClock();
    const store = deafStore();
    await using cell = clock.cell(store, "key", int32);
    const value = Promise.withResolvers<number>();
    const call = cell.getOrInit(() => value.promise);
    await clock.drain();
    store.answer = outage;
    await clock.pass(10 * LEASE);
    const error = new Error("No value");
    value.reject(error);
    assertStrictEquals(await clock.settle(call).catch((error) => error), error);
  });

  Deno.test(`ClusterLazyInit: a run that cannot beat asks now and again, and beats within a lease of the outage's end, where the store ${how}`, async () => {
    const clock = new VirtualClock();
    const store = deafStore();
    await using cell = clock.cell(store, "key", int32);
    cell.getOrInit(() => new Promise(() => {})).catch(() => {});
    await clock.drain();
    const { version } = store.entries.get("key")!;
    store.answer = outage;
    const before = store.gets + store.sets;
    await clock.pass(100 * LEASE);
    const requests = store.gets + store.sets - before;
    assert(requests < 2_000, `${requests} requests`);
    store.answer = undefined;
    await clock.pass(1.2 * LEASE);
    assert(store.entries.get("key")!.version > version);
  });

  Deno.test(`ClusterLazyInit: a disposed cell leaves no timer where the store ${how}`, async () => {
    const clock = new VirtualClock();
    const store = deafStore();
    const cell = clock.cell(store, "key", int32);
    store.answer = outage;
    const calls = Promise.allSettled([cell.wait(), cell.getOrInit(() => 1)]);
    await clock.pass(LEASE);
    await clock.settle(cell[Symbol.asyncDispose]());
    await calls;
    assertEquals(clock.timers.size, 0);
  });
}

Deno.test("ClusterLazyInit: the next call of a process takes the turn of one that has left", async () => {
  const clock = new VirtualClock();
  const stopped = new VirtualClock();
  const store = deafStore();
  const owner = stopped.cell(store, "key", int32);
  owner.getOrInit(() => new Promise(() => {})).catch(() => {});
  await stopped.drain();
  await using cell = clock.cell(store, "key", int32);
  const controller = new AbortController();
  const first = cell.getOrInit(() => 1, controller);
  const second = cell.getOrInit(() => 2);
  await clock.pass(LEASE / 10);
  controller.abort(new Error("Enough"));
  await assertRejects(() => first, Error, "Enough");
  assertEquals(await clock.settle(second), 2);
  // As soon as the lease is over, and not when it looks next
  assert(clock.now() < 1.2 * LEASE, `${clock.now()} ms`);
  await owner[Symbol.asyncDispose]();
});

Deno.test("ClusterLazyInit: a call that has ended leaves no listener on its signal", async () => {
  const clock = new VirtualClock();
  const cell = clock.cell(deafStore(), "key", int32);
  const { signal } = new AbortController();
  let listeners = 0;
  const { addEventListener, removeEventListener } = signal;
  signal.addEventListener = function (...args: unknown[]) {
    listeners++;
    addEventListener.apply(this, args as never);
  };
  signal.removeEventListener = function (...args: unknown[]) {
    listeners--;
    removeEventListener.apply(this, args as never);
  };
  const calls = [
    cell.wait({ signal }),
    cell.getOrInit(() => new Promise(() => {}), { signal }),
    cell.getOrInit(() => 1, { signal }),
  ];
  const settled = Promise.allSettled(calls);
  await clock.drain();
  assert(listeners > 0);
  await clock.settle(cell[Symbol.asyncDispose]());
  await settled;
  assertEquals(listeners, 0);
});

for (const held of ["first write", "beat"] as const) {
  Deno.test(`ClusterLazyInit: disposal gives the cell up while the ${held} is under way`, async () => {
    const clock = new VirtualClock();
    const store = deafStore();
    const cell = clock.cell(store, "key", int32);
    await clock.settle(cell.refresh());
    const call = held === "beat" &&
      cell.getOrInit(() => new Promise(() => {}));
    await clock.drain();
    const { set } = store;
    const gate = Promise.withResolvers<void>();
    const sent = Promise.withResolvers<void>();
    // What is written, but not confirmed yet
    store.set = async (...args) => {
      store.set = set;
      const version = await set.apply(store, args);
      sent.resolve();
      await gate.promise;
      return version;
    };
    const calls = Promise.allSettled([call || cell.getOrInit(() => 1)]);
    await clock.settle(sent.promise);
    const disposal = cell[Symbol.asyncDispose]();
    gate.resolve();
    await clock.settle(disposal);
    await calls;
    const { phase } = decodeRecord(store.entries.get("key")!.value);
    assertEquals(phase, "uninitialized");
  });
}

Deno.test("ClusterLazyInit: a store that refuses what it should replace is not asked for ever", async () => {
  const clock = new VirtualClock();
  const store = deafStore();
  store.set = () => Promise.resolve(null);
  await using cell = clock.cell(store, "key", int32);
  await assertRejects(
    () => clock.settle(cell.getOrInit(() => 1)),
    PermanentStoreError,
    "Cannot use the answer of the store as 'set' must replace the entry of version 0n: it has refused, and 'get' still tells of that version",
  );
});

Deno.test("ClusterLazyInit: a store whose versions do not grow is refused", async () => {
  const clock = new VirtualClock();
  const store = deafStore();
  await using cell = clock.cell(store, "key", int32);
  await clock.settle(cell.getOrInit(() => 1));
  const { version } = store.entries.get("key")!;
  store.set = () => Promise.resolve(version);
  await assertRejects(
    () => clock.settle(cell.reset()),
    PermanentStoreError,
    `'version' must be a bigint above 0 that never decreases: current value is ${version}n after ${
      version + 1n
    }n`,
  );
});

Deno.test("ClusterLazyInit: an initializer cannot wait for its key by another object", async () => {
  const clock = new VirtualClock();
  const store = new MemoryStore();
  await using cell = clock.cell(store, "key", int32);
  await using other = clock.cell(store, "key", int32);
  for (
    const call of [
      () => other.getOrInit(() => 1),
      () => other.wait(),
      () => other.reset().then(Number),
    ]
  ) {
    await assertRejects(
      () => clock.settle(cell.getOrInit(call)),
      RecursiveInitializationError,
    );
  }
});

Deno.test("ClusterLazyInit: a watch that ends as soon as it has begun is begun again ever later", async () => {
  const clock = new VirtualClock();
  const store = new MemoryStore();
  let watches = 0;
  store.watch = async function* (key) {
    watches++;
    yield store.entries.get(key) ?? null;
  };
  await using cell = clock.cell(store, "key", int32);
  await clock.settle(cell.refresh());
  await clock.pass(100 * LEASE);
  assert(watches < 2_000, `${watches} watches`);
});

Deno.test("ClusterLazyInit: an aborted signal without methods of this realm is respected", async () => {
  const clock = new VirtualClock();
  await using cell = clock.cell(new MemoryStore(), "key", int32);
  const reason = new Error("Enough");
  const signal = {
    aborted: true,
    reason,
    addEventListener() {},
    removeEventListener() {},
  } as unknown as AbortSignal;
  assertStrictEquals(
    await cell.getOrInit(() => 1, { signal }).catch((error) => error),
    reason,
  );
});

Deno.test("ClusterLazyInit: an initializer that ends after its run was lost changes nothing", async () => {
  for (const ending of ["resolve", "reject"] as const) {
    const clock = new VirtualClock();
    const store = new MemoryStore();
    await using here = clock.cell(store, "key", int32);
    await using there = clock.cell(store, "key", int32);
    const value = Promise.withResolvers<number>();
    const context = Promise.withResolvers<AbortSignal>();
    const call = here.init(({ signal }) => {
      context.resolve(signal);
      return value.promise;
    });
    const lost = assertRejects(() => call, OwnerLostError);
    const signal = await clock.settle(context.promise);
    // As a paused process does not
    const { set } = store;
    store.set = (key, bytes, expected) =>
      decodeRecord(bytes).owner ===
          decodeRecord(store.entries.get(key)!.value).owner
        ? new Promise(() => {})
        : set.call(store, key, bytes, expected);
    const successor = there.getOrInit(() => {
      store.set = set;
      return 2;
    });
    assertEquals(await clock.settle(successor), 2);
    await clock.settle(lost);
    assert(signal.aborted && signal.reason instanceof OwnerLostError);
    value[ending](1 as never);
    await clock.drain();
    assertEquals([here.get(), there.get()], [2, 2]);
  }
});
