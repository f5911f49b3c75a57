// Copyright 2026 the lazyinit authors. MIT license.

/*
 * Values of any size in cells: what is read beside a reset, how much is zeroed when, and
 * what becomes of values and memory that do not fit.
 */

import {
  assert,
  assertEquals,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import {
  agentId,
  int32,
  LazyInit,
  Mutex,
  MutexLazyInit,
  OnceState,
  OwnerLostError,
  string,
  typedArray,
} from "../mod.ts";
import { SLICE_BYTES } from "../_resetting.ts";

const bytes = typedArray(Uint8Array);

/** A cell that several turns are needed to reset, and how many. */
function large(turns = 3): MutexLazyInit<Uint8Array> {
  const cell = new MutexLazyInit(bytes);
  cell.init((_slot, allocate) => allocate(turns * SLICE_BYTES).fill(1));
  return cell;
}

/** How many bytes of the value are not zeroed yet. */
function left(view: Readonly<Uint8Array>): number {
  return view.lastIndexOf(1) + 1;
}

/** Resolves when the timers that are due have gone off. */
function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}

Deno.test("MutexLazyInit.read() returns what the reader returns, and undefined without a value", () => {
  const cell = new MutexLazyInit(bytes);
  assertEquals(cell.read(() => 1), undefined);
  cell.init(() => Uint8Array.of(1, 2, 3));
  assertEquals(cell.read((value) => value.length), 3);
  assertEquals(cell.read(() => undefined), undefined);
  cell.reset();
  assertEquals(cell.read(() => 1), undefined);
});

Deno.test("MutexLazyInit.read() gives the reader the value that get() returns", () => {
  const cell = new MutexLazyInit(string());
  cell.init(() => "Zürich");
  assertStrictEquals(cell.read((value) => value), cell.get());
});

Deno.test("MutexLazyInit.read() calls the reader again with the next value if a reset comes in between", () => {
  const cell = new MutexLazyInit(bytes);
  // As in another agent
  const other = MutexLazyInit.from(cell.handle, bytes);
  other.init(() => Uint8Array.of(1));
  const seen: number[] = [];
  const result = cell.read((value) => {
    seen.push(value[0]!);
    if (seen.length === 1) {
      other.reset();
      other.init(() => Uint8Array.of(2, 2));
    }
    return [value[0], value.length];
  });
  assertEquals(seen, [1, 2]);
  assertEquals(result, [2, 2]);
});

Deno.test("MutexLazyInit.read() returns undefined if nothing follows the value that was reset", () => {
  const cell = new MutexLazyInit(bytes);
  const other = MutexLazyInit.from(cell.handle, bytes);
  other.init(() => Uint8Array.of(1));
  let calls = 0;
  assertEquals(
    cell.read(() => {
      calls++;
      other.reset();
      return "torn";
    }),
    undefined,
  );
  assertEquals(calls, 1);
});

Deno.test("MutexLazyInit.read() drops what the reader throws over a value that was reset", () => {
  const cell = new MutexLazyInit(bytes);
  const other = MutexLazyInit.from(cell.handle, bytes);
  other.init(() => Uint8Array.of(1));
  assertEquals(
    cell.read((value) => {
      if (value[0] === 2) return "whole";
      other.reset();
      other.init(() => Uint8Array.of(2));
      throw new Error("torn");
    }),
    "whole",
  );
  assertThrows(
    () =>
      cell.read(() => {
        throw new Error("mine");
      }),
    Error,
    "mine",
  );
});

Deno.test("MutexLazyInit.read() lets the reader use the cell", () => {
  const cell = new MutexLazyInit(bytes);
  cell.init(() => Uint8Array.of(1));
  let resets = 0;
  assertEquals(
    cell.read((value) => {
      if (resets++ === 0) {
        cell.reset();
        cell.init(() => Uint8Array.of(7));
        cell.get();
      }
      return value[0];
    }),
    7,
  );
  assertEquals(cell.read(() => cell.read((value) => value[0])), 7);
});

Deno.test("MutexLazyInit.read() refuses a reader that is no function or returns a promise", () => {
  const cell = new MutexLazyInit(int32);
  cell.init(() => 42);
  assertThrows(
    () => cell.read(undefined as unknown as () => void),
    TypeError,
    "Cannot read the cell as 'reader' must be a function: current value is undefined",
  );
  assertThrows(
    () => cell.read(() => Promise.reject(new Error("unheard"))),
    TypeError,
    "Cannot read the cell as 'reader' must not return a promise: the value may be torn by the time when that settles",
  );
});

Deno.test("MutexLazyInit.resetAsync() zeroes a large value in slices of several turns", async () => {
  const cell = large(3);
  const view = cell.value;
  // Due before the first of the timers that the reset starts
  const between = turn().then(() => left(view));
  const reset = cell.resetAsync();
  assertEquals(left(view), 2 * SLICE_BYTES);
  assertEquals(await between, 2 * SLICE_BYTES);
  while (cell.phase === "initializing") {
    assertEquals(left(view) % SLICE_BYTES, 0);
    await turn();
  }
  assertEquals(await reset, true);
  assertEquals(left(view), 0);
  assertEquals(cell.phase, "uninitialized");
  assertEquals(await cell.resetAsync(), false);
});

Deno.test("MutexLazyInit.resetAsync() zeroes a small value at once", async () => {
  const cell = large(1);
  const reset = cell.resetAsync();
  assertEquals(cell.phase, "uninitialized");
  assertEquals(await reset, true);
});

Deno.test("MutexLazyInit.resetAsync() is finished by synchronous calls of the same agent", async () => {
  const calls: ((cell: MutexLazyInit<Uint8Array>) => unknown)[] = [
    (cell) => cell.init(() => Uint8Array.of(9)),
    (cell) => cell.getOrInit(() => Uint8Array.of(9), { timeout: 0 }),
    (cell) => assertEquals(cell.reset(), false),
    (cell) => assertThrows(() => cell.wait({ timeout: 0 }), DOMException),
  ];
  for (const call of calls) {
    const cell = large();
    const view = cell.value;
    const reset = cell.resetAsync();
    assertEquals(cell.phase, "initializing");
    assertEquals(cell.get(), undefined);
    assertEquals(cell.read(() => "a value"), undefined);
    // By another object, as another copy of the package might
    call(MutexLazyInit.from(cell.handle, bytes));
    assertEquals(left(view), 0);
    assert(cell.phase !== "initializing");
    assertEquals(await reset, true);
  }
});

Deno.test("MutexLazyInit.resetAsync() lets asynchronous calls of the same agent wait", async () => {
  const cell = large();
  const reset = cell.resetAsync();
  const [again, value] = await Promise.all([
    cell.resetAsync(),
    cell.getOrInitAsync(() => Uint8Array.of(9)),
  ]);
  assertEquals([again, value[0], await reset], [false, 9, true]);
});

Deno.test("MutexLazyInit.resetAsync() goes on after its signal was aborted", async () => {
  const cell = large();
  const controller = new AbortController();
  const reset = cell.resetAsync({ signal: controller.signal });
  controller.abort(new Error("late"));
  await assertRejects(() => reset, Error, "late");
  await cell.getOrInitAsync(() => Uint8Array.of(9));
  assertEquals(cell.value[0], 9);
});

Deno.test("MutexLazyInit.resetAsync() rejects if its agent is declared dead between slices", async () => {
  const cell = large();
  const view = cell.value;
  const reset = cell.resetAsync();
  // As another agent does
  assertEquals(cell.recover(agentId()), true);
  assertEquals(left(view), 0);
  cell.init((_slot, allocate) => allocate(5).fill(7));
  await assertRejects(
    () => reset,
    OwnerLostError,
    "Cannot reset MutexLazyInit as this agent must own the cell: it was declared dead by recover() meanwhile",
  );
  assertEquals([...cell.value], [7, 7, 7, 7, 7]);
});

Deno.test("MutexLazyInit.resetAsync() leaves the next initializer alone if its agent is declared dead", async () => {
  const cell = large();
  const reset = cell.resetAsync();
  const lost = assertRejects(() => reset, OwnerLostError);
  cell.recover(agentId());
  const value = await cell.getOrInitAsync(async (_slot, allocate) => {
    const view = allocate(2 * SLICE_BYTES).fill(7);
    // The turn of the reset comes while this agent owns the cell again
    await lost;
    return view;
  });
  assertEquals(value[0], 7);
  assertEquals(value.at(-1), 7);
});

Deno.test("LazyInit.wait() finishes the resets of its agent before it blocks", async () => {
  const cell = large();
  const view = cell.value;
  const reset = cell.resetAsync();
  assertThrows(() => new LazyInit(int32).wait({ timeout: 1 }), DOMException);
  assertEquals(left(view), 0);
  assertEquals(await reset, true);
});

Deno.test("OnceState.wait() and Mutex.lockIfAvailable() finish the resets of their agent before they block", async () => {
  const mutex = new Mutex();
  // Of an agent that there is not
  new Int32Array(mutex.buffer)[0] = agentId() ^ 1;
  for (
    const block of [
      () => assertEquals(new OnceState().wait(1), false),
      () => assertEquals(mutex.lockIfAvailable(1), null),
    ]
  ) {
    const cell = large();
    const view = cell.value;
    const reset = cell.resetAsync();
    block();
    assertEquals(left(view), 0);
    assertEquals(await reset, true);
  }
});
