// Copyright 2026 the lazyinit authors. MIT license.

import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { Flag, until } from "../_flag.ts";
import { withoutWaitAsync } from "../_platform.ts";
import type { Case } from "./suite.ts";

export const cases: Case[] = [
  {
    name:
      "LazyInit.initOnce() wakes all that wait, synchronously and asynchronously",
    async main({ library: { LazyInit, int32 }, sleepers, spawn }) {
      const cell = new LazyInit(int32);
      const ports = spawn(4).map(({ port }) => port);
      ports.forEach((port, index) =>
        port.send({
          handle: cell.handle,
          method: index % 2 ? "wait" : "waitAsync",
        })
      );
      await Promise.all(ports.map((port) => port.next()));
      await until(() => sleepers.count > 0);
      const mine = cell.waitAsync();
      cell.initOnce(5);
      assertEquals(await mine, 5);
      assertEquals(
        await Promise.all(ports.map((port) => port.next())),
        [5, 5, 5, 5],
      );
    },
    async peer({ library: { LazyInit, int32 }, port }) {
      const { handle, method } = await port.next();
      const cell = LazyInit.from(handle, int32);
      port.send("ready");
      port.send(await cell[method as "wait" | "waitAsync"]());
    },
  },
  {
    name:
      "MutexLazyInit.getOrInit() blocks where it may, and else says what to use",
    async main({ library, spawn }) {
      const { MutexLazyInit, canBlock, int32 } = library;
      const cell = new MutexLazyInit(int32);
      const [peer] = spawn(1);
      const polls = new Flag();
      peer!.port.send({
        handle: cell.handle,
        // Not every browser has an asynchronous sleep
        ...canBlock() ? {} : { polls: polls.buffer },
      });
      assertEquals(await peer!.port.next(), "initializing");
      if (canBlock()) {
        assertEquals(cell.getOrInit(() => 2), 1);
      } else {
        const calls: [string, () => unknown][] = [
          ["getOrInitAsync", () => cell.getOrInit(() => 2)],
          ["initAsync", () => cell.init(() => 2)],
          ["tryInitAsync", () => cell.tryInit(() => 2)],
          ["resetAsync", () => cell.reset()],
          ["waitAsync", () => cell.wait()],
        ];
        for (const [alternative, call] of calls) {
          assertThrows(
            call,
            TypeError,
            `Cannot block in this agent: use ${alternative}() instead`,
          );
        }
        const value = cell.getOrInitAsync(() => 2);
        polls.raise();
        assertEquals(await value, 1);
      }
      assertEquals(await peer!.port.next(), true);
    },
    async peer(
      { library: { MutexLazyInit, canBlock, int32 }, port, sleepers },
    ) {
      const { handle, polls } = await port.next();
      MutexLazyInit.from(handle, int32).getOrInit(() => {
        port.send("initializing");
        if (polls === undefined) sleepers.spin();
        else new Flag(polls).block();
        return 1;
      });
      port.send(canBlock());
    },
  },
  {
    name: "synchronous calls that need not wait work on the main thread",
    // deno-lint-ignore require-await
    async main({ library: { LazyInit, Mutex, MutexLazyInit, int32 } }) {
      const once = new LazyInit(int32);
      assertEquals(once.initOnce(1), 1);
      assertEquals([once.get(), once.value, once.wait()], [1, 1, 1]);
      const cell = new MutexLazyInit(int32);
      assertThrows(
        () =>
          cell.init(() => {
            throw new Error("On purpose");
          }),
        Error,
        "On purpose",
      );
      assertEquals(cell.tryInit(() => 2), { ok: true, value: 2 });
      assertEquals(cell.getOrInit(() => 3), 2);
      assertEquals([cell.get(), cell.value, cell.wait()], [2, 2, 2]);
      assertEquals(cell.reset(), true);
      assertEquals(cell.phase, "uninitialized");
      const mutex = new Mutex();
      assertEquals(mutex.lock().unlock(), true);
      assertEquals(mutex.lockIfAvailable()!.unlock(), true);
    },
  },
  {
    name: "MutexLazyInit.wait() throws a TimeoutError in a worker",
    async main({ library: { MutexLazyInit, int32 }, spawn }) {
      const [peer] = spawn(1);
      peer!.port.send(new MutexLazyInit(int32).handle);
      assertEquals(await peer!.port.next(), "TimeoutError");
    },
    async peer({ library: { MutexLazyInit, int32 }, port }) {
      const cell = MutexLazyInit.from(await port.next(), int32);
      try {
        cell.wait({ timeout: 1 });
      } catch (error) {
        if (!(error instanceof DOMException)) throw error;
        port.send(error.name);
      }
    },
  },
  {
    name:
      "MutexLazyInit.waitAsync() rejects with the reason, and the others are woken",
    async main({ library: { MutexLazyInit, int32 }, spawn }) {
      const cell = new MutexLazyInit(int32);
      const controller = new AbortController();
      const aborted = cell.waitAsync({ signal: controller.signal });
      const others = [cell.waitAsync(), cell.getOrInitAsync(() => 1)];
      controller.abort(new Error("Changed my mind"));
      await assertRejects(() => aborted, Error, "Changed my mind");
      assertEquals(await Promise.all(others), [1, 1]);
      cell.reset();
      const waits = [cell.waitAsync(), cell.waitAsync()];
      const [peer] = spawn(1);
      peer!.port.send(cell.handle);
      assertEquals(await Promise.all(waits), [3, 3]);
    },
    async peer({ library: { MutexLazyInit, int32 }, port }) {
      MutexLazyInit.from(await port.next(), int32).init(() => 3);
    },
  },
  {
    name: "MutexLazyInit.waitAsync() polls where Atomics.waitAsync is missing",
    async main({ library: { MutexLazyInit, int32 }, spawn }) {
      const cell = new MutexLazyInit(int32);
      const [peer] = spawn(1);
      await withoutWaitAsync(async () => {
        const value = cell.waitAsync();
        peer!.port.send(cell.handle);
        assertEquals(await value, 4);
      });
    },
    async peer({ library: { MutexLazyInit, int32 }, port }) {
      const cell = MutexLazyInit.from(await port.next(), int32);
      await cell.initAsync(() => 4);
    },
  },
];
