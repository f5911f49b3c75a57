// Copyright 2026 the lazyinit authors. MIT license.

import {
  assert,
  assertEquals,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import type { Codec } from "../../mod.ts";
import type { Case, Library } from "./suite.ts";

/** A codec of every kind, with a value for it. */
function samples(library: Library): [Codec<unknown>, unknown][] {
  const { bigInt64, bool, float64, int32, json, string } = library;
  const { struct, typedArray, uint32 } = library;
  return [
    [bool, true],
    [int32, -(2 ** 31)],
    [uint32, 2 ** 32 - 1],
    [float64, -0.1],
    [bigInt64, -(2n ** 63n)],
    [string(32), "\ufeffNairobi 🦒"],
    [json(64), { list: [1, null, "Zürich"], nested: { deep: true } }],
    [typedArray(Uint16Array, 3), new Uint16Array([1, 2, 65535])],
    [struct({ id: int32, at: struct({ x: float64 }) }), {
      id: 7,
      at: { x: 174.76 },
    }],
  ] as [Codec<unknown>, unknown][];
}

export const cases: Case[] = [
  {
    name: "LazyInit.get() returns in a worker what the main thread has put in",
    async main({ library, spawn }) {
      const cells = samples(library).map(([codec, value]) => {
        const cell = new library.LazyInit(codec);
        cell.initOnce(value);
        return cell;
      });
      const [peer] = spawn(1);
      peer!.port.send(cells.map(({ handle }) => handle));
      for (const [{ tag }, value] of samples(library)) {
        assertEquals(await peer!.port.next(), {
          tag,
          value,
          same: true,
          isFrozen: true,
        });
      }
    },
    async peer({ library, port }) {
      const handles = await port.next();
      samples(library).forEach(([codec], index) => {
        const cell = library.LazyInit.from(handles[index], codec);
        const value = cell.get();
        port.send({
          tag: codec.tag,
          // A live view would show whatever is there when it is looked at
          value: ArrayBuffer.isView(value)
            ? (value as Uint16Array).slice()
            : value,
          same: value === cell.value,
          isFrozen: ArrayBuffer.isView(value) || Object.isFrozen(value),
        });
      });
    },
  },
  {
    name: "MutexLazyInit.getMut() returns the same memory in all agents",
    async main({ library: { MutexLazyInit, typedArray }, spawn }) {
      const codec = typedArray(Int32Array, 4);
      const cell = new MutexLazyInit(codec);
      const ports = spawn(2).map(({ port }) => port);
      ports.forEach((port, index) =>
        port.send({ handle: cell.handle, index: index + 1 })
      );
      await Promise.all(ports.map((port) => port.next()));
      assertEquals([...cell.value], [9, 1, 2, 9]);
      assertStrictEquals(cell.getMut()!.buffer, cell.handle.buffer);
    },
    async peer({ library: { MutexLazyInit, typedArray }, port }) {
      const { handle, index } = await port.next();
      const cell = MutexLazyInit.from(handle, typedArray(Int32Array, 4));
      cell.getOrInit((slot) => {
        slot.fill(9);
      });
      cell.getMut()![index] = index;
      port.send("written");
    },
  },
  {
    name: "LazyInit.from() refuses another codec, kind or thing",
    async main({ library, spawn }) {
      const [peer] = spawn(1);
      peer!.port.send(new library.LazyInit(library.int32).handle);
      assertEquals(await peer!.port.next(), [
        "LayoutMismatchError",
        "LayoutMismatchError",
        "TypeError",
      ]);
    },
    async peer({ library: { LazyInit, MutexLazyInit, int32, uint32 }, port }) {
      const handle = await port.next();
      const calls = [
        () => LazyInit.from(handle, uint32),
        () => MutexLazyInit.from(handle, int32),
        () => LazyInit.from({ ...handle, buffer: new ArrayBuffer(64) }, int32),
      ];
      port.send(calls.map((call) => assertThrows(call, Error).name));
    },
  },
  {
    name:
      "agentId() differs from agent to agent, and canBlock() holds in workers",
    async main({ library: { agentId }, spawn }) {
      const peers = spawn(3);
      const ids = [agentId()];
      for (const { port } of peers) {
        port.send("Who are you?");
        const [id, blocks] = await port.next();
        assert(blocks);
        ids.push(id);
      }
      assertEquals(new Set(ids).size, 4);
    },
    async peer({ library: { agentId, canBlock }, port }) {
      await port.next();
      port.send([agentId(), canBlock()]);
    },
  },
  {
    name: "LazyInit shows its name and value where the runtime inspects it",
    // deno-lint-ignore require-await
    async main({ library: { LazyInit, int32 }, inspect }) {
      // Browsers have no such function
      if (inspect === undefined) return;
      const cell = new LazyInit(int32, { name: "answer" });
      assertEquals(inspect(cell), 'LazyInit "answer" { <uninitialized> }');
      cell.initOnce(42);
      assertEquals(inspect(cell), 'LazyInit "answer" { 42 }');
    },
  },
];
