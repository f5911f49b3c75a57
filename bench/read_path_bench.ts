// Copyright 2026 the lazyinit authors. MIT license.

/*
 * What it costs to read a value that is initialized.
 *
 * Reads go by turns to two cells: from one cell only, the engine would read once
 * and keep the result. Each subject has a loop of its own, so that no call site sees
 * more than one kind; in `deno bench`, where all groups share an engine, `use` does.
 */

import { Mutex as LocalMutex } from "async-mutex";
import { Mutex as SharedMutex } from "multithreading";
import {
  bigInt64,
  bool,
  type Codec,
  float64,
  int32,
  json,
  LazyInit,
  MutexLazyInit,
  string,
  struct,
  typedArray,
} from "../mod.ts";
import { AtomicFlag, once, PlainField } from "./_peers.ts";
import { stdAsync } from "./_std_async.ts";
import {
  expect,
  type Group,
  register,
  type Subject,
  type Suite,
} from "./_suite.ts";

/** So many that reading the clock is nothing beside them. */
const READS = 10_000;

function lazyInit<T>(codec: Codec<T>, value: T): LazyInit<T> {
  const cell = new LazyInit(codec);
  cell.initOnce(value);
  return cell;
}

function mutexLazyInit<T>(codec: Codec<T>, value: T): MutexLazyInit<T> {
  const cell = new MutexLazyInit(codec);
  // A copy is what any codec's initializer may return
  (cell as MutexLazyInit<unknown>).init(() => value);
  return cell;
}

function never(): never {
  throw new Error("The cells are initialized");
}

/**
 * Ways to read values in turn, a power of two of them, each of which `use` makes a
 * number of.
 */
function readersOf<T>(
  entries: readonly (readonly [Codec<T>, T])[],
  use: (value: Readonly<T>) => number,
): Subject[] {
  const mask = entries.length - 1;
  let total = 0;
  for (let i = 0; i < READS; i++) total += use(entries[i & mask]![1]);
  const flags = entries.map(([, value]) => new AtomicFlag<Readonly<T>>(value));
  const fields = entries.map(([, value]) => new PlainField<Readonly<T>>(value));
  const onces = entries.map(([, value]) => once<Readonly<T>>(() => value));
  const cells = entries.map(([codec, value]) => lazyInit(codec, value));
  const mutexCells = entries.map(([codec, value]) =>
    mutexLazyInit(codec, value)
  );
  return [
    {
      name: "Atomics.load + field",
      baseline: true,
      run() {
        let sum = 0;
        for (let i = 0; i < READS; i++) sum += use(flags[i & mask]!.get()!);
        expect(sum, total);
      },
    },
    {
      name: "once() closure",
      baseline: true,
      run() {
        let sum = 0;
        for (let i = 0; i < READS; i++) sum += use(onces[i & mask]!());
        expect(sum, total);
      },
    },
    {
      name: "plain field",
      baseline: true,
      run() {
        let sum = 0;
        for (let i = 0; i < READS; i++) sum += use(fields[i & mask]!.value);
        expect(sum, total);
      },
    },
    {
      name: "LazyInit.get()",
      run() {
        let sum = 0;
        for (let i = 0; i < READS; i++) sum += use(cells[i & mask]!.get()!);
        expect(sum, total);
      },
    },
    {
      name: "LazyInit.value",
      run() {
        let sum = 0;
        for (let i = 0; i < READS; i++) sum += use(cells[i & mask]!.value);
        expect(sum, total);
      },
    },
    {
      name: "LazyInit.getUnchecked()",
      run() {
        let sum = 0;
        for (let i = 0; i < READS; i++) {
          sum += use(cells[i & mask]!.getUnchecked());
        }
        expect(sum, total);
      },
    },
    {
      name: "MutexLazyInit.get()",
      baseline: true,
      run() {
        let sum = 0;
        for (let i = 0; i < READS; i++) {
          sum += use(mutexCells[i & mask]!.get()!);
        }
        expect(sum, total);
      },
    },
    {
      name: "MutexLazyInit.value",
      run() {
        let sum = 0;
        for (let i = 0; i < READS; i++) sum += use(mutexCells[i & mask]!.value);
        expect(sum, total);
      },
    },
    {
      name: "MutexLazyInit.getUnchecked()",
      run() {
        let sum = 0;
        for (let i = 0; i < READS; i++) {
          sum += use(mutexCells[i & mask]!.getUnchecked());
        }
        expect(sum, total);
      },
    },
    {
      name: "MutexLazyInit.getOrInit()",
      run() {
        let sum = 0;
        for (let i = 0; i < READS; i++) {
          sum += use(mutexCells[i & mask]!.getOrInit(never));
        }
        expect(sum, total);
      },
    },
  ];
}

/** Ways of other packages, which do not care what the value is. */
async function peersOf(values: readonly [number, number]): Promise<Subject[]> {
  const total = READS / 2 * (values[0] + values[1]);
  const shared = values.map((value) => {
    const words = new Int32Array(new SharedArrayBuffer(4));
    words[0] = value;
    return new SharedMutex(words);
  });
  const local = values.map(() => new LocalMutex());
  const subjects: Subject[] = [
    {
      name: "Mutex of multithreading",
      baseline: true,
      run() {
        let sum = 0;
        for (let i = 0; i < READS; i++) {
          const guard = shared[i & 1]!.blockingLock();
          sum += guard.value[0]!;
          guard.dispose();
        }
        expect(sum, total);
      },
    },
    {
      name: "Mutex of async-mutex",
      async run() {
        let sum = 0;
        for (let i = 0; i < READS; i++) {
          const release = await local[i & 1]!.acquire();
          sum += values[i & 1]!;
          release();
        }
        expect(sum, total);
      },
    },
  ];
  if (stdAsync === undefined) return subjects;
  const { Lazy } = stdAsync;
  const lazies = values.map((value) => new Lazy(() => value));
  for (const lazy of lazies) await lazy.get();
  subjects.push({
    name: "Lazy.peek() of @std/async",
    run() {
      let sum = 0;
      for (let i = 0; i < READS; i++) {
        const result = lazies[i & 1]!.peek();
        if (result.ok) sum += result.value;
      }
      expect(sum, total);
    },
  });
  return subjects;
}

/** Of the cell and of the package that is nearest to it. */
async function asynchronousReaders(): Promise<Subject[]> {
  const cells = [1, 2].map((value) => mutexLazyInit(int32, value));
  const total = READS / 2 * 3;
  const subjects: Subject[] = [{
    name: "MutexLazyInit.getOrInitAsync()",
    async run() {
      let sum = 0;
      for (let i = 0; i < READS; i++) {
        sum += await cells[i & 1]!.getOrInitAsync(never);
      }
      expect(sum, total);
    },
  }];
  if (stdAsync === undefined) return subjects;
  const { Lazy } = stdAsync;
  const lazies = [1, 2].map((value) => new Lazy(() => value));
  for (const lazy of lazies) await lazy.get();
  return [...subjects, {
    name: "Lazy.get() of @std/async",
    baseline: true,
    async run() {
      let sum = 0;
      for (let i = 0; i < READS; i++) sum += await lazies[i & 1]!.get();
      expect(sum, total);
    },
  }];
}

function group(name: string, create: Group["create"]): Group {
  return {
    name,
    operation: "read",
    operations: READS,
    rounds: 30,
    warmUpRounds: 10,
    create,
  };
}

type Port = { port: number };

const object = json<Port>(64);
const view = typedArray(Float64Array, 4);

/** Of as many codecs as there are. */
const mixed: [Codec<unknown>, unknown][] = [
  [int32, 1],
  [float64, 0.5],
  [bool, true],
  [bigInt64, 1n],
  [string(16), "one"],
  [object as Codec<unknown>, { port: 80 }],
  [view as Codec<unknown>, Float64Array.of(1, 2, 3, 4)],
  [struct({ x: int32, y: int32 }) as Codec<unknown>, { x: 1, y: 2 }],
];

export const suite: Suite = {
  name: "read_path",
  groups: [
    group("read an initialized int32", async () => [
      ...readersOf([[int32, 1], [int32, 2]], (value) => value),
      ...await peersOf([1, 2]),
    ]),
    group("read an initialized int32 asynchronously", asynchronousReaders),
    group("read an initialized object", () =>
      readersOf<Port>(
        [[object, { port: 80 }], [object, { port: 443 }]],
        ({ port }) => port,
      )),
    group("read an initialized view", () =>
      readersOf<Float64Array>(
        [
          [view, Float64Array.of(1, 2, 3, 4)],
          [view, Float64Array.of(5, 6, 7, 8)],
        ],
        (value) => value[0]!,
      )),
    group(
      "read cells of eight codecs at one call site",
      () => readersOf(mixed, (value) => value === undefined ? 0 : 1),
    ),
  ],
};

if (Deno.mainModule === import.meta.url) await register(suite);
