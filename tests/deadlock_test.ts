// Copyright 2026 the lazyinit authors. MIT license.

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { currentRuns, type Run } from "../_running.ts";
import { DeadlockError, int32, LazyInit, MutexLazyInit } from "../mod.ts";
import { Agents } from "./_agents.ts";
import { until } from "./_flag.ts";
import { type Pair, pair, pairOf } from "./_jobs.ts";

type Method = Parameters<Agents["nest"]>[4];

function rejections(
  results: PromiseSettledResult<unknown>[],
): Error[] {
  return results.flatMap((result) =>
    result.status === "rejected" ? [result.reason] : []
  );
}

/** What the header tells other agents of the initializer that waits, 0 if it does not. */
function probeOf({ handle }: MutexLazyInit<unknown>): number {
  return new Uint32Array(handle.buffer)[3]! >>> 16;
}

/** A probe of the last level that no initializer draws here, as the cell of origin shows it. */
function foreign(nonce: number): number {
  return (3 << 10 | nonce) << 4 | 15;
}

/** Has a cell whose initializer does not wait show a probe as if it did. */
function show({ handle }: MutexLazyInit<unknown>, probe: number): void {
  const words = new Uint32Array(handle.buffer);
  words[3] = probe << 16 | words[3]! & 0xffff;
}

/** Agents each of which initializes a cell and needs that of the next one. */
async function cycle(agents: Agents, methods: Method[]) {
  const cells = methods.map((_, index) =>
    new MutexLazyInit(pair, { name: `cell ${index}` })
  );
  const paused = await Promise.all(
    methods.map((method, index) =>
      agents.nest(
        index,
        cells[index]!,
        cells[(index + 1) % cells.length]!,
        pairOf(index),
        method,
      )
    ),
  );
  for (const { leave } of paused) leave();
  const results = await Promise.allSettled(paused.map(({ done }) => done));
  return { cells, results };
}

for (
  const methods of [
    ["getOrInit", "getOrInit"],
    ["getOrInitAsync", "getOrInitAsync"],
    ["getOrInit", "getOrInitAsync"],
    ["getOrInit", "reset"],
    ["getOrInit", "getOrInit", "getOrInit"],
    ["getOrInitAsync", "getOrInit", "getOrInitAsync"],
    ["getOrInit", "getOrInit", "getOrInit", "getOrInit", "getOrInit"],
  ] satisfies Method[][]
) {
  Deno.test(`DeadlockError breaks a cycle of ${methods.join(", ")} in as many agents`, async () => {
    using agents = await Agents.start(methods.length);
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
      // Somebody may have needed the value of the one that failed
      if (index !== failed) assertEquals(cell.phase, "initialized");
      assertEquals(probeOf(cell), 0);
    }
  });
}

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
  const results = await Promise.allSettled([there.done, here]);
  const [error, ...others] = rejections(results);
  assertEquals(error?.name, "DeadlockError");
  if (error instanceof DeadlockError) {
    assertEquals(error.cells, ["b", "c", "a"]);
  }
  assertEquals(others, []);
});

Deno.test("DeadlockError breaks a cycle of two tasks of one agent, and names their cells", async () => {
  const a = new MutexLazyInit(int32, { name: "a" });
  const b = new MutexLazyInit(int32, { name: "b" });
  const begun = Promise.withResolvers<void>();
  const results = await Promise.allSettled([
    a.getOrInitAsync(async () => {
      await begun.promise;
      return await b.getOrInitAsync(() => 1);
    }),
    b.getOrInitAsync(() => {
      begun.resolve();
      return a.getOrInitAsync(() => 2);
    }),
  ]);
  const [error, ...others] = rejections(results);
  assertInstanceOf(error, DeadlockError);
  assertEquals(others, []);
  const [held, wanted] = error.cells;
  assertEquals([held, wanted].toSorted(), ["a", "b"]);
  assertEquals(
    error.message,
    `Cannot wait for MutexLazyInit "${wanted}" as its initializer waits, itself or through others, for MutexLazyInit "${held}", which this agent is initializing: initialize cells in one order everywhere`,
  );
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
    await Promise.allSettled([
      Promise.race(paused.map(({ done }) => done)),
    ]),
  );
  assertEquals(error?.name, "DeadlockError");
  // The other one waits for the cell of the one that gave way
  const given = cells.find((cell) => cell.phase === "uninitialized")!;
  given.initOnce(pairOf(7));
  const values = (await Promise.allSettled(paused.map(({ done }) => done)))
    .filter(({ status }) => status === "fulfilled");
  assertEquals(values, [{ status: "fulfilled", value: pairOf(7) }]);
});

Deno.test("DeadlockError does not meet those who wait in a row", async () => {
  using agents = await Agents.start(3);
  const cells = [0, 1, 2].map(() => new MutexLazyInit(pair));
  const last = await agents.initialize(2, cells[2]!, { value: pairOf(7) });
  const paused = await Promise.all([
    agents.nest(0, cells[0]!, cells[1]!, pairOf(0), "getOrInit"),
    agents.nest(1, cells[1]!, cells[2]!, pairOf(0), "getOrInitAsync"),
  ]);
  for (const { leave } of paused) leave();
  let failed = false;
  paused[0]!.done.catch(() => failed = true);
  // Each has come through both, so both have looked as often
  for (let nonce = 1; nonce <= 8 && !failed; nonce++) {
    show(cells[2]!, foreign(nonce));
    await until(() => failed || probeOf(cells[0]!) === foreign(nonce) - 2);
  }
  show(cells[2]!, 0);
  last.leave();
  assertEquals(await paused[0]!.done, pairOf(7));
  assertEquals(await paused[1]!.done, pairOf(7));
  assertEquals(cells.map(probeOf), [0, 0, 0]);
});

Deno.test("DeadlockError breaks a cycle beside which one waits for a cell that is merely slow", async () => {
  for (const order of ["before", "after"]) {
    const [a, b, c] = [0, 1, 2].map(() => new MutexLazyInit(int32));
    const begun = Promise.withResolvers<void>();
    const made = Promise.withResolvers<number>();
    const slow = c!.initAsync(() => made.promise);
    const waiting = [
      a!.initAsync(async () => {
        await begun.promise;
        const values = order === "before"
          ? [c!.waitAsync(), b!.getOrInitAsync(() => 1)]
          : [b!.getOrInitAsync(() => 1), c!.waitAsync()];
        return (await Promise.all(values)).length;
      }),
      b!.initAsync(() => {
        begun.resolve();
        return a!.getOrInitAsync(() => 2);
      }),
    ];
    await assertRejects(() => Promise.all(waiting), DeadlockError);
    made.resolve(3);
    assertEquals(await slow, 3);
    const [error, ...others] = rejections(await Promise.allSettled(waiting));
    assertInstanceOf(error, DeadlockError);
    assertEquals(others, []);
    assertEquals([a!, b!, c!].map(probeOf), [0, 0, 0]);
  }
});

Deno.test("DeadlockError looks through all waits of an initializer at once", async () => {
  const [a, b, c] = ["a", "b", "c"].map((name) =>
    new MutexLazyInit(int32, { name })
  ) as [MutexLazyInit<number>, MutexLazyInit<number>, MutexLazyInit<number>];
  const made = Promise.withResolvers<number>();
  const slow = [b, c].map((cell) => cell.initAsync(() => made.promise));
  let error: unknown;
  const waiting = a.initAsync(async () =>
    (await Promise.all([b.waitAsync(), c.waitAsync()])).length
  ).catch((reason) => error = reason);

  // The greatest that any of the cells shows is passed on, …
  for (const [greater, less] of [[b, c], [c, b]] as const) {
    show(greater, foreign(9));
    show(less, foreign(7));
    await until(() => probeOf(a) >= foreign(7) - 1);
    assertEquals(probeOf(a), foreign(9) - 1);
    for (const cell of [b, c]) show(cell, 0);
    await until(() => probeOf(a) < foreign(0) - 15);
  }

  // … and the initializer's own is recognized wherever it comes round
  let shown = c;
  while (error === undefined) {
    const probe = probeOf(a);
    show(shown, 0);
    shown = shown === b ? c : b;
    show(shown, probe);
    await until(() => probeOf(a) !== probe);
  }
  await waiting;
  assertInstanceOf(error, DeadlockError);
  assertEquals(error.cells, ["a", shown.name]);
  made.resolve(1);
  await Promise.all(slow);
});

Deno.test("DeadlockError breaks a cycle beside which there is a greater probe", async () => {
  const [a, b, c] = [0, 1, 2].map(() => new MutexLazyInit(int32));
  const begun = Promise.withResolvers<void>();
  const made = Promise.withResolvers<number>();
  const slow = c!.initAsync(() => made.promise);
  let released = false;
  const patience = setTimeout(() => {
    released = true;
    made.resolve(3);
  }, 50_000);
  const { random } = Math;
  let drawn = 0;
  Math.random = () => drawn += 0.1;
  const waiting = Promise.all([
    a!.initAsync(async () => {
      await begun.promise;
      return (await Promise.all([b!.waitAsync(), c!.waitAsync()])).length;
    }),
    b!.initAsync(async () => {
      await Promise.resolve();
      const value = a!.waitAsync();
      begun.resolve();
      return await value;
    }),
  ]);
  await begun.promise;
  await Promise.resolve();
  Math.random = random;
  assertEquals(drawn, 0.2);
  show(c!, 512 << 4 | 15);
  await assertRejects(() => waiting, DeadlockError);
  assertEquals(released, false);
  clearTimeout(patience);
  made.resolve(3);
  await slow;
});

Deno.test("DeadlockError is thrown by a call that blocks other initializers of its agent", async () => {
  using agents = await Agents.start(1);
  const [a, b] = ["a", "b"].map((name) =>
    new MutexLazyInit(pair, { name })
  ) as [
    MutexLazyInit<Pair>,
    MutexLazyInit<Pair>,
  ];
  const made = Promise.withResolvers<Pair>();
  const here = a.initAsync(() => made.promise);
  const there = await agents.nest(0, b, a, pairOf(1), "getOrInit");
  there.leave();
  let error: Error | undefined;
  try {
    // Not within the initializer of a, which cannot go on meanwhile
    b.getOrInit(() => pairOf(2), { timeout: 30_000 });
  } catch (thrown) {
    error = thrown as Error;
  }
  made.resolve(pairOf(3));
  assertEquals(await here, pairOf(3));
  if (error === undefined) {
    await assertRejects(
      () => there.done,
      Error,
      'Cannot wait for MutexLazyInit "a"',
    );
    assertEquals(b.value, pairOf(2));
  } else {
    assertInstanceOf(error, DeadlockError);
    assertEquals(error.cells, ["a", "b"]);
    assertEquals(await there.done, pairOf(3));
  }
  assertEquals([a, b].map(probeOf), [0, 0]);
});

Deno.test("MutexLazyInit keeps no initializers that have finished, however many start each other", async () => {
  const finished = Promise.withResolvers<Run[]>();
  function start(left: number): void {
    new MutexLazyInit(int32).initAsync(async () => {
      await Promise.resolve();
      if (left > 0) start(left - 1);
      else {
        const kept: Run[] = [];
        let run: Run | undefined = currentRuns()[0];
        for (; run !== undefined; run = run.outer) kept.push(run);
        finished.resolve(kept);
      }
      return left;
    });
  }
  start(100);
  assert((await finished.promise).length <= 2);
});

Deno.test("MutexLazyInit.getOrInitAsync() within an initializer ends when its signal is aborted", async () => {
  const a = new MutexLazyInit(int32);
  const b = new MutexLazyInit(int32);
  const { promise, resolve } = Promise.withResolvers<number>();
  const slow = b.initAsync(() => promise);
  const controller = new AbortController();
  const nested = a.initAsync(() => {
    const value = b.getOrInitAsync(() => 1, { signal: controller.signal });
    controller.abort(new Error("Enough"));
    return value;
  });
  await assertRejects(() => nested, Error, "Enough");
  assertEquals(probeOf(a), 0);
  resolve(1);
  assertEquals(await slow, 1);
});
