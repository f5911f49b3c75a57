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
  OwnerLostError,
  RecursiveInitializationError,
  string,
  struct,
  typedArray,
  type UnlockToken,
} from "../mod.ts";
import { Agents } from "./_agents.ts";
import { isSlotZeroed } from "./_cell_slots.ts";

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
    const phase = model.initialized ? "initialized" : "uninitialized";
    for (const cell of this.cells) {
      assertEquals(cell.phase, phase);
      assertEquals(cell.initialized, model.initialized);
      assertEquals(cell.get(), model.value);
      const before = this.seen.get(cell);
      if (before !== undefined && model.initialized) {
        const same = before.generation === model.generation;
        if (same) assert(Object.is(cell.get(), before.value));
        // Each generation has an object of its own; views stay over the same memory
        else if (typeof before.value === "object" && !isView(before.value)) {
          assert(cell.get() !== before.value);
        }
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
          `${cell.handle.kind} "cell" { <uninitialized> }`,
        );
        assert(isSlotZeroed(cell));
        // Owned by nobody: it need not wait
        if (cell instanceof MutexLazyInit) {
          assertEquals(cell.reset({ timeout: 0 }), false);
        }
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

/** Values of the one view codec here are of the one type that it has views of. */
function isView(value: unknown): value is Int16Array {
  return value instanceof Int16Array;
}

/** Writes through a view, if the codec has views: every object over the memory shows that. */
function write(
  model: Model,
  cell: LazyInit<unknown> | MutexLazyInit<unknown>,
  value: unknown,
): void {
  // A type error for other codecs, and for unknown ones
  const getMut = () => cell.getMut.call(cell as never);
  if (!isView(value)) return void assertThrows(getMut, TypeError);
  const view = getMut() as Int16Array | undefined;
  assert(view === cell.get());
  if (view === undefined) return;
  view.set(value.subarray(1), 1);
  model.value = Int16Array.of(view[0]!, ...value.subarray(1));
}

/** A wait that has been aborted leaves no trace. */
async function abortWait(
  model: Model,
  cell: LazyInit<unknown> | MutexLazyInit<unknown>,
): Promise<void> {
  const controller = new AbortController();
  const waiting = cell.waitAsync(controller);
  controller.abort(new Failure());
  if (model.initialized) return assertEquals(await waiting, model.value);
  await assertRejects(() => waiting, Failure);
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
  "callOnce in place"(model, cell, value) {
    if (!isView(value)) return;
    const made = (cell as LazyInit<Int16Array>).callOnce((slot) =>
      slot.set(value)
    );
    assertEquals(made, model.initialized ? undefined : value);
    if (!model.initialized) succeed(model, value);
  },
  getMut: write,
  async waitAsync(model, cell, value) {
    const waiting = [cell.waitAsync(), cell.waitAsync()];
    if (!model.initialized) {
      assertThrows(() => cell.callOnce(fail), Failure);
      cell.initOnce(value);
      succeed(model, value);
    }
    assertEquals(await Promise.all(waiting), [model.value, model.value]);
  },
  "waitAsync aborted": abortWait,
  recover(model, cell, value) {
    assertEquals(cell.recover(ID), false);
    if (model.initialized) return;
    assertThrows(
      () =>
        cell.callOnce(() => {
          assertThrows(() => cell.wait(), RecursiveInitializationError);
          assertThrows(() => cell.initOnce(0), RecursiveInitializationError);
          assertEquals(cell.recover(OTHER), false);
          assertEquals(cell.recover(ID), true);
          assertEquals(cell.recover(ID), false);
          return value;
        }),
      OwnerLostError,
    );
    model.generation++;
  },
  "recover, and the next is faster"(model, cell, value) {
    if (model.initialized) return;
    assertThrows(
      () =>
        cell.callOnce(() => {
          cell.recover(ID);
          cell.initOnce(value);
          fail();
        }),
      Failure,
    );
    model.generation++;
    succeed(model, value);
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
  "init in place"(model, cell, value) {
    if (!isView(value) || model.initialized) return;
    (cell as MutexLazyInit<Int16Array>).init((slot) => slot.set(value));
    succeed(model, value);
  },
  getMut: write,
  async waitAsync(model, cell, value) {
    const waiting = [cell.waitAsync(), cell.waitAsync()];
    if (!model.initialized) {
      assert(!cell.tryInit(fail).ok);
      cell.init(() => value);
      succeed(model, value);
    }
    assertEquals(await Promise.all(waiting), [model.value, model.value]);
  },
  async "calls beside a slow owner"(model, cell, value) {
    if (model.initialized) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const slow = cell.initAsync(async () => {
      await promise;
      return value;
    });
    assertEquals(cell.phase, "initializing");
    assertEquals(cell.get(), undefined);
    for (
      const call of [
        () => cell.wait(),
        () => cell.getOrInit(fail),
        () => cell.init(fail, { timeout: 1 }),
        () => cell.reset(),
      ]
    ) assertThrows(call, RecursiveInitializationError);
    const controller = new AbortController();
    const aborted = [
      cell.waitAsync(controller),
      cell.resetAsync(controller),
      cell.initAsync(fail, controller),
    ];
    const waiting = [cell.waitAsync(), cell.getOrInitAsync(fail)];
    controller.abort(new Failure());
    for (const call of aborted) await assertRejects(() => call, Failure);
    resolve();
    assertEquals(await slow, value);
    assertEquals(await Promise.all(waiting), [value, value]);
    succeed(model, value);
  },
  "waitAsync aborted": abortWait,
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
/** Another agent, which nobody is. */
const OTHER = ID === 1 ? 2 : 1;
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
  [
    "typedArray",
    typedArray(Int16Array, 4),
    fc.int16Array({ minLength: 4, maxLength: 4 }),
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
      fc.commands(commands, { maxCommands: 40, size: "max" }),
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

type Holder = "nobody" | "this agent" | "another agent";

/** A real agent besides this one. */
interface Another {
  readonly agents: Agents;
  readonly id: number;
}

/** A mutex, and what it ought to be. */
class MutexSubject {
  readonly #another: Another;
  readonly #mutex = new Mutex();
  readonly #aborting = new AbortController();
  readonly #tokens: UnlockToken[] = [];
  #waiting: Promise<UnlockToken>[] = [];
  #holder: Holder = "nobody";
  #held: Awaited<ReturnType<Agents["hold"]>> | undefined;

  constructor(another: Another) {
    this.#another = another;
  }

  readonly steps: Record<string, () => unknown> = {
    lock: () => {
      if (this.#holder === "another agent") return;
      if (this.#holder === "nobody") this.#hold(this.#mutex.lock());
      else assertThrows(() => this.#mutex.lock(), TypeError);
    },
    lockIfAvailable: () => this.#tryLock(this.#mutex.lockIfAvailable()),
    "lockIfAvailable for 1 ms": () =>
      this.#tryLock(this.#mutex.lockIfAvailable(1)),
    "lockIfAvailable for -1 ms": () =>
      void assertThrows(() => this.#mutex.lockIfAvailable(-1), RangeError),
    lockAsync: () => {
      const locked = this.#mutex.lockAsync(this.#aborting);
      this.#waiting.push(locked);
      locked.catch(() => {});
    },
    "lockAsync aborted": async () => {
      const controller = new AbortController();
      const held = this.#holder !== "nobody";
      const locked = this.#mutex.lockAsync(controller);
      controller.abort(new Failure());
      if (held) await assertRejects(() => locked, Failure);
      else this.#hold(await locked);
    },
    unlock: () => {
      const held = this.#holder === "this agent";
      assertEquals(this.#tokens.at(-1)?.unlock() ?? false, held);
      if (held) this.#holder = "nobody";
    },
    "unlock again": () => {
      for (const token of this.#tokens.slice(0, -1)) {
        assertEquals(token.unlock(), false);
      }
    },
    recover: () => {
      const held = this.#holder === "this agent";
      assertEquals(this.#mutex.recover(ID), held);
      if (held) this.#holder = "nobody";
    },
    "another agent locks": async () => {
      if (this.#holder !== "nobody") return;
      this.#held = await this.#another.agents.hold(0, this.#mutex);
      this.#holder = "another agent";
    },
    "another agent unlocks": async () => {
      if (this.#holder !== "another agent") return;
      await this.#release();
      this.#holder = "nobody";
    },
    "recover another agent": async () => {
      const held = this.#holder === "another agent";
      assertEquals(this.#mutex.recover(this.#another.id), held);
      if (!held) return;
      this.#holder = "nobody";
      // Its token does not unlock any more
      await this.#release();
    },
  };

  async #release(): Promise<void> {
    this.#held?.leave();
    await this.#held?.done;
    this.#held = undefined;
  }

  #tryLock(token: UnlockToken | null): void {
    assertEquals(token !== null, this.#holder === "nobody");
    if (token !== null) this.#hold(token);
  }

  #hold(token: UnlockToken): void {
    this.#tokens.push(token);
    this.#holder = "this agent";
  }

  async check(): Promise<void> {
    if (this.#holder === "nobody" && this.#waiting.length > 0) {
      // Any of those who wait may be the next, but one is
      const [index, token] = await Promise.race(
        this.#waiting.map(async (locked, i) => [i, await locked] as const),
      );
      this.#waiting = this.#waiting.toSpliced(index, 1);
      this.#hold(token);
    }
    const held = this.#holder === "this agent";
    assertEquals(this.#tokens.at(-1)?.locked ?? false, held);
    for (const token of this.#tokens.slice(0, -1)) assert(!token.locked);
  }

  async end(): Promise<void> {
    this.#aborting.abort(new Failure());
    for (const locked of this.#waiting) {
      await assertRejects(() => locked, Failure);
    }
    await this.#release();
  }
}

Deno.test("Mutex behaves as its model", async () => {
  using agents = await Agents.start(1);
  const another = { agents, id: await agents.do(0, { kind: "agentId" }) };
  const names = Object.keys(new MutexSubject(another).steps);
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom(...names), { maxLength: 40, size: "max" }),
      async (steps) => {
        const subject = new MutexSubject(another);
        for (const step of steps) {
          await subject.steps[step]!();
          await subject.check();
        }
        await subject.end();
      },
    ),
  );
});
