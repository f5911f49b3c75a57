// Copyright 2026 the lazyinit authors. MIT license.

import {
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { DeadlockError, int32, LazyInit, MutexLazyInit } from "../mod.ts";
import { Agents } from "./testdata/agents.ts";
import { until } from "./testdata/flag.ts";
import { type Pair, pair, pairOf } from "./testdata/jobs.ts";

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
    `Cannot wait for MutexLazyInit "${wanted}" as its initializer waits, itself or through others, for MutexLazyInit "${held}", which this one is initializing: initialize cells in one order everywhere`,
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
  await until(() => cells.slice(0, 2).every((cell) => probeOf(cell) !== 0));
  last.leave();
  assertEquals(await paused[0]!.done, pairOf(7));
  assertEquals(await paused[1]!.done, pairOf(7));
  assertEquals(cells.map(probeOf), [0, 0, 0]);
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
