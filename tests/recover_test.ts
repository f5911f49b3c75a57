// Copyright 2026 the lazyinit authors. MIT license.

// First, as the modules may keep what they find of `Atomics`
import { replaceable } from "./_platform.ts";
import { Sleepers } from "./_sleepers.ts";
import {
  assert,
  assertEquals,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import {
  agentId,
  announceAgent,
  type Codec,
  int32,
  LazyInit,
  type LazyInitHandle,
  Mutex,
  MutexLazyInit,
  OwnerLostError,
  RecursiveInitializationError,
  string,
  typedArray,
} from "../mod.ts";
import { Agents } from "./_agents.ts";
import { Flag, until } from "./_flag.ts";
import { pair, pairOf } from "./_jobs.ts";
import { isHeld, isWatched, lockName, locks } from "./_locks.ts";
import { isSlotZeroed } from "./_cell_slots.ts";
import type { Birth, Message, Stage } from "./testdata/mortal_worker.ts";

const RAISED = new Flag();
RAISED.raise();

/** A real worker that ends in the middle of something. */
class Mortal implements Disposable {
  readonly worker: Worker;
  readonly id: number;
  readonly #sleepers: Sleepers;

  private constructor(worker: Worker, { id, sleepers }: Birth) {
    this.worker = worker;
    this.id = id;
    this.#sleepers = new Sleepers(sleepers);
  }

  static start(): Promise<Mortal> {
    const url = new URL("./testdata/mortal_worker.ts", import.meta.url);
    const worker = new Worker(url, { type: "module" });
    // Its uncaught errors are meant
    worker.onerror = (event) => event.preventDefault();
    return new Promise((resolve) => {
      worker.onmessage = ({ data }: MessageEvent<Birth>) =>
        resolve(new Mortal(worker, data));
    });
  }

  tell(message: Message): void {
    this.worker.postMessage(message);
  }

  /** Resolves when it waits for a cell or a mutex and sleeps. */
  async asleep(): Promise<void> {
    await until(() => this.#sleepers.count > 0);
  }

  /** Has it begin with the cell and end at a stage; its initializer blocks until `leave` is raised. */
  end(
    { handle }: { handle: LazyInitHandle },
    stage: Stage,
    {
      announced = false,
      entered = new Flag(),
      leave = RAISED,
      spins = false,
      ended = new Flag(),
    },
  ): void {
    this.tell({
      kind: "end",
      handle,
      stage,
      announced,
      entered: entered.buffer,
      leave: leave.buffer,
      spins,
      ended: ended.buffer,
    });
  }

  /** Has it take the cell, and resolves when it stands right after that. */
  async dawdle(
    { handle }: { handle: LazyInitHandle },
    method: "getOrInit" | "reset",
    { ends = false } = {},
  ): Promise<
    { leave(): void; result: Promise<unknown>; ended(): Promise<void> }
  > {
    const [entered, leave, ended] = [new Flag(), new Flag(), new Flag()];
    const result = new Promise((resolve) => {
      this.worker.onmessage = ({ data }) => resolve(data);
    });
    this.tell({
      kind: "dawdle",
      handle,
      method,
      ends,
      entered: entered.buffer,
      leave: leave.buffer,
      ended: ended.buffer,
    });
    await entered.raised();
    return { leave: () => leave.raise(), result, ended: () => ended.raised() };
  }

  /** Has it run an asynchronous initializer, and resolves when that has been called. */
  async initialize(
    { handle }: { handle: LazyInitHandle },
    { leave, then }: { leave?: Flag; then?: Then } = {},
  ): Promise<void> {
    const entered = new Flag();
    this.tell({
      kind: "initialize",
      handle,
      entered: entered.buffer,
      ...leave && { leave: leave.buffer },
      ...then && { then },
    });
    await entered.raised();
  }

  /** Has it run an asynchronous initializer to its end. */
  async runBriefly(then?: Then): Promise<void> {
    const cell = new MutexLazyInit(pair);
    await this.initialize(cell, { leave: RAISED, ...then && { then } });
    await cell.waitAsync(soon());
  }

  /** Has it lock a mutex, and resolves when it has. */
  async lock(
    mutex: Mutex,
    announced: boolean,
  ): Promise<void> {
    const entered = new Flag();
    this.tell({
      kind: "lock",
      mutex: mutex.buffer,
      announced,
      entered: entered.buffer,
    });
    await entered.raised();
  }

  [Symbol.dispose](): void {
    this.worker.terminate();
  }
}

type Then = NonNullable<Extract<Message, { kind: "initialize" }>["then"]>;

/** For waits that would rather fail than hang, later than `until()`. */
function soon(): { signal: AbortSignal } {
  return { signal: AbortSignal.timeout(20_000) };
}

/** Takes the lock by which an agent would announce its life, and resolves when it has. */
async function holdLockOf(agent: { id: number }): Promise<{ release(): void }> {
  const { promise, resolve } = Promise.withResolvers<void>();
  await new Promise<void>((granted) => {
    locks.request(lockName(agent), {}, () => {
      granted();
      return promise;
    });
  });
  return { release: resolve };
}

/** Resolves when the platform has told of the end of an agent that ends only now. */
async function laterEndIsNoticed(): Promise<void> {
  using mortal = await Mortal.start();
  const cell = new MutexLazyInit(pair);
  await mortal.initialize(cell);
  const value = cell.getOrInitAsync(() => pairOf(2), soon());
  await until(() => isWatched(mortal));
  mortal.worker.terminate();
  await value;
}

Deno.test("recover() refuses what is no agent id", () => {
  for (
    const subject of [
      new LazyInit(int32),
      new MutexLazyInit(int32),
      new Mutex(),
    ]
  ) {
    assertThrows(
      () => subject.recover("1" as never),
      TypeError,
      "Cannot recover as 'agentId' must be the number of an agent: current value is \"1\"",
    );
    for (const agentId of [0, -1, 1.5, NaN]) {
      assertThrows(
        () => subject.recover(agentId),
        RangeError,
        `'agentId' must be a positive integer: current value is ${agentId}`,
      );
    }
    assertEquals(subject.recover(agentId()), false);
    assertEquals(subject.recover(2 ** 40), false);
  }
  assertThrows(
    () => new Mutex().recover(agentId(), 1 as never),
    TypeError,
    "Cannot recover the mutex as 'repair' must be a function: current value is 1",
  );
});

Deno.test("LazyInit.recover() empties the cell, and the agent cannot publish any more", () => {
  const cell = new LazyInit(string(16));
  const codec: Codec<string> = {
    ...string(16),
    decode(slot) {
      // What was encoded is in the slot
      assertEquals(isSlotZeroed(cell), false);
      assertEquals(cell.recover(agentId()), true);
      assert(isSlotZeroed(cell));
      return string(16).decode(slot);
    },
  };
  const zombie = LazyInit.from(cell.handle, codec);
  assertThrows(() => zombie.initOnce("secret"), OwnerLostError);
  assertEquals(cell.phase, "uninitialized");
  assertEquals(cell.recover(agentId()), false);
  assertEquals(cell.initOnce("next"), "next");
  assertEquals(cell.recover(agentId()), false);
  assertEquals(cell.value, "next");
});

Deno.test("LazyInit.recover() keeps an initializer that goes on from writing to the slot", () => {
  const cell = new LazyInit(int32, { name: "answer" });
  assertThrows(
    () =>
      cell.callOnce(() => {
        cell.recover(agentId());
        assertEquals(cell.callOnce(() => 1), 1);
        return 2;
      }),
    OwnerLostError,
    'Cannot publish the value of LazyInit "answer" as this agent must own the cell: it was declared dead by recover() meanwhile',
  );
  assertEquals(LazyInit.from(cell.handle, int32).value, 1);
});

Deno.test("LazyInit.recover() keeps an initializer that fails from zeroing the slot", () => {
  const cell = new LazyInit(int32);
  const error = new Error("Failed");
  const thrown = assertThrows(() =>
    cell.callOnce(() => {
      cell.recover(agentId());
      cell.initOnce(1);
      throw error;
    })
  );
  assertStrictEquals(thrown, error);
  assertEquals(LazyInit.from(cell.handle, int32).value, 1);
});

Deno.test("MutexLazyInit.recover() empties the cell, and the agent cannot publish any more", async () => {
  for (const init of ["init", "tryInit", "getOrInit"] as const) {
    const cell = new MutexLazyInit(int32, { name: "answer" });
    assertThrows(
      () =>
        cell[init](() => {
          assertEquals(cell.recover(agentId()), true);
          return 1;
        }),
      OwnerLostError,
      'Cannot publish the value of MutexLazyInit "answer"',
    );
    assertEquals(cell.phase, "uninitialized");
    assert(isSlotZeroed(cell));
    assertEquals(cell.recover(agentId()), false);
    assertEquals(cell[init === "tryInit" ? "init" : init](() => 2), 2);
  }
  for (
    const init of ["initAsync", "tryInitAsync", "getOrInitAsync"] as const
  ) {
    const cell = new MutexLazyInit(typedArray(Int32Array, 2));
    const { promise, resolve } = Promise.withResolvers<void>();
    const zombie = cell[init](async (slot) => {
      slot.fill(1);
      await promise;
    });
    assertEquals(cell.recover(agentId()), true);
    assert(isSlotZeroed(cell));
    resolve();
    await assertRejects(() => zombie, OwnerLostError);
    assertEquals(cell.phase, "uninitialized");
    assertEquals(cell.recover(agentId()), false);
  }
});

Deno.test("MutexLazyInit.recover() keeps an earlier run from ending a later one of the same agent", async () => {
  for (const outcome of ["returns", "throws"]) {
    for (const codec of [int32, { ...int32 }]) {
      const cell = new MutexLazyInit(int32);
      const first = Promise.withResolvers<number>();
      const second = Promise.withResolvers<number>();
      const zombie = cell.initAsync(() => first.promise);
      assertEquals(cell.recover(agentId()), true);
      // Through the same object, and through another
      const other = codec === int32
        ? cell
        : MutexLazyInit.from(cell.handle, codec);
      const next = other.initAsync(() => second.promise);
      const error = new Error("Failed");
      if (outcome === "returns") {
        first.resolve(1);
        await assertRejects(() => zombie, OwnerLostError);
      } else {
        first.reject(error);
        assertStrictEquals(await assertRejects(() => zombie), error);
      }
      assertEquals(cell.phase, "initializing");
      assertThrows(() => cell.reset(), RecursiveInitializationError);
      second.resolve(2);
      assertEquals(await next, 2);
      assertEquals(cell.value, 2);
      assertEquals(cell.reset({ timeout: 0 }), true);
    }
  }
});

Deno.test("MutexLazyInit.recover() rolls back an initializer that fails with another cell's OwnerLostError", () => {
  const cell = new MutexLazyInit(int32);
  const other = new MutexLazyInit(int32);
  const result = cell.tryInit(() =>
    other.init(() => {
      other.recover(agentId());
      return 1;
    })
  );
  assert(!result.ok && result.reason === "during-init");
  assert(result.error instanceof OwnerLostError);
  assertEquals(cell.init(() => 2), 2);
});

Deno.test("Mutex.recover() repairs what the mutex guards before it frees the lock", async () => {
  const mutex = new Mutex();
  const token = mutex.lock();
  const waiting = mutex.lockAsync();
  let repaired = false;
  assertEquals(
    mutex.recover(agentId(), () => {
      assertEquals(mutex.lockIfAvailable(), null);
      repaired = true;
    }),
    true,
  );
  const next = await waiting;
  assert(repaired);
  assertEquals(token.unlock(), false);
  assertEquals(next.locked, true);
  assertEquals(next.unlock(), true);
});

Deno.test("Mutex.recover() frees the lock even if the repair fails", () => {
  const mutex = new Mutex();
  mutex.lock();
  const error = new Error("Broken");
  const thrown = assertThrows(() =>
    mutex.recover(agentId(), () => {
      throw error;
    })
  );
  assertStrictEquals(thrown, error);
  assertEquals(mutex.lockIfAvailable()?.unlock(), true);
});

Deno.test("Mutex.recover() makes the token worthless that was lost, for every object", () => {
  const mutex = new Mutex();
  for (const other of [mutex, new Mutex(structuredClone(mutex.buffer))]) {
    const lost = mutex.lock();
    assertEquals(other.recover(agentId()), true);
    assertEquals(lost.locked, false);
    const next = other.lock();
    assertEquals(lost.locked, false);
    assertEquals(lost.unlock(), false);
    assertEquals(next.locked, true);
    assertEquals(next.unlock(), true);
    assertEquals(next.locked, false);
  }
});

Deno.test("Mutex.recover() makes a token worthless for ever", () => {
  const mutex = new Mutex();
  const lost = mutex.lock();
  for (let i = 0; i < 10; i++) {
    assertEquals(mutex.recover(agentId()), true);
    const next = mutex.lock();
    assertEquals([lost.locked, next.locked], [false, true]);
    assertEquals(lost.unlock(), false);
    assertEquals(next.locked, true);
  }
});

Deno.test("Mutex.recover() leaves a mutex that locks, waits and unlocks as before", async () => {
  const mutex = new Mutex();
  for (let i = 0; i < 5; i++) {
    mutex.lock();
    mutex.recover(agentId());
    assertEquals(mutex.recover(agentId()), false);
    assertEquals((await mutex.lockAsync()).unlock(), true);
    const token = mutex.lock();
    assertEquals(mutex.lockIfAvailable(), null);
    const waiting = mutex.lockAsync();
    assertEquals(token.locked, true);
    assertEquals(token.unlock(), true);
    assertEquals((await waiting).unlock(), true);
  }
});

Deno.test("recover() wakes those whom an agent would have woken that has ended", async () => {
  const other = agentId() === 1 ? 2 : 1;
  const cell = new LazyInit(int32);
  const resettable = new MutexLazyInit(int32);
  const mutex = new Mutex();
  const token = mutex.lock();
  for (
    const [wait, end, recover] of [
      [
        () => cell.waitAsync(),
        () => cell.initOnce(1),
        () => cell.recover(other),
      ],
      [
        () => resettable.waitAsync(),
        () => resettable.init(() => 1),
        () => resettable.recover(other),
      ],
      [
        async () => Number((await mutex.lockAsync()).unlock()),
        () => token.unlock(),
        () => mutex.recover(other),
      ],
    ] as const
  ) {
    const sleepers = new Sleepers();
    sleepers.countThisAgent();
    const waiting = wait();
    await until(() => sleepers.count === 1);
    const { notify } = replaceable;
    // As if the agent ended when it had come to this
    replaceable.notify = () => 0;
    end();
    replaceable.notify = notify;
    assertEquals(recover(), false);
    assertEquals(await waiting, 1);
  }
});

Deno.test("MutexLazyInit.recover() refuses the value of a worker that was only slow", async () => {
  using agents = await Agents.start(1);
  const cell = new MutexLazyInit(pair);
  const id = await agents.do(0, { kind: "agentId" });
  const { leave, done } = await agents.initialize(0, cell, {
    value: pairOf(1),
  });
  const here = cell.getOrInitAsync(() => pairOf(2));
  assertEquals(cell.recover(id), true);
  assertEquals(await here, pairOf(2));
  leave();
  await assertRejects(() => done, Error, "it was declared dead by recover()");
  assertEquals(MutexLazyInit.from(cell.handle, pair).value, pairOf(2));
});

Deno.test("MutexLazyInit.recover() takes over from a worker that was terminated while it blocks", async () => {
  const agents = await Agents.start(1);
  const cell = new MutexLazyInit(pair);
  const id = await agents.do(0, { kind: "agentId" });
  const { leave } = await agents.initialize(0, cell, { value: pairOf(1) });
  agents[Symbol.dispose]();
  const here = cell.getOrInitAsync(() => pairOf(2));
  assertEquals(cell.recover(id), true);
  assertEquals(await here, pairOf(2));
  leave();
});

Deno.test("Mutex.recover() keeps a worker that was only slow from unlocking", async () => {
  using agents = await Agents.start(1);
  const mutex = new Mutex();
  const id = await agents.do(0, { kind: "agentId" });
  const { leave, done } = await agents.hold(0, mutex);
  const waiting = mutex.lockAsync();
  assertEquals(mutex.recover(id), true);
  const token = await waiting;
  leave();
  await done;
  assertEquals(token.locked, true);
  assertEquals(token.unlock(), true);
});

Deno.test("MutexLazyInit.recover() keeps a worker that is slow to reset from it", async () => {
  using mortal = await Mortal.start();
  const cell = new MutexLazyInit(pair);
  cell.init(() => pairOf(3));
  const { leave, result } = await mortal.dawdle(cell, "reset");
  assertEquals(cell.recover(mortal.id), true);
  const value = cell.getOrInit(() => pairOf(2));
  leave();
  assertEquals(await result, "OwnerLostError");
  assertEquals(MutexLazyInit.from(cell.handle, pair).get(), value);
  assertEquals(cell.reset(), true);
});

Deno.test("MutexLazyInit.recover() keeps a worker that is slow to begin from a cell that another initializes", async () => {
  using mortal = await Mortal.start();
  const cell = new MutexLazyInit(pair);
  const { leave, result } = await mortal.dawdle(cell, "getOrInit");
  assertEquals(cell.recover(mortal.id), true);
  const made = Promise.withResolvers<ReturnType<typeof pairOf>>();
  const here = cell.initAsync(() => made.promise);
  leave();
  // It waits for its turn, or has lost that
  await Promise.race([mortal.asleep(), result]);
  made.resolve(pairOf(2));
  assertEquals(await here, pairOf(2));
  const outcome = await result;
  if (outcome !== "OwnerLostError") assertEquals(outcome, pairOf(2));
  assertEquals(cell.reset({ timeout: 0 }), true);
});

Deno.test("MutexLazyInit.recover() leaves no run behind of a worker that begins after it and ends", async () => {
  using mortal = await Mortal.start();
  const cell = new MutexLazyInit(pair);
  const { leave, ended } = await mortal.dawdle(cell, "getOrInit", {
    ends: true,
  });
  assertEquals(cell.recover(mortal.id), true);
  leave();
  await ended();
  cell.recover(mortal.id);
  assertEquals(cell.phase, "uninitialized");
  assertEquals(cell.init(() => pairOf(2)), pairOf(2));
  assertEquals(cell.reset(), true);
});

const STAGES = [
  "taken",
  "initializing",
  "writing",
  "written",
  "published",
  "failed",
  "resetting",
] satisfies Stage[];

for (const stage of STAGES) {
  const published = stage === "published";

  Deno.test(`MutexLazyInit.recover() lets everybody go on if an agent ends when it has come to "${stage}"`, async () => {
    using mortal = await Mortal.start();
    using agents = await Agents.start(2);
    const cell = new MutexLazyInit(pair);
    if (stage === "resetting") cell.init(() => pairOf(3));
    const [entered, leave, ended] = [new Flag(), new Flag(), new Flag()];
    mortal.end(cell, stage, { entered, leave, ended });
    const inInitializer = stage !== "taken" && stage !== "resetting";
    await (inInitializer ? entered : ended).raised();

    const all = agents.all((index) => ({
      kind: "initialize",
      method: index === 0 ? "getOrInit" : "getOrInitAsync",
      handle: cell.handle,
      outcome: { value: pairOf(2) },
    }));
    const here = cell.waitAsync();
    await agents.asleep();
    leave.raise();
    await ended.raised();

    assertEquals(cell.recover(mortal.id), true);
    const values = [...await all, await here];
    const expected = pairOf(published ? 1 : 2);
    assertEquals(values, [expected, expected, expected]);
    assertEquals(cell.recover(mortal.id), false);
    assertEquals(cell.reset({ timeout: 0 }), true);
  });

  if (stage === "taken" || stage === "resetting") continue;

  Deno.test(`LazyInit.recover() lets everybody go on if an agent ends when it has come to "${stage}"`, async () => {
    using mortal = await Mortal.start();
    using agents = await Agents.start(1);
    const cell = new LazyInit(pair);
    const [entered, leave, ended] = [new Flag(), new Flag(), new Flag()];
    mortal.end(cell, stage, { entered, leave, ended });
    await entered.raised();
    const there = agents.do(0, {
      kind: "wait",
      method: "wait",
      handle: cell.handle,
    });
    const here = cell.waitAsync();
    await agents.asleep();
    leave.raise();
    await ended.raised();

    assertEquals(cell.recover(mortal.id), !published);
    assertEquals(
      cell.callOnce(() => pairOf(2)),
      published ? undefined : pairOf(2),
    );
    const expected = pairOf(published ? 1 : 2);
    assertEquals([await there, await here], [expected, expected]);
  });
}

const ENDS: Record<string, (mortal: Mortal) => void> = {
  "is terminated": ({ worker }) => worker.terminate(),
  "closes itself": (mortal) => mortal.tell({ kind: "close" }),
  "throws uncaught": (mortal) => mortal.tell({ kind: "throw" }),
};

for (const [ends, end] of Object.entries(ENDS)) {
  Deno.test(`MutexLazyInit.getOrInitAsync() takes over from an agent that ${ends}`, async () => {
    using mortal = await Mortal.start();
    const cell = new MutexLazyInit(pair);
    await mortal.initialize(cell);
    const values = [
      cell.getOrInitAsync(() => pairOf(2), soon()),
      cell.waitAsync(soon()),
      cell.getOrInitAsync(() => pairOf(2), soon()),
    ];
    end(mortal);
    for (const value of await Promise.all(values)) {
      assertEquals(value, pairOf(2));
    }
  });

  Deno.test(`MutexLazyInit.resetAsync() takes over from an agent that ${ends}`, async () => {
    using mortal = await Mortal.start();
    const cell = new MutexLazyInit(pair);
    await mortal.initialize(cell);
    const reset = cell.resetAsync(soon());
    end(mortal);
    assertEquals(await reset, false);
    assertEquals(cell.init(() => pairOf(2)), pairOf(2));
  });

  Deno.test(`announceAgent() lets Mutex.lockAsync() take over from an agent that ${ends}`, async () => {
    using mortal = await Mortal.start();
    const mutex = new Mutex();
    await mortal.lock(mutex, true);
    const waiting = [mutex.lockAsync(soon()), mutex.lockAsync(soon())];
    end(mortal);
    using token = await Promise.race(waiting);
    assertEquals(token.locked, true);
    assertEquals(token.unlock(), true);
    for (const token of await Promise.all(waiting)) token.unlock();
  });

  Deno.test(`Mutex.recover() lets a worker go on that blocks for the lock of an agent that ${ends}`, async () => {
    using mortal = await Mortal.start();
    using agents = await Agents.start(1);
    const mutex = new Mutex();
    await mortal.lock(mutex, false);
    const holding = agents.hold(0, mutex);
    await agents.asleep(0);
    end(mortal);
    assertEquals(mutex.recover(mortal.id), true);
    const { leave, done } = await holding;
    assertEquals(mutex.recover(mortal.id), false);
    assertEquals(mutex.lockIfAvailable(), null);
    leave();
    await done;
    assertEquals(mutex.lock().unlock(), true);
  });

  Deno.test(`MutexLazyInit.init() wakes the others if one that waits ${ends}`, async () => {
    using mortal = await Mortal.start();
    const cell = new MutexLazyInit(pair);
    mortal.tell({ kind: "wait", handle: cell.handle });
    await mortal.asleep();
    const waiting = cell.waitAsync(soon());
    end(mortal);
    cell.init(() => pairOf(1));
    assertEquals(await waiting, pairOf(1));
  });
}

for (const stage of STAGES) {
  Deno.test(`MutexLazyInit.getOrInitAsync() takes over from an announced agent that ends when it has come to "${stage}"`, async () => {
    using mortal = await Mortal.start();
    const cell = new MutexLazyInit(pair);
    // Waits since before there is anybody to watch
    const early = cell.waitAsync(soon());
    if (stage === "resetting") cell.init(() => pairOf(3));
    const ended = new Flag();
    mortal.end(cell, stage, { announced: true, ended });
    await ended.raised();
    const value = await cell.getOrInitAsync(() => pairOf(2), soon());
    assertEquals(value, pairOf(stage === "published" ? 1 : 2));
    if (stage !== "resetting") assertEquals(await early, value);
  });

  if (stage === "taken" || stage === "resetting") continue;

  Deno.test(`LazyInit.waitAsync() takes over from an announced agent that ends when it has come to "${stage}"`, async () => {
    using mortal = await Mortal.start();
    const cell = new LazyInit(pair);
    const early = cell.waitAsync(soon());
    const ended = new Flag();
    mortal.end(cell, stage, { announced: true, ended });
    if (stage === "published") return assertEquals(await early, pairOf(1));
    await ended.raised();
    await until(() => cell.phase === "uninitialized");
    cell.initOnce(pairOf(2));
    assertEquals(await early, pairOf(2));
  });
}

Deno.test("MutexLazyInit.getOrInitAsync() takes over what an agent that was watched already has begun since", async () => {
  using mortal = await Mortal.start();
  const [first, second] = [new MutexLazyInit(pair), new MutexLazyInit(pair)];
  await mortal.initialize(first);
  const values = [first.getOrInitAsync(() => pairOf(2), soon())];
  await until(() => isWatched(mortal));
  await mortal.initialize(second);
  values.push(second.getOrInitAsync(() => pairOf(3), soon()));
  mortal.worker.terminate();
  assertEquals(await Promise.all(values), [pairOf(2), pairOf(3)]);
});

for (
  const then of ["announce", "announce from another copy"] satisfies Then[]
) {
  Deno.test(`announceAgent() resolves in an initializer that somebody waits for (${then})`, async () => {
    using mortal = await Mortal.start();
    const cell = new MutexLazyInit(pair);
    const leave = new Flag();
    await mortal.initialize(cell, { leave, then });
    const value = cell.waitAsync(soon());
    await until(() => isWatched(mortal));
    leave.raise();
    assertEquals(await value, pairOf(1));
  });
}

Deno.test("MutexLazyInit.getOrInitAsync() takes over even if another agent that waits is blocked", async () => {
  using mortal = await Mortal.start();
  using blocked = await Mortal.start();
  const cell = new MutexLazyInit(pair);
  await mortal.initialize(cell);
  blocked.tell({ kind: "wait", handle: cell.handle });
  await until(() => isWatched(mortal));
  const [entered, leave] = [new Flag(), new Flag()];
  blocked.end(new LazyInit(pair), "initializing", { entered, leave });
  await entered.raised();
  const value = cell.getOrInitAsync(() => pairOf(2), soon());
  mortal.worker.terminate();
  assertEquals(await value, pairOf(2));
  leave.raise();
});

for (const method of ["getOrInitAsync", "resetAsync"] as const) {
  Deno.test(`MutexLazyInit.${method}() takes over though it came before the agent was announced`, async () => {
    using mortal = await Mortal.start();
    using agents = await Agents.start(1);
    const cell = new MutexLazyInit(pair);
    const { release } = await holdLockOf(mortal);
    await mortal.initialize(cell);
    const { handle } = cell;
    const result = agents.do(
      0,
      method === "resetAsync" ? { kind: "reset", handle, method } : {
        kind: "initialize",
        handle,
        method,
        outcome: { value: pairOf(2) },
      },
    );
    await agents.asleep(0);
    assert(!await isWatched(mortal));
    release();
    await until(() => isWatched(mortal));
    mortal.worker.terminate();
    assertEquals(await result, method === "resetAsync" ? false : pairOf(2));
  });
}

Deno.test("MutexLazyInit.resetAsync() goes on if an announced agent ends when it has unlocked and woken nobody", async () => {
  using mortal = await Mortal.start();
  const cell = new MutexLazyInit(pair);
  const leave = new Flag();
  await mortal.initialize(cell, { leave, then: "end when it unlocks" });
  const reset = cell.resetAsync(soon());
  await until(() => isWatched(mortal));
  leave.raise();
  assertEquals(await reset, true);
});

Deno.test("MutexLazyInit.resetAsync() leaves a cell to an agent that goes on unannounced", async () => {
  using mortal = await Mortal.start();
  const cell = new MutexLazyInit(pair);
  const leave = new Flag();
  await mortal.initialize(cell, { leave, then: "lock when it unlocks" });
  const reset = cell.resetAsync(soon());
  await until(() => isWatched(mortal));
  leave.raise();
  // It comes free, as no initializer runs, and is granted to the watch
  await until(async () => !await isWatched(mortal));
  await locks.request(lockName(mortal), soon(), () => {});
  assertEquals(cell.recover(mortal.id), true);
  assertEquals(await reset, true);
});

Deno.test("MutexLazyInit.getOrInitAsync() leaves a cell to an announced agent that lives", async () => {
  using mortal = await Mortal.start();
  // An initializer that has ended before takes no announcement along, …
  await mortal.runBriefly();
  await locks.request(lockName(mortal), soon(), () => {});
  const cell = new MutexLazyInit(pair);
  const leave = new Flag();
  await mortal.initialize(cell, { leave });
  // … and neither does one that ends sooner
  await mortal.runBriefly();
  const value = cell.getOrInitAsync(() => pairOf(2), soon());
  await until(() => isWatched(mortal));
  await laterEndIsNoticed();
  assert(await isWatched(mortal));
  leave.raise();
  assertEquals(await value, pairOf(1));
});

Deno.test("announceAgent() keeps Mutex.lockAsync() from an agent that lives", async () => {
  using mortal = await Mortal.start();
  const mutex = new Mutex();
  await mortal.lock(mutex, true);
  await mortal.runBriefly();
  const token = mutex.lockAsync(soon());
  await until(() => isWatched(mortal));
  await laterEndIsNoticed();
  assert(await isWatched(mortal));
  mortal.worker.terminate();
  assertEquals((await token).unlock(), true);
});

Deno.test("announceAgent() lets an agent be taken over that ends at once in its initializer", async () => {
  using mortal = await Mortal.start();
  await mortal.runBriefly("announce");
  const cell = new MutexLazyInit(pair);
  await mortal.initialize(cell, { then: "close" });
  const value = await cell.getOrInitAsync(() => pairOf(2), soon());
  assertEquals(value, pairOf(2));
});

Deno.test("announceAgent() asks again if the platform has refused", async () => {
  using mortal = await Mortal.start();
  const [mutex, cell] = [new Mutex(), new MutexLazyInit(pair)];
  const entered = new Flag();
  mortal.tell({
    kind: "lock when refused",
    mutex: mutex.buffer,
    handle: cell.handle,
    entered: entered.buffer,
  });
  await entered.raised();
  assertEquals(cell.value, pairOf(1));
  const token = mutex.lockAsync(soon());
  await until(() => isWatched(mortal));
  mortal.worker.terminate();
  assertEquals((await token).unlock(), true);
});

Deno.test("MutexLazyInit.initAsync() frees the Web Lock of its agent", async () => {
  using mortal = await Mortal.start();
  await mortal.runBriefly();
  assertEquals(await locks.request(lockName(mortal), soon(), () => 1), 1);
});

Deno.test("MutexLazyInit.waitAsync() withdraws its request for the Web Lock", async () => {
  using mortal = await Mortal.start();
  const cell = new MutexLazyInit(pair);
  const leave = new Flag();
  // So that it keeps the lock
  await mortal.initialize(cell, { leave, then: "announce" });
  const wait = new AbortController();
  const aborted = cell.waitAsync(wait);
  await until(() => isWatched(mortal));
  wait.abort();
  await assertRejects(() => aborted, DOMException);
  await until(async () => !await isWatched(mortal));

  const value = cell.waitAsync(soon());
  await until(() => isWatched(mortal));
  leave.raise();
  assertEquals(await value, pairOf(1));
  await until(async () => !await isWatched(mortal));
});

for (const spins of [false, true]) {
  const where = spins ? "a loop" : "Atomics.wait";

  Deno.test(`MutexLazyInit.recover() takes over from an announced agent that is terminated in ${where}, as that lives on`, async () => {
    using mortal = await Mortal.start();
    const cell = new MutexLazyInit(pair);
    const [entered, leave, ended] = [new Flag(), new Flag(), new Flag()];
    mortal.end(cell, "initializing", {
      announced: true,
      entered,
      leave,
      spins,
      ended,
    });
    await entered.raised();
    const value = cell.getOrInitAsync(() => pairOf(2), soon());
    await until(() => isWatched(mortal));
    mortal.worker.terminate();
    await laterEndIsNoticed();
    assert(await isWatched(mortal));
    assertEquals(cell.phase, "initializing");
    assertEquals(cell.recover(mortal.id), true);
    assertEquals(await value, pairOf(2));
    leave.raise();
    await ended.raised();
  });
}

for (const Cell of [LazyInit, MutexLazyInit]) {
  Deno.test(`${Cell.name}.recover() takes over from an agent that has not announced itself`, async () => {
    using mortal = await Mortal.start();
    const cell = new Cell(pair);
    const ended = new Flag();
    mortal.end(cell, "initializing", { ended });
    await ended.raised();
    using agents = await Agents.start(1);
    const value = agents.do(0, {
      kind: "wait",
      method: "waitAsync",
      handle: cell.handle,
    });
    await agents.asleep(0);
    await laterEndIsNoticed();
    assertEquals(cell.phase, "initializing");
    assertEquals(cell.recover(mortal.id), true);
    if (cell instanceof LazyInit) cell.initOnce(pairOf(2));
    else cell.init(() => pairOf(2));
    assertEquals(await value, pairOf(2));
  });
}

Deno.test("Mutex.recover() takes over from an agent that has not announced itself", async () => {
  using mortal = await Mortal.start();
  const mutex = new Mutex();
  await mortal.lock(mutex, false);
  const token = mutex.lockAsync(soon());
  mortal.worker.terminate();
  await laterEndIsNoticed();
  assertEquals(mutex.lockIfAvailable(), null);
  assertEquals(mutex.recover(mortal.id), true);
  assertEquals((await token).unlock(), true);
});

Deno.test("MutexLazyInit.recover() takes over from an announced agent that only blocked agents wait for", async () => {
  using mortal = await Mortal.start();
  using agents = await Agents.start(1);
  const cell = new MutexLazyInit(pair);
  await mortal.initialize(cell);
  await until(() => isHeld(mortal));
  const value = agents.do(0, {
    kind: "initialize",
    method: "getOrInit",
    handle: cell.handle,
    outcome: { value: pairOf(2) },
  });
  await agents.asleep(0);
  mortal.worker.terminate();
  // The platform has told of its end
  await locks.request(lockName(mortal), soon(), () => {});
  assertEquals(cell.phase, "initializing");
  assertEquals(cell.recover(mortal.id), true);
  assertEquals(await value, pairOf(2));
});

Deno.test("announceAgent() resolves and does nothing on the main thread of Deno", async () => {
  await announceAgent();
  assertEquals(await isHeld({ id: agentId() }), false);
});
