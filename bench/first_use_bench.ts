// Copyright 2026 the lazyinit authors. MIT license.

/*
 * What it costs to make a cell and to initialize it, where nobody else is in the
 * way, against the bare operations that it is made of and against packages.
 *
 * Each run works on as many fresh cells, which it makes before the time counts. Each
 * subject has a loop of its own, so that no call site sees more than one kind.
 */

import { Mutex as LocalMutex } from "async-mutex";
import { Mutex as SharedMutex } from "multithreading";
import { int32, LazyInit, MutexLazyInit } from "../mod.ts";
import { stdAsync } from "./_std_async.ts";
import {
  consume,
  expect,
  type Group,
  type Place,
  register,
  type Subject,
  type Suite,
} from "./_suite.ts";

const CELLS = 1_000;

const CELL_BYTES = LazyInit.byteLength(int32);
const CELL_WORDS = CELL_BYTES / Int32Array.BYTES_PER_ELEMENT;
/** Of the values, which are the numbers of their cells. */
const SUM = CELLS * (CELLS - 1) / 2;
/** Where in the words of a cell its value is. */
const VALUE_WORD = 6;

const UNINITIALIZED = 0;
const INITIALIZING = 1;
const INITIALIZED = 2;

/** Room for cells in one buffer. */
function places(): Place[] {
  const buffer = new SharedArrayBuffer(CELLS * CELL_BYTES);
  return Array.from(
    { length: CELLS },
    (_, i) => ({ buffer, byteOffset: i * CELL_BYTES }),
  );
}

function lazyInits(): LazyInit<number>[] {
  return places().map((place) => new LazyInit(int32, place));
}

function mutexLazyInits(): MutexLazyInit<number>[] {
  return places().map((place) => new MutexLazyInit(int32, place));
}

/** The words of as many cells, for who does without the cells. */
function bareCells(): Int32Array {
  return new Int32Array(new SharedArrayBuffer(CELLS * CELL_BYTES));
}

/** A mutex of `multithreading` and the words that it guards. */
function guardedCells(): SharedMutex<Int32Array<SharedArrayBuffer>>[] {
  return places().map(({ buffer, byteOffset }) =>
    new SharedMutex(new Int32Array(buffer, byteOffset, CELL_WORDS))
  );
}

function creators(): Subject[] {
  const subjects: Subject[] = [
    {
      name: "new SharedArrayBuffer(24)",
      baseline: true,
      run() {
        for (let i = 0; i < CELLS; i++) {
          consume(new SharedArrayBuffer(CELL_BYTES));
        }
      },
    },
    {
      name: "new LazyInit()",
      run() {
        for (let i = 0; i < CELLS; i++) {
          consume(new LazyInit(int32));
        }
      },
    },
    {
      name: "new MutexLazyInit()",
      run() {
        for (let i = 0; i < CELLS; i++) {
          consume(new MutexLazyInit(int32));
        }
      },
    },
    {
      name: "new Mutex() of multithreading",
      run() {
        for (let i = 0; i < CELLS; i++) {
          consume(new SharedMutex());
        }
      },
    },
  ];
  return stdAsync === undefined ? subjects : [...subjects, {
    name: "new Lazy() of @std/async",
    run() {
      const { Lazy } = stdAsync!;
      for (let i = 0; i < CELLS; i++) consume(new Lazy(() => i));
    },
  }];
}

function placers(): Subject[] {
  return [
    {
      name: "compare-exchange",
      baseline: true,
      run(timer) {
        const words = bareCells();
        timer.start();
        for (let i = 0; i < CELLS; i++) {
          consume(Atomics.compareExchange(words, i * CELL_WORDS, 0, 1));
        }
        timer.end();
      },
    },
    {
      name: "new LazyInit()",
      run(timer) {
        const room = places();
        timer.start();
        for (let i = 0; i < CELLS; i++) {
          consume(new LazyInit(int32, room[i]!));
        }
        timer.end();
      },
    },
    {
      name: "new MutexLazyInit()",
      run(timer) {
        const room = places();
        timer.start();
        for (let i = 0; i < CELLS; i++) {
          consume(new MutexLazyInit(int32, room[i]!));
        }
        timer.end();
      },
    },
    {
      name: "LazyInit.from()",
      run(timer) {
        const handles = lazyInits().map(({ handle }) => handle);
        timer.start();
        for (let i = 0; i < CELLS; i++) {
          consume(LazyInit.from(handles[i]!, int32));
        }
        timer.end();
      },
    },
    {
      name: "MutexLazyInit.from()",
      run(timer) {
        const handles = mutexLazyInits().map(({ handle }) => handle);
        timer.start();
        for (let i = 0; i < CELLS; i++) {
          consume(MutexLazyInit.from(handles[i]!, int32));
        }
        timer.end();
      },
    },
  ];
}

/** Reads of a value that another agent has published. */
function firstReaders(): Subject[] {
  return [
    {
      name: "Atomics.load + read",
      baseline: true,
      run(timer) {
        const words = bareCells().fill(INITIALIZED);
        let sum = 0;
        timer.start();
        for (let i = 0; i < CELLS; i++) {
          const word = i * CELL_WORDS;
          if (Atomics.load(words, word) === INITIALIZED) {
            sum += words[word + VALUE_WORD]!;
          }
        }
        timer.end();
        expect(sum, CELLS * INITIALIZED);
      },
    },
    {
      name: "LazyInit.get()",
      run(timer) {
        const cells = lazyInits();
        const others = cells.map(({ handle }) => LazyInit.from(handle, int32));
        others.forEach((cell, i) => cell.initOnce(i));
        let sum = 0;
        timer.start();
        for (let i = 0; i < CELLS; i++) {
          sum += cells[i]!.get()!;
        }
        timer.end();
        expect(sum, SUM);
      },
    },
    {
      name: "MutexLazyInit.get()",
      run(timer) {
        const cells = mutexLazyInits();
        const others = cells.map(({ handle }) =>
          MutexLazyInit.from(handle, int32)
        );
        others.forEach((cell, i) => cell.init(() => i));
        let sum = 0;
        timer.start();
        for (let i = 0; i < CELLS; i++) {
          sum += cells[i]!.get()!;
        }
        timer.end();
        expect(sum, SUM);
      },
    },
  ];
}

function initializers(): Subject[] {
  return [
    {
      name: "compare-exchange + store",
      baseline: true,
      run(timer) {
        const words = bareCells();
        timer.start();
        for (let i = 0; i < CELLS; i++) {
          const word = i * CELL_WORDS;
          const found = Atomics.compareExchange(
            words,
            word,
            UNINITIALIZED,
            INITIALIZING,
          );
          if (found === UNINITIALIZED) {
            words[word + VALUE_WORD] = i;
            Atomics.store(words, word, INITIALIZED);
          }
        }
        timer.end();
      },
    },
    {
      name: "LazyInit.initOnce()",
      run(timer) {
        const cells = lazyInits();
        timer.start();
        for (let i = 0; i < CELLS; i++) {
          cells[i]!.initOnce(i);
        }
        timer.end();
        expect(cells.at(-1)!.get(), CELLS - 1);
      },
    },
    {
      name: "LazyInit.callOnce()",
      run(timer) {
        const cells = lazyInits();
        timer.start();
        for (let i = 0; i < CELLS; i++) {
          cells[i]!.callOnce(() => i);
        }
        timer.end();
        expect(cells.at(-1)!.get(), CELLS - 1);
      },
    },
    {
      name: "MutexLazyInit.init()",
      run(timer) {
        const cells = mutexLazyInits();
        timer.start();
        for (let i = 0; i < CELLS; i++) {
          cells[i]!.init(() => i);
        }
        timer.end();
        expect(cells.at(-1)!.get(), CELLS - 1);
      },
    },
    {
      name: "MutexLazyInit.getOrInit()",
      run(timer) {
        const cells = mutexLazyInits();
        timer.start();
        for (let i = 0; i < CELLS; i++) {
          cells[i]!.getOrInit(() => i);
        }
        timer.end();
        expect(cells.at(-1)!.get(), CELLS - 1);
      },
    },
    {
      name: "Mutex of multithreading",
      baseline: true,
      run(timer) {
        const cells = guardedCells();
        timer.start();
        for (let i = 0; i < CELLS; i++) {
          const guard = cells[i]!.blockingLock();
          if (guard.value[0] === UNINITIALIZED) {
            guard.value[VALUE_WORD] = i;
            guard.value[0] = INITIALIZED;
          }
          guard.dispose();
        }
        timer.end();
      },
    },
  ];
}

function asynchronousInitializers(): Subject[] {
  const subjects: Subject[] = [
    {
      name: "compare-exchange + store",
      baseline: true,
      async run(timer) {
        const words = bareCells();
        timer.start();
        for (let i = 0; i < CELLS; i++) {
          const word = i * CELL_WORDS;
          const found = Atomics.compareExchange(
            words,
            word,
            UNINITIALIZED,
            INITIALIZING,
          );
          if (found === UNINITIALIZED) {
            words[word + VALUE_WORD] = await Promise.resolve(i);
            Atomics.store(words, word, INITIALIZED);
          }
        }
        timer.end();
      },
    },
    {
      name: "MutexLazyInit.getOrInitAsync()",
      async run(timer) {
        const cells = mutexLazyInits();
        timer.start();
        for (let i = 0; i < CELLS; i++) {
          await cells[i]!.getOrInitAsync(() => Promise.resolve(i));
        }
        timer.end();
        expect(cells.at(-1)!.get(), CELLS - 1);
      },
    },
    {
      name: "Mutex of async-mutex",
      async run(timer) {
        const cells = places().map(() => ({
          mutex: new LocalMutex(),
          value: undefined as number | undefined,
        }));
        timer.start();
        for (let i = 0; i < CELLS; i++) {
          const cell = cells[i]!;
          const release = await cell.mutex.acquire();
          cell.value ??= await Promise.resolve(i);
          release();
        }
        timer.end();
      },
    },
  ];
  return stdAsync === undefined ? subjects : [...subjects, {
    name: "Lazy.get() of @std/async",
    baseline: true,
    async run(timer) {
      const { Lazy } = stdAsync!;
      const lazies = places().map((_, i) => new Lazy(() => Promise.resolve(i)));
      timer.start();
      for (let i = 0; i < CELLS; i++) consume(await lazies[i]!.get());
      timer.end();
    },
  }];
}

/** Of cells that are initialized and stay so from run to run. */
function resetters(): Subject[] {
  const words = bareCells();
  const cells = mutexLazyInits();
  const guarded = guardedCells();
  return [
    {
      name: "compare-exchange + store",
      baseline: true,
      run() {
        for (let i = 0; i < CELLS; i++) {
          const word = i * CELL_WORDS;
          Atomics.compareExchange(words, word, INITIALIZED, UNINITIALIZED);
          words[word + VALUE_WORD] = 0;
          const found = Atomics.compareExchange(
            words,
            word,
            UNINITIALIZED,
            INITIALIZING,
          );
          if (found === UNINITIALIZED) {
            words[word + VALUE_WORD] = i;
            Atomics.store(words, word, INITIALIZED);
          }
        }
      },
    },
    {
      name: "MutexLazyInit.reset() + init()",
      run() {
        for (let i = 0; i < CELLS; i++) {
          cells[i]!.reset();
          cells[i]!.init(() => i);
        }
      },
    },
    {
      name: "Mutex of multithreading",
      baseline: true,
      run() {
        for (let i = 0; i < CELLS; i++) {
          const emptied = guarded[i]!.blockingLock();
          emptied.value.fill(0);
          emptied.dispose();
          const filled = guarded[i]!.blockingLock();
          filled.value[VALUE_WORD] = i;
          filled.value[0] = INITIALIZED;
          filled.dispose();
        }
      },
    },
  ];
}

function asynchronousResetters(): Subject[] {
  const words = bareCells();
  const cells = mutexLazyInits();
  const subjects: Subject[] = [
    {
      name: "compare-exchange + store",
      baseline: true,
      async run() {
        for (let i = 0; i < CELLS; i++) {
          const word = i * CELL_WORDS;
          Atomics.compareExchange(words, word, INITIALIZED, UNINITIALIZED);
          Atomics.compareExchange(words, word, UNINITIALIZED, INITIALIZING);
          words[word + VALUE_WORD] = await Promise.resolve(i);
          Atomics.store(words, word, INITIALIZED);
        }
      },
    },
    {
      name: "MutexLazyInit.resetAsync() + getOrInitAsync()",
      async run() {
        for (let i = 0; i < CELLS; i++) {
          await cells[i]!.resetAsync();
          await cells[i]!.getOrInitAsync(() => Promise.resolve(i));
        }
        expect(cells.at(-1)!.get(), CELLS - 1);
      },
    },
  ];
  if (stdAsync === undefined) return subjects;
  const { Lazy } = stdAsync;
  const lazies = places().map((_, i) => new Lazy(() => Promise.resolve(i)));
  return [...subjects, {
    name: "Lazy.reset() + get() of @std/async",
    async run() {
      for (const lazy of lazies) {
        lazy.reset();
        consume(await lazy.get());
      }
    },
  }];
}

function group(
  name: string,
  operation: string,
  create: Group["create"],
): Group {
  return {
    name,
    operation,
    operations: CELLS,
    rounds: 30,
    warmUpRounds: 10,
    create,
  };
}

export const suite: Suite = {
  name: "first_use",
  groups: [
    group("create a cell", "cell", creators),
    group("place a cell in a buffer that exists", "cell", placers),
    group("read for the first time", "read", firstReaders),
    group("initialize an int32", "initialization", initializers),
    group(
      "initialize an int32 asynchronously",
      "initialization",
      asynchronousInitializers,
    ),
    group("reset and initialize an int32 again", "time", resetters),
    group(
      "reset and initialize an int32 again asynchronously",
      "time",
      asynchronousResetters,
    ),
  ],
};

if (Deno.mainModule === import.meta.url) await register(suite);
