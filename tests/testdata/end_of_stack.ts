// Copyright 2026 the lazyinit authors. MIT license.

/*
 * Calls what takes a cell or a mutex, a few frames above the end of the stack, and prints
 * what could not be used afterwards. First without having called it before, when it takes
 * much more stack, as the engine compiles it.
 */

import process from "node:process";
import {
  agentId,
  type Codec,
  int32,
  json,
  LazyInit,
  type LazyInitHandle,
  LazyInitMap,
  Mutex,
  MutexLazyInit,
  OnceState,
  type Phase,
  struct,
  typedArray,
} from "../../mod.ts";

/** How many frames above the end of the stack the calls begin at the most. */
const FRAMES = 60;
const FRAMES_TO_COMPILE = 600;

/** More than one slice of a reset, in bytes. */
const LARGE = 5 * 2 ** 20;

const left: Record<string, number> = {};
/** How many calls have come to do something. */
let begun = 0;

function add(what: string): void {
  left[what] = (left[what] ?? 0) + 1;
}

/** By how many words the calls are shifted, as a frame is a large step. */
const SHIFTS = 12;
const shifts = Array.from({ length: SHIFTS }, (_, shift) => Array(shift));

/** Recurses to the end of the stack, and calls `call` so many words above that, or so. */
function callAbove(words: number, call: () => unknown): void {
  const frames = Math.floor(words / SHIFTS);
  let above = 0;
  function recurse(): void {
    try {
      recurse();
    } finally {
      if (above++ === frames) call();
    }
  }
  try {
    ((..._shift: unknown[]) => recurse())(...shifts[words % SHIFTS]!);
  } catch (error) {
    // What the initializers throw on purpose is no failure, either
    if (!/stack|On purpose/.test(`${error}`)) throw error;
  }
}

/** Lets go of a promise that may reject. */
function ignore(promise: Promise<unknown>): void {
  promise.then(undefined, () => {});
}

function fail(): never {
  throw new Error("On purpose");
}

const text = json<string>(64);
const view = typedArray(Int32Array, 4);
const point = struct({ x: int32, y: view });
const at = { x: 1, y: Int32Array.of(1, 2, 3, 4) };

interface AnyCell {
  readonly phase: Phase;
  readonly initialized: boolean;
  readonly handle: LazyInitHandle;
}

type Trial = [name: string, make: () => AnyCell, call: (cell: never) => void];

function trial<C extends AnyCell>(
  name: string,
  make: () => C,
  call: (cell: C) => unknown,
): Trial {
  return [name, make, call as (cell: never) => void];
}

function initialized<T>(codec: Codec<T>, value: T): MutexLazyInit<T> {
  const cell = new MutexLazyInit(codec);
  cell.init((() => value) as never);
  return cell;
}

const trials: Trial[] = [
  trial("callOnce", () => new LazyInit(text), (it) => it.callOnce(() => "a")),
  trial(
    "callOnce view",
    () => new LazyInit(view),
    (it) =>
      it.callOnce((slot) => {
        slot.fill(1);
      }),
  ),
  trial("initOnce", () => new LazyInit(point), (it) => it.initOnce(at)),
  trial(
    "callOnce that fails",
    () => new LazyInit(view),
    (it) =>
      it.callOnce((slot) => {
        slot.fill(1);
        fail();
      }),
  ),
  trial(
    "getOrInit",
    () => new MutexLazyInit(point),
    (it) => it.getOrInit(() => at),
  ),
  trial(
    "getOrInit that fails",
    () => new MutexLazyInit(text),
    (it) => it.getOrInit(fail),
  ),
  trial(
    "getOrInitAsync",
    () => new MutexLazyInit(point),
    (it) => ignore(it.getOrInitAsync(async () => await at)),
  ),
  trial(
    "getOrInitAsync that fails",
    () => new MutexLazyInit(text),
    (it) => ignore(it.getOrInitAsync(fail)),
  ),
  trial("reset", () => initialized(text, "a"), (it) => it.reset()),
  trial(
    "resetAsync",
    () => initialized(view, at.y),
    (it) => ignore(it.resetAsync()),
  ),
];

async function tryCell([name, make, call]: Trial, words: number) {
  const cell = make();
  const { phase } = cell;
  callAbove(words, () => call(cell as never));
  await settled();
  if (cell.phase !== phase) begun++;
  if (cell.phase === "initializing") add(`${name} keeps the cell`);
  const { buffer, byteOffset } = cell.handle;
  const slot = new Uint8Array(buffer, byteOffset + OnceState.byteLength);
  if (!cell.initialized && slot.some((byte) => byte !== 0)) {
    add(`${name} leaves bytes behind`);
  }
}

/** Whether an agent that was declared dead is left half recovered. */
async function tryRecovery(words: number) {
  const cell = new MutexLazyInit(view);
  ignore(cell.initAsync(() => new Promise<void>(() => {})));
  callAbove(words, () => cell.recover(agentId()));
  await settled();
  if (cell.phase !== "initializing") begun++;
  else cell.recover(agentId());
  if (cell.phase !== "uninitialized") add("recover keeps the cell");
}

async function tryMutex(name: string, words: number) {
  const mutex = new Mutex();
  // What a lock that was lost has left behind
  if (name !== "lock") {
    mutex.lock();
    if (name === "lock after recover") mutex.recover(agentId());
  }
  let token: unknown;
  callAbove(words, () => {
    if (name === "recover") mutex.recover(agentId());
    else token = mutex.lock();
  });
  await settled();
  if (token !== undefined) begun++;
  else if (name === "recover") mutex.recover(agentId());
  else if (mutex.lockIfAvailable() === null) add(`${name} keeps the mutex`);
}

/** Resolves when all that could settle has done so. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 8; turn++) await Promise.resolve();
}

async function tryAll(words: number): Promise<void> {
  for (const trial of trials) await tryCell(trial, words);
  await tryRecovery(words);
  for (const name of ["lock", "lock after recover", "recover"]) {
    await tryMutex(name, words);
  }
}

/** Resets that take several turns: what they call is compiled by the first that gets there. */
async function tryLargeResets(): Promise<void> {
  const cell = new MutexLazyInit(typedArray(Uint8Array));
  for (let words = 0; words <= FRAMES_TO_COMPILE * SHIFTS; words += 7) {
    if (!cell.initialized) cell.init((_, allocate) => allocate(LARGE));
    let end: Promise<unknown> | undefined;
    callAbove(words, () => end = cell.resetAsync());
    await end?.catch(() => {});
    if (cell.phase === "uninitialized") begun++;
    if (cell.phase !== "initializing") continue;
    add("resetAsync of a large value keeps the cell");
    cell.recover(agentId());
  }
}

/** Keys of a map, each of which is an entry whose class has its own way of giving back. */
function tryKeys(): void {
  const map = new LazyInitMap(int32, text);
  for (let words = 0; words <= FRAMES_TO_COMPILE * SHIFTS; words += 7) {
    callAbove(words, () => map.getOrInit(words, fail));
    try {
      map.getOrInit(words, () => "a");
    } catch {
      add("getOrInit of a map keeps the key");
    }
  }
}

tryKeys();
await tryLargeResets();
for (let frames = 0; frames <= FRAMES_TO_COMPILE; frames += 5) {
  await tryAll(frames * SHIFTS);
}
for (let words = 0; words <= FRAMES * SHIFTS; words++) await tryAll(words);
process.stdout.write(JSON.stringify({ left: left, begun }));
process.exit();
