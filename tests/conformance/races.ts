// Copyright 2026 the lazyinit authors. MIT license.

import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import type { LazyInitHandle, MutexLazyInit } from "../../mod.ts";
import { Flag } from "../_flag.ts";
import type { Sleepers } from "../_sleepers.ts";
import type { Backstage, Case, Library, Stage } from "./suite.ts";

const AGENTS = 4;

interface Outcome {
  readonly won: boolean;
  readonly value: number;
}

/** Has workers initialize a cell from the same moment on, at which `begin` is called. */
async function race(
  { spawn }: Stage,
  handle: unknown,
  begin = () => {},
): Promise<Outcome[]> {
  const start = new Flag();
  const ports = spawn(AGENTS).map(({ port }) => port);
  ports.forEach((port, index) =>
    port.send({ handle, value: index + 1, start: start.buffer })
  );
  await Promise.all(ports.map((port) => port.next()));
  start.raise();
  begin();
  return await Promise.all(ports.map((port) => port.next()));
}

async function join(
  { library, port, sleepers }: Backstage,
  initialize: (
    library: Library,
    // deno-lint-ignore no-explicit-any
    handle: any,
    value: number,
    sleepers: Sleepers,
  ) => Outcome | Promise<Outcome>,
): Promise<void> {
  const { handle, value, start } = await port.next();
  port.send("ready");
  new Flag(start).block();
  port.send(await initialize(library, handle, value, sleepers));
}

/** Initializes, and ends the initializer only when another agent waits. */
function getOrInit(
  cell: MutexLazyInit<number>,
  value: number,
  sleepers: Sleepers,
): Outcome {
  let won = false;
  const result = cell.getOrInit(() => {
    won = true;
    sleepers.spin();
    return value;
  });
  return { won, value: result };
}

async function getOrInitAsync(
  cell: MutexLazyInit<number>,
  value: number,
): Promise<Outcome> {
  let won = false;
  const result = await cell.getOrInitAsync(async () => {
    won = true;
    await Promise.resolve();
    return value;
  });
  return { won, value: result };
}

function assertOneWon(outcomes: Outcome[], value: unknown): void {
  assertEquals(outcomes.filter(({ won }) => won).length, 1);
  for (const outcome of outcomes) assertEquals(outcome.value, value);
}

async function raceFor(
  stage: Stage,
  cell: { readonly handle: LazyInitHandle; readonly value: number },
): Promise<void> {
  assertOneWon(await race(stage, cell.handle), cell.value);
}

export const cases: Case[] = [
  {
    name:
      "LazyInit.initOnce() lets one of four agents win and tells the others",
    async main(stage) {
      const { LazyInit, int32 } = stage.library;
      await raceFor(stage, new LazyInit(int32));
    },
    async peer(backstage) {
      await join(backstage, (library, handle, value) => {
        const cell = library.LazyInit.from(handle, library.int32);
        try {
          return { won: true, value: cell.initOnce(value) };
        } catch (error) {
          if (!(error instanceof library.AlreadyInitializedError)) throw error;
          return { won: false, value: cell.wait() };
        }
      });
    },
  },
  {
    name: "LazyInit.callOnce() runs one initializer of four agents",
    async main(stage) {
      const { LazyInit, int32 } = stage.library;
      await raceFor(stage, new LazyInit(int32));
    },
    async peer(backstage) {
      await join(backstage, (library, handle, value) => {
        const cell = library.LazyInit.from(handle, library.int32);
        const won = cell.callOnce(() => value) !== undefined;
        return { won, value: cell.wait() };
      });
    },
  },
  {
    name:
      "MutexLazyInit.getOrInit() runs one initializer while the others block",
    async main(stage) {
      const { MutexLazyInit, int32 } = stage.library;
      await raceFor(stage, new MutexLazyInit(int32));
    },
    async peer(backstage) {
      await join(backstage, (library, handle, value, sleepers) => {
        const cell = library.MutexLazyInit.from(handle, library.int32);
        return getOrInit(cell, value, sleepers);
      });
    },
  },
  {
    name:
      "MutexLazyInit.getOrInitAsync() runs one initializer, the main thread among the callers",
    async main(stage) {
      const { MutexLazyInit, int32 } = stage.library;
      const cell = new MutexLazyInit(int32);
      let mine: Promise<Outcome> | undefined;
      const theirs = await race(stage, cell.handle, () => {
        mine = getOrInitAsync(cell, 7);
      });
      assertOneWon([...theirs, await mine!], cell.value);
    },
    async peer(backstage) {
      await join(backstage, async (library, handle, value) => {
        const cell = library.MutexLazyInit.from(handle, library.int32);
        return await getOrInitAsync(cell, value);
      });
    },
  },
  {
    name:
      "LazyInit.callOnce() leaves a zeroed cell to others if the initializer fails",
    async main({ library: { LazyInit, typedArray }, spawn }) {
      const cell = new LazyInit(typedArray(Int32Array, 2));
      assertThrows(
        () =>
          cell.callOnce((slot) => {
            slot.fill(7);
            throw new Error("On purpose");
          }),
        Error,
        "On purpose",
      );
      const { port } = spawn(1)[0]!;
      port.send(cell.handle);
      assertEquals(await port.next(), [0, 0]);
      assertEquals([...await cell.waitAsync()], [0, 1]);
    },
    async peer({ library: { LazyInit, typedArray }, port }) {
      const codec = typedArray(Int32Array, 2);
      LazyInit.from(await port.next(), codec).callOnce((slot) => {
        port.send([...slot]);
        slot[1] = 1;
      });
    },
  },
  {
    name:
      "MutexLazyInit.getOrInit() hands over to a waiter if the initializer fails",
    async main({ library: { MutexLazyInit, int32 }, spawn }) {
      const cell = new MutexLazyInit(int32);
      const [first, second] = spawn(2);
      first!.port.send({ handle: cell.handle, fails: true });
      assertEquals(await first!.port.next(), "initializing");
      second!.port.send({ handle: cell.handle, fails: false });
      await assertRejects(() => first!.port.next(), Error, "On purpose");
      assertEquals(await second!.port.next(), "initializing");
      assertEquals(await second!.port.next(), 2);
      assertEquals(cell.get(), 2);
    },
    async peer({ library: { MutexLazyInit, int32 }, port, sleepers }) {
      const { handle, fails } = await port.next();
      const value = MutexLazyInit.from(handle, int32).getOrInit(() => {
        port.send("initializing");
        if (!fails) return 2;
        sleepers.spin();
        throw new Error("On purpose");
      });
      port.send(value);
    },
  },
  {
    name:
      "MutexLazyInit.getOrInitAsync() hands over to the main thread if the initializer fails",
    async main({ library: { MutexLazyInit, int32 }, spawn }) {
      const cell = new MutexLazyInit(int32);
      const [peer] = spawn(1);
      const called = new Flag();
      peer!.port.send({ handle: cell.handle, called: called.buffer });
      assertEquals(await peer!.port.next(), "initializing");
      const value = cell.getOrInitAsync(() => 2);
      called.raise();
      await assertRejects(() => peer!.port.next(), Error, "On purpose");
      assertEquals(await value, 2);
    },
    async peer({ library: { MutexLazyInit, int32 }, port }) {
      const { handle, called } = await port.next();
      await MutexLazyInit.from(handle, int32).getOrInitAsync(async () => {
        port.send("initializing");
        new Flag(called).block();
        await Promise.reject(new Error("On purpose"));
        return 1;
      });
    },
  },
  {
    name: "MutexLazyInit.init() tells latecomers, with the value",
    async main({ library: { MutexLazyInit, int32 }, spawn }) {
      const cell = new MutexLazyInit(int32);
      cell.init(() => 1);
      const [peer] = spawn(1);
      peer!.port.send(cell.handle);
      assertEquals(await peer!.port.next(), { value: 1 });
      assertEquals(await peer!.port.next(), {
        ok: false,
        reason: "already-init",
        value: 1,
      });
    },
    async peer({ library, port }) {
      const { AlreadyInitializedError, MutexLazyInit, int32 } = library;
      const cell = MutexLazyInit.from(await port.next(), int32);
      try {
        cell.init(() => 2);
      } catch (error) {
        if (!(error instanceof AlreadyInitializedError)) throw error;
        port.send({ value: error.value });
      }
      port.send(await cell.tryInitAsync(() => 2));
    },
  },
  {
    name:
      "MutexLazyInit places one cell in a WebAssembly.Memory that all agents have",
    async main(stage) {
      const { MutexLazyInit, int32 } = stage.library;
      const memory = new WebAssembly.Memory({
        initial: 1,
        maximum: 1,
        shared: true,
      });
      const outcomes = await race(stage, memory);
      const cell = new MutexLazyInit(int32, {
        buffer: memory.buffer as unknown as SharedArrayBuffer,
        byteOffset: 1024,
      });
      assertOneWon(outcomes, cell.value);
    },
    async peer(backstage) {
      await join(backstage, (library, memory, value, sleepers) => {
        const cell = new library.MutexLazyInit(library.int32, {
          buffer: memory.buffer,
          byteOffset: 1024,
        });
        return getOrInit(cell, value, sleepers);
      });
    },
  },
];
