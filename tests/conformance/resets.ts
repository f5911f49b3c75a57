// Copyright 2026 the lazyinit authors. MIT license.

import { assertEquals } from "@std/assert";
import { Flag } from "../_flag.ts";
import type { Case, Library } from "./suite.ts";

/** How often a value is made and reset while others read it. */
const ROUNDS = 300;

type Pair = { left: number; right: number; padding: string };

/** Two parts that must agree, far enough from each other that a torn read shows. */
function pairCodec({ json }: Library) {
  return json<Pair>(4096);
}

export const cases: Case[] = [
  {
    name: "MutexLazyInit.reset() makes what every agent has cached invalid",
    async main({ library: { MutexLazyInit, typedArray }, spawn }) {
      const cell = new MutexLazyInit(typedArray(Int32Array, 1));
      const value = cell.init((slot) => slot.fill(1));
      const { port } = spawn(1)[0]!;
      port.send(cell.handle);
      assertEquals(await port.next(), 1);
      assertEquals(cell.reset(), true);
      // Views stay, over memory that is zeroed
      assertEquals(value[0], 0);
      port.send("again");
      assertEquals(await port.next(), undefined);
      cell.init((slot) => slot.fill(2));
      port.send("again");
      assertEquals(await port.next(), 2);
      // And the other way round
      port.send("reset");
      assertEquals(await port.next(), true);
      assertEquals(cell.get(), undefined);
    },
    async peer({ library: { MutexLazyInit, typedArray }, port }) {
      const codec = typedArray(Int32Array, 1);
      const cell = MutexLazyInit.from(await port.next(), codec);
      for (;;) {
        port.send(cell.get()?.[0]);
        if (await port.next() === "reset") break;
      }
      port.send(cell.reset());
    },
  },
  {
    name: "MutexLazyInit.resetAsync() waits for a running initializer",
    async main({ library: { MutexLazyInit, int32 }, spawn }) {
      const cell = new MutexLazyInit(int32);
      const { port } = spawn(1)[0]!;
      const called = new Flag();
      port.send({ handle: cell.handle, called: called.buffer });
      assertEquals(await port.next(), "initializing");
      const reset = cell.resetAsync();
      called.raise();
      assertEquals(await reset, true);
      assertEquals(await port.next(), 1);
      assertEquals(cell.phase, "uninitialized");
    },
    async peer({ library: { MutexLazyInit, int32 }, port }) {
      const { handle, called } = await port.next();
      const value = MutexLazyInit.from(handle, int32).getOrInit(() => {
        port.send("initializing");
        new Flag(called).block();
        return 1;
      });
      port.send(value);
    },
  },
  {
    name: "MutexLazyInit.get() returns nothing torn while others reset",
    async main({ library, spawn }) {
      const cell = new library.MutexLazyInit(pairCodec(library));
      const [stop, readers] = [
        new Flag(),
        new Int32Array(new SharedArrayBuffer(4)),
      ];
      const ports = spawn(2).map(({ port }) => port);
      for (const port of ports) {
        port.send({ handle: cell.handle, stop: stop.buffer, readers });
        assertEquals(await port.next(), "reading");
      }
      const haveAllRead = () => Atomics.load(readers, 0) === ports.length;
      for (let round = 1; round <= ROUNDS || !haveAllRead(); round++) {
        const padding = "x".repeat(round % 7 * 300);
        await cell.initAsync(() => ({ left: round, padding, right: round }));
        await cell.resetAsync();
      }
      stop.raise();
      for (const port of ports) assertEquals(await port.next(), 0);
    },
    async peer({ library, port }) {
      const { handle, stop, readers } = await port.next();
      const cell = library.MutexLazyInit.from(handle, pairCodec(library));
      const stopped = new Int32Array(stop);
      port.send("reading");
      let [read, torn] = [0, 0];
      while (Atomics.load(stopped, 0) === 0) {
        const value = cell.get();
        if (value === undefined) continue;
        if (++read === 1) Atomics.add(readers, 0, 1);
        if (value.left !== value.right) torn++;
      }
      port.send(torn);
    },
  },
];
