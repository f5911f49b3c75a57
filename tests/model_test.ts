// Copyright 2026 the lazyinit authors. MIT license.

/*
 * Random sequences of calls, by several objects over the same cells, against a
 * model of them that is as plain as can be. A failure prints the seed and the path
 * that fast-check shrinks it to: pass both to `fc.assert` to run it again.
 */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import fc from "fast-check";
import { inspect } from "node:util";
import {
  agentId,
  AlreadyInitializedError,
  type Codec,
  int32,
  json,
  LazyInit,
  type LazyInitHandle,
  Mutex,
  MutexLazyInit,
  NotInitializedError,
  OnceState,
  string,
  struct,
  type UnlockToken,
} from "../mod.ts";

/** What a cell ought to be. */
interface Model {
  value: unknown;
  initialized: boolean;
  generation: number;
}

/** The cells of one kind and codec that a sequence is about: two objects over one memory. */
class Subject<Cell extends LazyInit<unknown> | MutexLazyInit<unknown>> {
  readonly cells: [Cell, Cell];
  readonly seen = new Map<Cell, { generation: number; value: unknown }>();

  constructor(cell: Cell, attached: Cell) {
    this.cells = [cell, attached];
  }

  check(model: Model): void {
    const { handle } = this.cells[0];
    const state = new OnceState(handle.buffer, handle.byteOffset);
    assertEquals(state.generation, model.generation);
    assertEquals(
      state.phase,
      model.initialized ? "initialized" : "uninitialized",
    );
    const words = new Int32Array(handle.buffer);
    assertEquals(words[0]! & 4, 0);
    if (handle.kind === "MutexLazyInit") {
      // But for how often the mutex was taken from its holder
      assertEquals(words[1]! & ~(3 << 29), 0);
    }
    if (!model.initialized) {
      assert(new Uint8Array(handle.buffer, 16).every((byte) => byte === 0));
    }
    for (const cell of this.cells) {
      assertEquals(cell.initialized, model.initialized);
      assertEquals(cell.get(), model.value);
      const before = this.seen.get(cell);
      if (before?.generation === model.generation && model.initialized) {
        assert(Object.is(cell.get(), before.value));
      }
      if (model.initialized) {
        this.seen.set(cell, {
          generation: model.generation,
          value: cell.get(),
        });
        assertEquals(cell.value, model.value);
        assertEquals(cell.getUnchecked(), model.value);
        assertEquals(cell.wait({ timeout: 0 }), model.value);
      } else {
        assertThrows(() => cell.value, NotInitializedError);
        assertThrows(() => cell.wait({ timeout: 0 }), DOMException);
        assertEquals(
          inspect(cell),
          `${handle.kind} "cell" { <uninitialized> }`,
        );
      }
    }
  }
}

type Call<Cell extends LazyInit<unknown> | MutexLazyInit<unknown>> = (
  model: Model,
  cell: Cell,
  value: unknown,
) => unknown;

class Failure extends Error {}

function fail(): never {
  throw new Failure();
}

/** What initializing by whatever method does to the model. */
function succeed(model: Model, value: unknown): void {
  model.initialized = true;
  model.value = value;
}

const LAZY: Record<string, Call<LazyInit<unknown>>> = {
  initOnce(model, cell, value) {
    if (model.initialized) {
      const error = assertThrows(
        () => cell.initOnce(value),
        AlreadyInitializedError,
      );
      return assertEquals(error.value, model.value);
    }
    assertEquals(cell.initOnce(value), value);
    succeed(model, value);
  },
  callOnce(model, cell, value) {
    const made = cell.callOnce(() => value);
    assertEquals(made, model.initialized ? undefined : value);
    if (!model.initialized) succeed(model, value);
  },
  "callOnce throwing"(model, cell) {
    if (model.initialized) return assertEquals(cell.callOnce(fail), undefined);
    assertThrows(() => cell.callOnce(fail), Failure);
  },
  "callOnce refused"(model, cell) {
    if (!model.initialized) assertThrows(() => cell.callOnce(() => Symbol()));
  },
};

const MUTEX: Record<string, Call<MutexLazyInit<unknown>>> = {
  init(model, cell, value) {
    if (model.initialized) {
      const error = assertThrows(
        () => cell.init(() => value),
        AlreadyInitializedError,
      );
      return assertEquals(error.value, model.value);
    }
    assertEquals(cell.init(() => value), value);
    succeed(model, value);
  },
  tryInit(model, cell, value) {
    assertEquals<unknown>(
      cell.tryInit(() => value),
      model.initialized
        ? { ok: false, reason: "already-init", value: model.value }
        : { ok: true, value },
    );
    if (!model.initialized) succeed(model, value);
  },
  "tryInit throwing"(model, cell) {
    const result = cell.tryInit(fail);
    assert(!result.ok);
    assertEquals(
      result.reason,
      model.initialized ? "already-init" : "during-init",
    );
  },
  getOrInit(model, cell, value) {
    const expected = model.initialized ? model.value : value;
    assertEquals(cell.getOrInit(() => value), expected);
    succeed(model, expected);
  },
  "getOrInit refused"(model, cell) {
    if (!model.initialized) assertThrows(() => cell.getOrInit(() => Symbol()));
  },
  async initAsync(model, cell, value) {
    if (model.initialized) {
      await assertRejects(
        () => cell.initAsync(() => value),
        AlreadyInitializedError,
      );
      return;
    }
    assertEquals(await cell.initAsync(() => Promise.resolve(value)), value);
    succeed(model, value);
  },
  async tryInitAsync(model, cell, value) {
    const { ok } = await cell.tryInitAsync(() => Promise.resolve(value));
    assertEquals(ok, !model.initialized);
    if (ok) succeed(model, value);
  },
  async getOrInitAsync(model, cell, value) {
    const expected = model.initialized ? model.value : value;
    // Two at once: one makes the value, both get it
    assertEquals(
      await Promise.all([
        cell.getOrInitAsync(() => Promise.resolve(value)),
        cell.getOrInitAsync(() => value),
      ]),
      [expected, expected],
    );
    succeed(model, expected);
  },
  async "getOrInitAsync throwing"(model, cell) {
    if (model.initialized) return;
    await assertRejects(
      () => cell.getOrInitAsync(async () => await fail()),
      Failure,
    );
  },
  async "waitAsync aborted"(model, cell) {
    const waiting = cell.waitAsync({
      signal: AbortSignal.abort(new Failure()),
    });
    if (model.initialized) assertEquals(await waiting, model.value);
    else await assertRejects(() => waiting, Failure);
  },
  reset(model, cell) {
    assertEquals(cell.reset(), model.initialized);
    empty(model);
  },
  async resetAsync(model, cell) {
    assertEquals(await cell.resetAsync(), model.initialized);
    empty(model);
  },
  async "recover of a slow owner"(model, cell, value) {
    if (model.initialized) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const slow = cell.tryInitAsync(async () => {
      await promise;
      return value;
    });
    assertEquals(cell.recover(ID), true);
    model.generation++;
    resolve();
    await assertRejects(() => slow);
  },
};

function empty(model: Model): void {
  if (model.initialized) model.generation++;
  model.initialized = false;
  model.value = undefined;
}

const ID = agentId();
const CELLS = 3;

const CODECS: [string, Codec<unknown>, fc.Arbitrary<unknown>][] = [
  ["int32", int32, fc.integer()],
  ["string", string(40), fc.string({ maxLength: 10 })],
  ["json", json(200), fc.record({ a: fc.integer(), b: fc.boolean() })],
  [
    "struct",
    struct({ id: int32, name: string(40) }),
    fc.record({ id: fc.integer(), name: fc.string({ maxLength: 10 }) }),
  ],
];

/** A call on one of the cells by one of its two objects. */
class Command<Cell extends LazyInit<unknown> | MutexLazyInit<unknown>>
  implements fc.AsyncCommand<Model[], Subject<Cell>[]> {
  readonly #name: string;
  readonly #call: Call<Cell>;
  readonly #cell: number;
  readonly #object: number;
  readonly #value: unknown;

  constructor(
    name: string,
    call: Call<Cell>,
    [cell, object, value]: [number, number, unknown],
  ) {
    this.#name = name;
    this.#call = call;
    this.#cell = cell;
    this.#object = object;
    this.#value = value;
  }

  check(): boolean {
    return true;
  }

  async run(models: Model[], subjects: Subject<Cell>[]): Promise<void> {
    const cell = subjects[this.#cell]!.cells[this.#object]!;
    await this.#call(models[this.#cell]!, cell, this.#value);
    // The others must not have changed
    for (const [i, subject] of subjects.entries()) subject.check(models[i]!);
  }

  toString(): string {
    const value = fc.stringify(this.#value);
    return `${this.#name}(${value}) on ${this.#cell} by ${this.#object}`;
  }
}

async function explore<Cell extends LazyInit<unknown> | MutexLazyInit<unknown>>(
  calls: Record<string, Call<Cell>>,
  values: fc.Arbitrary<unknown>,
  create: () => Subject<Cell>,
): Promise<void> {
  const commands = Object.entries(calls).map(([name, call]) =>
    fc.tuple(fc.nat(CELLS - 1), fc.nat(1), values).map((args) =>
      new Command(name, call, args)
    )
  );
  await fc.assert(
    fc.asyncProperty(
      fc.commands(commands, { maxCommands: 40 }),
      (commands) =>
        fc.asyncModelRun(() => ({
          model: Array.from({ length: CELLS }, () => ({
            value: undefined,
            initialized: false,
            generation: 0,
          })),
          real: Array.from({ length: CELLS }, create),
        }), commands),
    ),
  );
}

function handleOf(cell: { handle: LazyInitHandle }): LazyInitHandle {
  return structuredClone(cell.handle);
}

for (const [name, codec, values] of CODECS) {
  Deno.test(`LazyInit behaves as its model with ${name}`, async () => {
    await explore(LAZY, values, () => {
      const cell = new LazyInit(codec, { name: "cell" });
      return new Subject(cell, LazyInit.from(handleOf(cell), codec));
    });
  });

  Deno.test(`MutexLazyInit behaves as its model with ${name}`, async () => {
    await explore(MUTEX, values, () => {
      const cell = new MutexLazyInit(codec, { name: "cell" });
      return new Subject(cell, MutexLazyInit.from(handleOf(cell), codec));
    });
  });
}

Deno.test("Mutex behaves as its model", () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom("lock", "unlock", "unlock again", "recover")),
      (steps) => {
        const mutex = new Mutex();
        const tokens: UnlockToken[] = [];
        let held = false;
        for (const step of steps) {
          if (step === "lock") {
            const token = mutex.lockIfAvailable();
            assertEquals(token === null, held);
            if (token !== null) tokens.push(token);
            held = true;
          } else if (step === "unlock") {
            assertEquals(tokens.at(-1)?.unlock() ?? false, held);
            held = false;
          } else if (step === "unlock again") {
            for (const token of tokens.slice(0, -1)) {
              assertEquals(token.unlock(), false);
            }
          } else {
            assertEquals(mutex.recover(ID), held);
            held = false;
          }
          assertEquals(mutex.heldByThisAgent, held);
          assertEquals(tokens.at(-1)?.locked ?? false, held);
        }
      },
    ),
  );
});
