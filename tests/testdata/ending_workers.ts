// Copyright 2026 the lazyinit authors. MIT license.

/*
 * Ends workers in the middle of something, for Node and Bun, where nobody has written
 * anything for that case: `node ending_workers.js LIBRARY`. Prints a line of JSON for each
 * way to end.
 */

// First, as the library may keep what it finds of `Atomics`
import { Sleepers } from "../_sleepers.ts";
import process from "node:process";
import {
  isMainThread,
  parentPort,
  Worker,
  workerData,
} from "node:worker_threads";
import type { LazyInitHandle } from "../../mod.ts";
import { Flag, until } from "../_flag.ts";

/** What came of a cell whose owner has ended. */
export interface Outcome {
  readonly name: string;
  /** What two workers, blocked and not, and the main thread got in the end. */
  readonly values: number[];
  /** Of how many bytes that value is. */
  readonly length: number;
  readonly generation: number;
}

/** What the owner is in the middle of. */
type Stage = keyof typeof STAGES;
/** How it ends then. */
type End = keyof typeof ENDS | "is terminated";

type Data =
  & { library: string }
  & (
    | { role: "owner"; handle: Handle; stage: Stage; end: End; flags: Flags }
    | { role: "parent"; data: Data; limits: boolean }
    | { role: "waiter"; handle: Handle; blocks: boolean; sleepers: Memory }
  );

type Memory = SharedArrayBuffer;
type Handle = LazyInitHandle<Uint8Array, "MutexLazyInit">;
interface Flags {
  readonly entered: Memory;
  readonly leave: Memory;
}

const ENDS = {
  exits: () => process.exit(1),
  throws: () => {
    throw new Error("On purpose");
  },
  "runs out of memory": () => {
    const hog: unknown[] = [];
    for (;;) hog.push(new Array(100_000).fill(hog.length));
  },
};

/** More than one slice of a reset. */
const LARGE = 20 * 2 ** 20;

const specifier = isMainThread ? process.argv[2]! : workerData.library;
const library: typeof import("../../mod.ts") = await import(specifier);
const { MutexLazyInit, OnceState, typedArray } = library;
const codec = typedArray(Uint8Array);
type Cell = InstanceType<typeof MutexLazyInit<Uint8Array>>;

/** Brings a cell into a stage, then ends by `end`. */
const STAGES = {
  "initializes and blocks": (cell: Cell, pause: () => void, end: () => void) =>
    cell.init(() => {
      pause();
      end();
    }),
  "has filled half of the slot": (
    cell: Cell,
    pause: () => void,
    end: () => void,
  ) =>
    cell.init((_slot, allocate) => {
      allocate(LARGE).fill(1, LARGE / 2);
      pause();
      end();
    }),
  "awaits something": (cell: Cell, pause: () => void, end: () => void) => {
    cell.initAsync(() => new Promise(() => {}));
    setTimeout(() => {
      pause();
      end();
    });
  },
  "resets": (cell: Cell, pause: () => void, end: () => void) => {
    cell.init((_slot, allocate) => allocate(LARGE).fill(1));
    cell.resetAsync();
    // Within the first turn, as the next slice comes after it
    pause();
    end();
  },
};

function own({ handle, stage, end, flags }: Data & { role: "owner" }): void {
  const cell = MutexLazyInit.from(handle, codec);
  STAGES[stage](cell, () => {
    new Flag(flags.entered).raise();
    new Flag(flags.leave).block();
  }, end === "is terminated" ? () => {} : ENDS[end]);
}

async function wait(
  { handle, blocks, sleepers }: Data & { role: "waiter" },
): Promise<void> {
  new Sleepers(sleepers).countThisAgent();
  const cell = MutexLazyInit.from(handle, codec);
  const make = () => Uint8Array.of(2);
  const value = blocks ? cell.getOrInit(make) : await cell.getOrInitAsync(make);
  parentPort!.postMessage(value[0]);
}

function start(data: Data, limits = false): Worker {
  const worker = new Worker(new URL(import.meta.url), {
    workerData: data,
    ...(limits ? { resourceLimits: { maxOldGenerationSizeMb: 32 } } : {}),
  });
  // The ends are meant, and errors of waiters are answers that never come
  worker.on("error", () => {});
  return worker;
}

function answer(worker: Worker): Promise<number> {
  return new Promise((resolve) => worker.once("message", resolve));
}

/** Ends the owner of a cell while a blocked worker, another one and the main thread wait. */
async function end(stage: Stage, end: End, nested = false): Promise<Outcome> {
  const cell = new MutexLazyInit(codec);
  const { handle } = cell;
  const entered = new Flag();
  const leave = new Flag();
  const flags = { entered: entered.buffer, leave: leave.buffer };
  const limits = end === "runs out of memory";
  const data: Data = {
    library: specifier,
    role: "owner",
    handle,
    stage,
    end,
    flags,
  };
  const owner = nested
    ? start({ library: specifier, role: "parent", data, limits })
    : start(data, limits);
  await entered.raised();

  const sleepers = new Sleepers();
  const waiters = [true, false].map((blocks) =>
    start({
      library: specifier,
      role: "waiter",
      handle,
      blocks,
      sleepers: sleepers.buffer,
    })
  );
  const answers = waiters.map(answer);
  await until(() => sleepers.count === waiters.length);
  const own = cell.getOrInitAsync(() => Uint8Array.of(2));
  if (end !== "is terminated") leave.raise();
  else if (nested) owner.postMessage("terminate the child");
  else owner.terminate();
  const values = [...await Promise.all(answers), (await own)[0]!];
  for (const worker of [owner, ...waiters]) worker.terminate();
  return {
    name: `${stage}, ${end}${nested ? ", nested" : ""}`,
    values,
    length: cell.value.length,
    generation: new OnceState(handle.buffer, handle.byteOffset).generation,
  };
}

/** As {@linkcode end}, of a cell of which this thread keeps the handle alone. */
async function endDropped(): Promise<Outcome> {
  const { handle } = new MutexLazyInit(codec);
  const [entered, leave] = [new Flag(), new Flag()];
  const owner = start({
    library: specifier,
    role: "owner",
    handle,
    stage: "initializes and blocks",
    end: "exits",
    flags: { entered: entered.buffer, leave: leave.buffer },
  });
  await entered.raised();
  const { Bun, gc } = globalThis as {
    Bun?: { gc(now: boolean): void };
    gc?(): void;
  };
  for (let i = 0; i < 10; i++) {
    if (Bun) Bun.gc(true);
    else gc!();
    await new Promise((resolve) => setTimeout(resolve));
  }
  const sleepers = new Sleepers();
  const waiter = start({
    library: specifier,
    role: "waiter",
    handle,
    blocks: true,
    sleepers: sleepers.buffer,
  });
  const value = answer(waiter);
  await until(() => sleepers.count === 1);
  leave.raise();
  const values = [await value];
  for (const worker of [owner, waiter]) worker.terminate();
  const cell = MutexLazyInit.from(handle, codec);
  return {
    name: "initializes and blocks, exits, dropped",
    values: [...values, 2, 2],
    length: cell.value.length,
    generation: new OnceState(handle.buffer, handle.byteOffset).generation,
  };
}

/** A worker that starts the owner, and whose own event loop runs on. */
function begetOwner({ data, limits }: Data & { role: "parent" }): void {
  // All that it takes is to know the cell
  if (data.role === "owner") MutexLazyInit.from(data.handle, codec);
  const child = start(data, limits);
  parentPort!.on("message", () => child.terminate());
}

if (isMainThread) {
  // Bun knows no limits of workers
  const ends = (Object.keys(ENDS) as End[]).filter((end) =>
    !("Bun" in globalThis) || end !== "runs out of memory"
  );
  for (const stage of Object.keys(STAGES) as Stage[]) {
    for (const way of [...ends, "is terminated"] as End[]) {
      // What an initializer throws is no end
      if (way === "throws" && /initializes|filled/.test(stage)) continue;
      process.stdout.write(`${JSON.stringify(await end(stage, way))}\n`);
    }
  }
  for (
    const way of [
      ...ends.filter((end) => end !== "throws"),
      "is terminated",
    ] as End[]
  ) {
    const outcome = await end("initializes and blocks", way, true);
    process.stdout.write(`${JSON.stringify(outcome)}\n`);
  }
  process.stdout.write(`${JSON.stringify(await endDropped())}\n`);
} else {
  const data: Data = workerData;
  if (data.role === "owner") own(data);
  else if (data.role === "parent") begetOwner(data);
  else await wait(data);
}
