// Copyright 2026 the lazyinit authors. MIT license.

import { assert, assertEquals } from "@std/assert";
import { until } from "../_flag.ts";
import type { LazyInitHandle } from "../../mod.ts";
import type { Case, Library } from "./suite.ts";

/** More than one slice of a reset. */
const LARGE = 10 * 2 ** 20;

/** A value of a large cell: all bytes are the same, in as many as it says. */
function isWhole(view: Readonly<Uint8Array>): boolean {
  const [first] = view;
  return first !== undefined && view.every((byte) => byte === first);
}

/** Open codecs of all kinds, with a value for each. */
function samples({ bool, json, string, struct, typedArray }: Library) {
  const index = struct({
    on: bool,
    names: string(),
    at: typedArray(Uint16Array),
  });
  return [
    { codec: string(), value: "Nairobi 🦒".repeat(50_000) },
    { codec: json<unknown>(), value: { list: Array(10_000).fill({ a: 1 }) } },
    {
      codec: index,
      value: { on: true, names: "a,b", at: Uint16Array.of(1, 2, 3) },
    },
    {
      codec: typedArray(Float64Array),
      value: new Float64Array(20_000).fill(0.1),
    },
    {
      codec: typedArray(Uint8Array, { maxLength: 3 }),
      value: Uint8Array.of(1),
    },
  ];
}

export const cases: Case[] = [
  {
    name:
      "MutexLazyInit.get() returns open values of any size that another agent has made",
    async main({ library, spawn }) {
      const cells = samples(library).map(({ codec }) =>
        new library.MutexLazyInit<unknown>(codec as never)
      );
      const [peer] = spawn(1);
      // Read once before, so that this agent has seen the memory before it grows
      for (const cell of cells) assertEquals(cell.get(), undefined);
      peer!.port.send(cells.map(({ handle }) => handle));
      assertEquals(await peer!.port.next(), "made");
      samples(library).forEach(({ value }, index) =>
        assertEquals(cells[index]!.get(), value)
      );
    },
    async peer({ library, port }) {
      const handles = await port.next();
      samples(library).forEach(({ codec, value }, index) => {
        library.MutexLazyInit.from(handles[index], codec as never)
          .init((() => value) as never);
      });
      port.send("made");
    },
  },
  {
    name: "allocate() gives an initializer the memory that all agents read",
    async main({ library: { LazyInit, MutexLazyInit, typedArray }, spawn }) {
      const codec = typedArray(Uint8Array);
      const [once, cell] = [new LazyInit(codec), new MutexLazyInit(codec)];
      const [peer] = spawn(1);
      peer!.port.send([once.handle, cell.handle]);
      const value = await once.waitAsync();
      assertEquals([value.length, value.at(-1)], [100_000, 1]);
      const made = await cell.waitAsync();
      assertEquals([made.length, made.at(-1)], [200_000, 2]);
      // The memory is one
      cell.getMut()![0] = 9;
      peer!.port.send("written");
      assertEquals(await peer!.port.next(), 9);
    },
    async peer({ library: { LazyInit, MutexLazyInit, typedArray }, port }) {
      const codec = typedArray(Uint8Array);
      const [once, handle] = await port.next();
      LazyInit.from(once, codec).callOnce((slot, allocate) => {
        assertEquals(slot.length, 0);
        allocate(100_000).fill(1);
      });
      const cell = MutexLazyInit.from(handle, codec);
      await cell.initAsync(async (_slot, allocate) => {
        await Promise.resolve();
        return allocate(200_000).fill(2);
      });
      await port.next();
      port.send(cell.value[0]);
    },
  },
  {
    name:
      "allocate() refuses more than the bound, and the cell stays usable for others",
    async main({ library: { MutexLazyInit, typedArray }, spawn }) {
      const codec = typedArray(Uint8Array, { maxLength: 100_000 });
      const cell = new MutexLazyInit(codec);
      const [peer] = spawn(1);
      peer!.port.send(cell.handle);
      assertEquals(
        await peer!.port.next(),
        "Cannot allocate uint8[..100000] as 'length' must be an integer from 0 to 100000: current value is 100001",
      );
      assertEquals(cell.phase, "uninitialized");
      const view = cell.getOrInit((_slot, allocate) => allocate(100_000));
      assert(view.every((byte) => byte === 0));
    },
    async peer({ library: { MutexLazyInit, typedArray }, port }) {
      const codec = typedArray(Uint8Array, { maxLength: 100_000 });
      const cell = MutexLazyInit.from(await port.next(), codec);
      const result = cell.tryInit((_slot, allocate) => {
        allocate(50_000).fill(1);
        return allocate(100_001);
      });
      port.send(
        result.ok || result.reason !== "during-init"
          ? "made"
          : (result.error as Error).message,
      );
    },
  },
  {
    name:
      "MutexLazyInit of an open codec works in memory that was given, of WebAssembly and growable",
    async main({ library: { MutexLazyInit, typedArray }, spawn }) {
      const codec = typedArray(Uint8Array, { maxLength: 100_000 });
      const byteLength = 64 + MutexLazyInit.byteLength(codec);
      const memory = new WebAssembly.Memory({
        initial: 2,
        maximum: 2,
        shared: true,
      });
      const buffers: SharedArrayBuffer[] = [
        memory.buffer as unknown as SharedArrayBuffer,
        "grow" in SharedArrayBuffer.prototype
          ? new SharedArrayBuffer(128, { maxByteLength: byteLength })
          : new SharedArrayBuffer(byteLength),
      ];
      const [peer] = spawn(1);
      for (const buffer of buffers) {
        const cell = new MutexLazyInit(codec, { buffer, byteOffset: 64 });
        peer!.port.send(buffer);
        assertEquals(await peer!.port.next(), "made");
        assertEquals(cell.value.length, 100_000);
        assert(cell.value.every((byte) => byte === 7));
        assert(new Uint8Array(buffer, 0, 64).every((byte) => byte === 0));
        assertEquals(cell.reset(), true);
        assert(new Uint8Array(buffer, 64 + 24).every((byte) => byte === 0));
      }
    },
    async peer({ library: { MutexLazyInit, typedArray }, port }) {
      const codec = typedArray(Uint8Array, { maxLength: 100_000 });
      for (;;) {
        const buffer = await port.next();
        const cell = new MutexLazyInit(codec, { buffer, byteOffset: 64 });
        cell.init((_slot, allocate) => allocate(100_000).fill(7));
        port.send("made");
      }
    },
  },
  {
    name:
      "MutexLazyInit.read() never returns what was read of a value that another agent resets",
    async main({ library: { MutexLazyInit, typedArray }, spawn }) {
      const codec = typedArray(Uint8Array);
      const cell = new MutexLazyInit(codec);
      cell.init((_slot, allocate) => allocate(50_000).fill(1));
      const stop = new Int32Array(new SharedArrayBuffer(4));
      const peers = spawn(2);
      for (const { port } of peers) {
        port.send({ handle: cell.handle, stop });
        assertEquals(await port.next(), "reads");
      }
      for (let turn = 2; turn < 42; turn++) {
        await cell.resetAsync();
        cell.init((_slot, allocate) => allocate(50_000 + turn).fill(turn));
        await Promise.resolve();
      }
      Atomics.store(stop, 0, 1);
      for (const { port } of peers) {
        const { torn, reads } = await port.next();
        assertEquals(torn, 0);
        assert(reads > 0);
      }
    },
    async peer({ library: { MutexLazyInit, typedArray }, port }) {
      const { handle, stop }: { handle: LazyInitHandle; stop: Int32Array } =
        await port.next();
      const cell = MutexLazyInit.from(handle, typedArray(Uint8Array));
      port.send("reads");
      let [torn, reads] = [0, 0];
      do {
        const whole = cell.read(isWhole);
        if (whole === undefined) continue;
        reads++;
        if (!whole) torn++;
      } while (Atomics.load(stop, 0) === 0 || reads === 0);
      port.send({ torn, reads });
    },
  },
  {
    name:
      "MutexLazyInit.resetAsync() hands a large cell over to those who wait when all is zero",
    async main({ library: { MutexLazyInit, typedArray }, spawn, sleepers }) {
      const cell = new MutexLazyInit(typedArray(Uint8Array));
      cell.init((_slot, allocate) => allocate(LARGE).fill(1));
      const [peer] = spawn(1);
      peer!.port.send(cell.handle);
      assertEquals(await peer!.port.next(), "listens");
      const reset = cell.resetAsync();
      assertEquals(cell.phase, "initializing");
      peer!.port.send("wait");
      assertEquals(await reset, true);
      assertEquals(await peer!.port.next(), true);
      await until(() => sleepers.count === 0);
      assertEquals(cell.value.length, LARGE);
      assertEquals(await cell.resetAsync(), true);
    },
    async peer({ library: { MutexLazyInit, typedArray }, port }) {
      const handle = await port.next();
      const cell = MutexLazyInit.from(handle, typedArray(Uint8Array));
      port.send("listens");
      await port.next();
      let isZero = false;
      cell.getOrInit((_slot, allocate) => {
        const view = allocate(LARGE);
        isZero = view.every((byte) => byte === 0);
        return view.fill(2);
      });
      port.send(isZero);
    },
  },
];
