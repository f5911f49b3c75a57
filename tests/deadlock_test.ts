// Copyright 2026 the lazyinit authors. MIT license.

import {
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import {
  DeadlockError,
  int32,
  LazyInit,
  MutexLazyInit,
  typedArray,
} from "../mod.ts";
import { Agents } from "./_agents.ts";
import { Flag, turns, until } from "./_flag.ts";
import { type Pair, pair, pairOf } from "./_jobs.ts";
import type { Need } from "./testdata/stack_only_worker.ts";

type Method = Parameters<Agents["nest"]>[4];

function rejections(
  results: PromiseSettledResult<unknown>[],
): Error[] {
  return results.flatMap((result) =>
    result.status === "rejected" ? [result.reason] : []
  );
}

/** Fails after a time in which even a busy machine finds any cycle. */
async function soon<T>(promise: Promise<T>): Promise<T> {
  let timer;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("Found no cycle")), 60_000);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Agents, from `first` on, each of which initializes a cell and needs that of the next one. */
async function cycle(agents: Agents, methods: Method[], first = 0) {
  const cells = methods.map((_, index) =>
    new MutexLazyInit(pair, { name: `cell ${index}` })
  );
  const paused = await Promise.all(
    methods.map((method, index) =>
      agents.nest(
        first + index,
        cells[index]!,
        cells[(index + 1) % cells.length]!,
        pairOf(index),
        method,
      )
    ),
  );
  for (const { leave } of paused) leave();
  const results = await soon(
    Promise.allSettled(paused.map(({ done }) => done)),
  );
  return { cells, results };
}

Deno.test("DeadlockError breaks a cycle of up to 16 agents, whatever they wait by", async (t) => {
  using agents = await Agents.start(16);
  for (
    const methods of [
      ["getOrInit", "getOrInit"],
      ["getOrInitAsync", "getOrInitAsync"],
      ["getOrInit", "getOrInitAsync"],
      ["getOrInit", "reset"],
      ["getOrInitAsync", "getOrInit", "getOrInitAsync"],
      new Array<Method>(9).fill("getOrInit"),
      new Array<Method>(9).fill("getOrInitAsync"),
      new Array<Method>(16).fill("getOrInit"),
      new Array<Method>(16).fill("getOrInitAsync"),
    ] satisfies Method[][]
  ) {
    const kinds = [...new Set(methods)].join(" and ");
    await t.step(`${methods.length} by ${kinds}`, async () => {
      const { cells, results } = await cycle(agents, methods);
      const [error, ...others] = rejections(results);
      assertEquals(error?.name, "DeadlockError");
      assertStringIncludes(
        error!.message,
        'Cannot wait for MutexLazyInit "cell ',
      );
      // One gives way, and the others go on
      assertEquals(others, []);
      const failed = results.findIndex(({ status }) => status === "rejected");
      for (const [index, cell] of cells.entries()) {
        // Another one may have needed the value of the one that failed
        if (index !== failed) assertEquals(cell.phase, "initialized");
      }
    });
  }
});

Deno.test("DeadlockError breaks a cycle of three cells in two agents", async () => {
  using agents = await Agents.start(1);
  const [a, b, c] = ["a", "b", "c"].map((name) =>
    new MutexLazyInit(pair, { name })
  ) as [MutexLazyInit<Pair>, MutexLazyInit<Pair>, MutexLazyInit<Pair>];
  const there = await agents.nest(0, a, b, pairOf(1), "getOrInit");
  const here = b.getOrInitAsync(() =>
    c.getOrInitAsync(async () => {
      there.leave();
      return await a.getOrInitAsync(() => pairOf(2));
    })
  );
  const results = await soon(Promise.allSettled([there.done, here]));
  const [error, ...others] = rejections(results);
  assertEquals(error?.name, "DeadlockError");
  if (error instanceof DeadlockError) {
    assertEquals(error.cells, ["b", "c", "a"]);
  }
  assertEquals(others, []);
});

Deno.test("DeadlockError breaks a cycle through LazyInit.wait()", async () => {
  using agents = await Agents.start(2);
  const cells = [new LazyInit(pair), new LazyInit(pair)];
  const paused = await Promise.all([
    agents.nest(0, cells[0]!, cells[1]!, pairOf(0), "wait"),
    agents.nest(1, cells[1]!, cells[0]!, pairOf(0), "wait"),
  ]);
  for (const { leave } of paused) leave();
  const [error] = rejections(
    await soon(Promise.allSettled([
      Promise.race(paused.map(({ done }) => done)),
    ])),
  );
  assertEquals(error?.name, "DeadlockError");
  // The other one waits for the cell of the one that gave way
  const given = cells.find((cell) => cell.phase === "uninitialized")!;
  given.initOnce(pairOf(7));
  const values = (await Promise.allSettled(paused.map(({ done }) => done)))
    .filter(({ status }) => status === "fulfilled");
  assertEquals(values, [{ status: "fulfilled", value: pairOf(7) }]);
});

for (const method of ["getOrInitAsync", "waitAsync", "resetAsync"] as const) {
  Deno.test(`DeadlockError breaks a cycle of two agents without asynchronous contexts by ${method}()`, async () => {
    const url = new URL("./testdata/stack_only_worker.ts", import.meta.url);
    const workers = [0, 1].map(() => new Worker(url, { type: "module" }));
    try {
      await Promise.all(workers.map(answer));
      const cells = workers.map(() => new MutexLazyInit(int32));
      const entered = workers.map(() => new Flag());
      const leave = new Flag();
      const answers = workers.map(answer);
      for (const [index, worker] of workers.entries()) {
        worker.postMessage(
          {
            handle: cells[index]!.handle,
            inner: cells[1 - index]!.handle,
            method,
            entered: entered[index]!.buffer,
            leave: leave.buffer,
          } satisfies Need,
        );
      }
      await Promise.all(entered.map((flag) => flag.raised()));
      leave.raise();
      if (method === "waitAsync") {
        // The other one goes on to wait for the cell of the one that gave way
        assertEquals(await soon(Promise.race(answers)), "DeadlockError");
        return;
      }
      assertEquals(
        (await soon(Promise.all(answers))).toSorted(),
        ["DeadlockError", "initialized"],
      );
    } finally {
      for (const worker of workers) worker.terminate();
    }
  });
}

function answer(worker: Worker): Promise<unknown> {
  return new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = (event) => {
      event.preventDefault();
      reject(new Error(event.message));
    };
  });
}

Deno.test("DeadlockError meets the wait that closes a cycle in one agent at once", async () => {
  const [a, b] = ["a", "b"].map((name) => new MutexLazyInit(int32, { name }));
  const begun = Promise.withResolvers<void>();
  const released = Promise.withResolvers<void>();
  const made = Promise.withResolvers<number>();
  const slow = new MutexLazyInit(int32);
  const making = slow.initAsync(() => made.promise);
  let turned = false;
  const first = a!.getOrInitAsync(async () => {
    await begun.promise;
    const [, value] = await Promise.all([
      slow.waitAsync(),
      b!.getOrInitAsync(() => 1),
      slow.waitAsync(),
    ]);
    return value;
  });
  const second = b!.getOrInitAsync(async () => {
    begun.resolve();
    await released.promise;
    // The same memory behind another object
    const again = MutexLazyInit.from(structuredClone(a!.handle), int32);
    setTimeout(() => turned = true);
    return await again.getOrInitAsync(() => 2);
  });
  await begun.promise;
  released.resolve();
  const error = await assertRejects(() => second, DeadlockError);
  assertEquals(turned, false);
  assertEquals(error.cells, ["b", "a"]);
  assertEquals(
    error.message,
    'Cannot wait for MutexLazyInit "a" as its initializer waits, itself or through others, for MutexLazyInit "b", which this agent is initializing: initialize cells in one order everywhere',
  );
  made.resolve(3);
  assertEquals(await Promise.all([first, making]), [1, 3]);
});

Deno.test("DeadlockError meets the wait that closes a cycle of many tasks of one agent", async () => {
  const cells = Array.from(
    { length: 100 },
    (_, index) => new MutexLazyInit(int32, { name: `${index}` }),
  );
  const begun = Promise.withResolvers<void>();
  const results = await soon(Promise.allSettled(
    cells.map((cell, index) =>
      cell.getOrInitAsync(async () => {
        if (index === cells.length - 1) begun.resolve();
        await begun.promise;
        return await cells[(index + 1) % cells.length]!
          .getOrInitAsync(() => index);
      })
    ),
  ));
  const [error, ...others] = rejections(results);
  assertInstanceOf(error, DeadlockError);
  assertEquals(others, []);
});

Deno.test("DeadlockError breaks a cycle beside which one waits for 1,000 cells that wait for a slow one", async () => {
  using agents = await Agents.start(1);
  const made = Promise.withResolvers<Pair>();
  const slow = new MutexLazyInit(pair);
  const beside = Array.from({ length: 1000 }, () => new MutexLazyInit(int32));
  const waiting = [
    slow.initAsync(() => made.promise),
    ...beside.map((cell) =>
      cell.initAsync(async () => (await slow.waitAsync()).left)
    ),
  ];
  const [a, b] = [new MutexLazyInit(pair), new MutexLazyInit(pair)];
  const there = await agents.nest(0, b, a, pairOf(1), "getOrInit");
  const here = a.initAsync(async () => {
    there.leave();
    const all = beside.map((cell) => cell.waitAsync());
    const value = await b.getOrInitAsync(() => pairOf(2));
    await Promise.all(all);
    return value;
  });
  // One that fails ends the cycle, not the wait of the other for what is beside
  const failed = new Promise<Error>((resolve) => {
    here.catch(resolve);
    there.done.catch(resolve);
  });
  assertEquals((await soon(failed)).name, "DeadlockError");
  made.resolve(pairOf(3));
  await Promise.all(waiting);
  assertEquals(
    rejections(await Promise.allSettled([here, there.done])).length,
    1,
  );
});

Deno.test("DeadlockError does not meet those that wait in a row", async () => {
  using agents = await Agents.start(5);
  const cells = [0, 1, 2].map(() => new MutexLazyInit(pair));
  const last = await agents.initialize(2, cells[2]!, { value: pairOf(7) });
  const paused = await Promise.all([
    agents.nest(0, cells[0]!, cells[1]!, pairOf(0), "getOrInit"),
    agents.nest(1, cells[1]!, cells[2]!, pairOf(0), "getOrInitAsync"),
  ]);
  for (const { leave } of paused) leave();
  await passTime(agents, 3);
  last.leave();
  assertEquals(await paused[0]!.done, pairOf(7));
  assertEquals(await paused[1]!.done, pairOf(7));
});

/** Has two agents find a cycle of their own several times, in which others could have, too. */
async function passTime(agents: Agents, first: number): Promise<void> {
  for (let round = 0; round < 3; round++) {
    await cycle(agents, ["getOrInit", "getOrInitAsync"], first);
  }
}

Deno.test("DeadlockError does not meet a wait for one whose own wait has timed out", async () => {
  using agents = await Agents.start(3);
  const [a, b] = ["a", "b"].map((name) => new MutexLazyInit(pair, { name }));
  const made = Promise.withResolvers<Pair>();
  const begun = Promise.withResolvers<void>();
  const there = await agents.nest(0, b!, a!, pairOf(1), "getOrInitAsync");
  const waiting = a!.initAsync(async () => {
    // Closes a cycle when the other one goes on, and opens it before that
    const controller = new AbortController();
    const wait = b!.waitAsync({ signal: controller.signal });
    controller.abort(new Error("Enough"));
    await wait.catch(() => {});
    begun.resolve();
    return await made.promise;
  });
  await begun.promise;
  there.leave();
  await passTime(agents, 1);
  made.resolve(pairOf(2));
  assertEquals(await waiting, pairOf(2));
  assertEquals(await there.done, pairOf(2));
});

Deno.test("DeadlockError does not meet a wait through a cell that was taken from the agent that waits", async () => {
  using agents = await Agents.start(3);
  const [a, b, c] = ["a", "b", "c"].map((name) =>
    new MutexLazyInit(pair, { name })
  ) as [MutexLazyInit<Pair>, MutexLazyInit<Pair>, MutexLazyInit<Pair>];
  const [first, second] = [
    Promise.withResolvers<void>(),
    Promise.withResolvers<Pair>(),
  ];
  const id = await agents.do(0, { kind: "agentId" });
  const lost = await agents.nest(0, a, b, pairOf(1), "wait");
  assertEquals(a.recover(id), true);
  // b waits for a, a for c; the agent that has lost a waits for b
  const values = [
    c.initAsync(() => second.promise),
    a.initAsync(async () => {
      await first.promise;
      return await c.waitAsync();
    }),
    b.initAsync(() => a.waitAsync()),
  ];
  first.resolve();
  lost.leave();
  await passTime(agents, 1);
  second.resolve(pairOf(2));
  assertEquals(await Promise.all(values), [pairOf(2), pairOf(2), pairOf(2)]);
  await assertRejects(() => lost.done, Error, "declared dead");
});

Deno.test("DeadlockError is thrown by a call that blocks other initializers of its agent", async () => {
  using agents = await Agents.start(1);
  const [a, b] = ["a", "b"].map((name) =>
    new MutexLazyInit(pair, { name })
  ) as [MutexLazyInit<Pair>, MutexLazyInit<Pair>];
  const made = Promise.withResolvers<Pair>();
  const here = a.initAsync(() => made.promise);
  const there = await agents.nest(0, b, a, pairOf(1), "getOrInit");
  there.leave();
  // Not within the initializer of a, which cannot go on meanwhile
  const error = blockFor(b);
  made.resolve(pairOf(3));
  assertEquals(await here, pairOf(3));
  await assertOneGaveWay(error, there.done);
});

Deno.test("DeadlockError is thrown by a call that blocks between the failure of an initializer and its end", async () => {
  using agents = await Agents.start(1);
  const [a, b] = ["a", "b"].map((name) =>
    new MutexLazyInit(pair, { name })
  ) as [MutexLazyInit<Pair>, MutexLazyInit<Pair>];
  const made = Promise.withResolvers<Pair>();
  let error: Error | undefined;
  // Before the one of the cell, which gives the cell back
  made.promise.catch(() => error = blockFor(b));
  const here = a.initAsync(() => made.promise);
  const there = await agents.nest(0, b, a, pairOf(1), "getOrInit");
  there.leave();
  made.reject(new Error("No luck"));
  await assertRejects(() => here, Error, "No luck");
  await assertOneGaveWay(error, there.done);
});

/** Blocks this agent until the cell is initialized, and returns what was thrown. */
function blockFor(cell: MutexLazyInit<Pair>): Error | undefined {
  try {
    cell.getOrInit(() => pairOf(2), { timeout: 60_000 });
  } catch (error) {
    return error as Error;
  }
}

async function assertOneGaveWay(
  here: Error | undefined,
  there: Promise<unknown>,
): Promise<void> {
  const [error] = rejections(await soon(Promise.allSettled([there])));
  const errors = [here, error].map((error) => error?.name);
  assertEquals(errors.toSorted(), ["DeadlockError", undefined]);
}

Deno.test("MutexLazyInit polls for no wait whose initializer has finished", async () => {
  const url = new URL("./testdata/timers_worker.ts", import.meta.url);
  const worker = new Worker(url, { type: "module" });
  const { during, after, rest, atTheEnd } = await answer(worker) as Record<
    "during" | "after" | "rest" | "atTheEnd",
    number[]
  >;
  worker.terminate();
  assertEquals(during.filter((delay) => delay <= 10).length, 1);
  assertEquals(after.filter((delay) => delay <= 10), []);
  // Nothing keeps the event loop alive
  assertEquals([rest, atTheEnd], [[], []]);
});

Deno.test("MutexLazyInit keeps no memory alive for what an initializer has left behind", async () => {
  let timer: ReturnType<typeof setTimeout> | undefined;
  async function initialize(): Promise<WeakRef<SharedArrayBuffer>> {
    const cell = new MutexLazyInit(typedArray(Uint8Array, 1 << 20));
    await cell.getOrInitAsync(async () => {
      await Promise.resolve();
      timer = setTimeout(() => {}, 2 ** 31 - 1);
      new Promise(() => {}).then(() => {});
    });
    return new WeakRef(cell.handle.buffer);
  }
  const buffer = await initialize();
  await until(() => {
    // Enough garbage that it is collected
    Array.from({ length: 1e6 }, (_, index) => ({ index }));
    return buffer.deref() === undefined;
  });
  clearTimeout(timer);
});

Deno.test("MutexLazyInit takes none of many initializers within one for another", () => {
  const cell = new MutexLazyInit(int32);
  const value = cell.getOrInit(() => {
    let last = 0;
    for (let i = 0; i <= 65_536; i++) {
      last = new MutexLazyInit(int32).getOrInit(() => i);
    }
    return last;
  });
  assertEquals(value, 65_536);
});

Deno.test("MutexLazyInit takes none of many initializers that run at once for another", async () => {
  const { promise, resolve } = Promise.withResolvers<number>();
  const cells = Array.from({ length: 2_000 }, () => new MutexLazyInit(int32));
  const slow = cells.map((cell) => cell.initAsync(() => promise));
  const outer = new MutexLazyInit(int32);
  const value = outer.initAsync(async () => {
    const values = cells.map((cell) => cell.waitAsync());
    resolve(1);
    return (await Promise.all(values)).length;
  });
  assertEquals(await value, 2_000);
  await Promise.all(slow);
});

Deno.test("MutexLazyInit.getOrInitAsync() within an initializer ends when its signal is aborted", async () => {
  for (const early of [false, true]) {
    const a = new MutexLazyInit(int32);
    const b = new MutexLazyInit(int32);
    const { promise, resolve } = Promise.withResolvers<number>();
    const slow = b.initAsync(() => promise);
    const controller = new AbortController();
    if (early) controller.abort(new Error("Enough"));
    const nested = a.initAsync(() => {
      const value = b.getOrInitAsync(() => 1, { signal: controller.signal });
      controller.abort(new Error("Enough"));
      return value;
    });
    const outcome = nested.catch(({ message }) => message);
    // One that does not listen goes on after this
    await turns();
    resolve(1);
    assertEquals(await slow, 1);
    assertEquals(await outcome, "Enough");
  }
});
