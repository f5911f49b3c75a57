// Copyright 2026 the lazyinit authors. MIT license.

import { assert, assertEquals, assertThrows } from "@std/assert";
import type { Mutex } from "../../mod.ts";
import { Flag } from "../_flag.ts";
import type { Case } from "./suite.ts";

const AGENTS = 3;
const ROUNDS = 500;

const METHODS = ["lock", "lockAsync", "lockIfAvailable"] as const;

async function count(
  mutex: Mutex,
  counter: Int32Array,
  method: typeof METHODS[number],
): Promise<void> {
  for (let round = 0; round < ROUNDS;) {
    const token = await mutex[method]();
    if (token === null) continue;
    counter[0]! += 1;
    assertEquals(token.unlock(), true);
    round++;
  }
}

export const cases: Case[] = [
  ...METHODS.map((
    method,
  ): Case => ({
    name: `Mutex.${method}() excludes other agents`,
    async main({ library: { Mutex }, spawn }) {
      const mutex = new Mutex();
      const counter = new Int32Array(new SharedArrayBuffer(4));
      const start = new Flag();
      const ports = spawn(AGENTS).map(({ port }) => port);
      for (const port of ports) {
        port.send({
          mutex: mutex.buffer,
          counter: counter.buffer,
          start: start.buffer,
        });
        assertEquals(await port.next(), "ready");
      }
      start.raise();
      // Without blocking, which a browser's main thread may not do
      await count(mutex, counter, "lockAsync");
      for (const port of ports) assertEquals(await port.next(), "done");
      assertEquals(counter[0], (AGENTS + 1) * ROUNDS);
    },
    async peer({ library: { Mutex }, port }) {
      const { mutex, counter, start } = await port.next();
      port.send("ready");
      new Flag(start).block();
      await count(new Mutex(mutex), new Int32Array(counter), method);
      port.send("done");
    },
  })),
  {
    name:
      "Mutex.lock() throws in the agent that holds it, and tokens are good for one unlock",
    async main({ library: { Mutex }, spawn }) {
      const mutex = new Mutex();
      const token = mutex.lock();
      assertThrows(() => mutex.lock(), TypeError, "holds it already");
      assertEquals(mutex.lockIfAvailable(), null);
      const { port } = spawn(1)[0]!;
      port.send(mutex.buffer);
      assertEquals(await port.next(), null);
      assert(token.unlock());
      port.send("unlocked");
      assertEquals(await port.next(), "locked");
      assertEquals(token.unlock(), false);
      assertEquals(mutex.lockIfAvailable(), null);
      port.send("unlock");
      assertEquals((await mutex.lockAsync()).locked, true);
    },
    async peer({ library: { Mutex }, port }) {
      const mutex = new Mutex(await port.next());
      port.send(mutex.lockIfAvailable());
      await port.next();
      const token = mutex.lock();
      port.send("locked");
      await port.next();
      token[Symbol.dispose]();
    },
  },
];
