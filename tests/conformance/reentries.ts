// Copyright 2026 the lazyinit authors. MIT license.

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { Flag } from "../_flag.ts";
import type { Case } from "./suite.ts";

export const cases: Case[] = [
  {
    name:
      "MutexLazyInit.getOrInit() throws if an initializer initializes, awaits or resets its own cell",
    async main({ library: { MutexLazyInit, int32 }, spawn }) {
      const { port } = spawn(1)[0]!;
      port.send(new MutexLazyInit(int32).handle);
      const error = "RecursiveInitializationError";
      assertEquals(await port.next(), [error, error, error]);
    },
    async peer({ library: { MutexLazyInit, int32 }, port }) {
      const cell = MutexLazyInit.from(await port.next(), int32);
      const calls = [
        () => cell.getOrInit(() => 1),
        () => cell.wait(),
        () => cell.reset(),
      ];
      port.send(calls.map((call) => {
        const result = cell.tryInit(() => (call(), 1));
        return result.ok || result.reason === "already-init" ||
          (result.error as Error).name;
      }));
    },
  },
  {
    name:
      "MutexLazyInit.getOrInit() throws rather than block for its own agent's asynchronous initializer",
    async main({ library, spawn }) {
      const { MutexLazyInit, RecursiveInitializationError, int32 } = library;
      const cell = new MutexLazyInit(int32);
      const leave = new Flag();
      const mine = cell.initAsync(async () => {
        await leave.raised();
        return 1;
      });
      assertThrows(() => cell.getOrInit(() => 2), RecursiveInitializationError);
      leave.raise();
      assertEquals(await mine, 1);
      const { port } = spawn(1)[0]!;
      port.send(cell.handle);
      assertEquals(await port.next(), 1);
    },
    async peer({ library: { MutexLazyInit, int32 }, port }) {
      port.send(MutexLazyInit.from(await port.next(), int32).wait());
    },
  },
  {
    name:
      "MutexLazyInit.getOrInitAsync() knows its own initializer as long as the runtime tells",
    async main({ library, hasAsyncContext }) {
      const { MutexLazyInit, RecursiveInitializationError, int32 } = library;
      const cell = new MutexLazyInit(int32);
      await assertRejects(
        () => cell.initAsync(() => cell.getOrInitAsync(() => 2)),
        RecursiveInitializationError,
      );
      const controller = new AbortController();
      const late = cell.initAsync(async () => {
        await Promise.resolve();
        const inner = cell.getOrInitAsync(() => 2, controller);
        controller.abort(new Error("It waits for itself"));
        return await inner;
      });
      await (hasAsyncContext
        ? assertRejects(() => late, RecursiveInitializationError)
        : assertRejects(() => late, Error, "It waits for itself"));
      assertEquals(cell.phase, "uninitialized");
    },
  },
  {
    name: "MutexLazyInit.getOrInit() breaks a cycle of two agents",
    async main({ library: { MutexLazyInit, int32 }, spawn }) {
      const cells = [new MutexLazyInit(int32), new MutexLazyInit(int32)];
      const [left, right] = cells.map(({ handle }) => handle);
      const flags = [new Flag(), new Flag()].map(({ buffer }) => buffer);
      const ports = spawn(2).map(({ port }) => port);
      ports[0]!.send({ mine: left, other: right, flags });
      ports[1]!.send({ mine: right, other: left, flags: flags.toReversed() });
      const outcomes = await Promise.all(ports.map((port) => port.next()));
      const errors = outcomes.filter((it) => it === "DeadlockError").length;
      assert(errors >= 1);
      for (const cell of cells) assertEquals(cell.initialized, true);
    },
    async peer({ library: { DeadlockError, MutexLazyInit, int32 }, port }) {
      const { mine, other, flags: [entered, otherEntered] } = await port.next();
      let outcome = "no error";
      MutexLazyInit.from(mine, int32).getOrInit(() => {
        new Flag(entered).raise();
        new Flag(otherEntered).block();
        try {
          return 1 + MutexLazyInit.from(other, int32).getOrInit(() => 1);
        } catch (error) {
          if (!(error instanceof DeadlockError)) throw error;
          outcome = error.name;
          return 1;
        }
      });
      port.send(outcome);
    },
  },
];
