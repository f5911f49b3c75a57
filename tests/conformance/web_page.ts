// Copyright 2026 the lazyinit authors. MIT license.

/* What a page runs: the suite, and what only pages can do. */

import { assertEquals, assertThrows } from "@std/assert";
import type { LazyInitHandle } from "../../mod.ts";
import { until } from "../_flag.ts";
import { Sleepers } from "../_sleepers.ts";
import {
  cases as ends,
  type Deed,
  FATES,
  noticeEnd,
  own,
  type Owner,
  waitFor,
} from "./ends.ts";
import { cases as names, openAndGetIn } from "./names.ts";
import {
  type Library,
  type Peer,
  type Result,
  runSuite,
  type Runtime,
} from "./suite.ts";
import { spawnWebWorker } from "./web.ts";

/** What this uses of a browser, whose types Deno does not have. */
interface Frame {
  src: string;
  allow: string;
  onload(): void;
  readonly contentWindow: FrameWindow;
}
interface FrameWindow {
  /** The windows of its own frames. */
  readonly [index: number]: FrameWindow;
  eval(code: string): Promise<WebPage>;
  readonly location: { reload(): void };
}
type WebPage = typeof import("./web_page.ts");
const { document } = globalThis as unknown as {
  document: {
    createElement(name: "iframe"): Frame;
    readonly body: { append(frame: Frame): void };
  };
};

/** What an owner does in a page, in a worker of its or not. */
type PageDeed = Deed | "on the main thread";

/** A browser, as the table of fates calls it. */
export type Browser = "Chromium" | "Firefox";

const LIBRARY = new URL(
  "./node_modules/@lazyinit/lazyinit/mod.js",
  import.meta.url,
).href;

/** A case whose workers own cells. */
const OWNER_CASE = ends[0]!.name;
/** A case whose workers open cells by name. */
const NAME_CASE = names[0]!.name;

function spawn(
  caseName: string,
  sleepers = new Sleepers().buffer,
): Peer {
  const worker = new URL("./web_worker.js", import.meta.url);
  return spawnWebWorker(worker, LIBRARY, caseName, sleepers);
}

const CANNOT_OPEN: Record<Browser, Pick<Runtime, "cannotOpen">> = {
  Chromium: {
    cannotOpen: "has a BroadcastChannel that does not carry shared memory",
  },
  Firefox: {},
};

async function runtimeOf(browser: Browser): Promise<Runtime> {
  const library: Library = await import(LIBRARY);
  return {
    library,
    fates: FATES[browser],
    hasAsyncContext: false,
    ...CANNOT_OPEN[browser],
    spawn,
  };
}

/** Runs the suite, and returns what came of each case. */
export async function run(browser: Browser): Promise<Result[]> {
  const results: Result[] = [];
  await runSuite(
    await runtimeOf(browser),
    (result) => results.push(result),
  );
  return results;
}

/** Resolves when the platform has told of the end of a worker of this page. */
async function noticeEndHere(browser: Browser): Promise<void> {
  await noticeEnd({
    ...await runtimeOf(browser),
    sleepers: new Sleepers(),
    spawn: () => [spawn(OWNER_CASE)],
  });
}

/** Opens a frame, and resolves when all that is in it has loaded. */
async function openFrame(address: string): Promise<FrameWindow> {
  const frame = document.createElement("iframe");
  frame.src = address;
  frame.allow = "cross-origin-isolated";
  await new Promise<void>((resolve) => {
    frame.onload = resolve;
    document.body.append(frame);
  });
  return frame.contentWindow;
}

/** Opens this page in a frame of a page of another site, in a frame of this one. */
async function openBehind(foreignAddress: string): Promise<WebPage> {
  const address = encodeURIComponent(new URL("/", import.meta.url).href);
  const frame = await openFrame(`${foreignAddress}frame?${address}`);
  return await frame[0]!.eval('import("/web_page.js")');
}

/** Begins to initialize a cell, in a worker of this page or on its main thread. */
export async function begin(
  deed: PageDeed,
  handle?: LazyInitHandle,
): Promise<void> {
  const { announceAgent, int32, MutexLazyInit }: Library = await import(
    LIBRARY
  );
  const cell = handle
    ? MutexLazyInit.from(handle, int32)
    : new MutexLazyInit(int32);
  if (deed === "on the main thread") {
    await announceAgent();
    cell.initAsync(() => new Promise(() => {}));
  } else {
    await own(spawn(OWNER_CASE), cell.handle, deed);
  }
}

/** Waits for a cell that a frame in this page has begun to initialize, and reloads that. */
export async function reloadFrame(
  browser: Browser,
  deed: PageDeed,
): Promise<number> {
  const { int32, MutexLazyInit }: Library = await import(LIBRARY);
  const cell = new MutexLazyInit(int32);
  const frame = await openFrame("/");
  const page = await frame.eval('import("/web_page.js")');
  await page.begin(deed, cell.handle);
  const value = cell.getOrInitAsync(() => 2);
  // One that lives is left alone
  await noticeEndHere(browser);
  assertEquals(cell.phase, "initializing");
  frame.location.reload();
  return await value;
}

/** Has a worker of this page own a cell. */
export async function ownInWorker(
  handle: LazyInitHandle,
  announced: boolean,
): Promise<Owner> {
  return await own(spawn(OWNER_CASE), handle, "wait", announced);
}

/** Has a worker of this page wait for a cell, whose value would be 2 by itself. */
export async function waitInWorker(
  handle: LazyInitHandle,
  sleepers: SharedArrayBuffer,
): Promise<number> {
  return await waitFor(spawn(OWNER_CASE, sleepers), handle);
}

/** As {@linkcode waitInWorker}, in this page itself. */
export async function waitInPage(handle: LazyInitHandle): Promise<number> {
  const { int32, MutexLazyInit }: Library = await import(LIBRARY);
  return await MutexLazyInit.from(handle, int32).getOrInitAsync(() => 2);
}

/**
 * Waits for a cell that belongs to a worker of this page behind one of another site.
 * Returns the value, which is 1 if that worker is left alone.
 */
export async function waitForOwnerBehind(
  browser: Browser,
  foreignAddress: string,
): Promise<number> {
  const { int32, MutexLazyInit }: Library = await import(LIBRARY);
  const cell = new MutexLazyInit(int32);
  const page = await openBehind(foreignAddress);
  // Firefox refuses it there
  const owner = await page.ownInWorker(cell.handle, browser === "Chromium");
  const value = cell.getOrInitAsync(() => 2);
  await noticeEndHere(browser);
  assertEquals(cell.phase, "initializing");
  owner.leave.raise();
  return await value;
}

/**
 * Has this page behind one of another site, and a worker there, wait for a cell that
 * belongs to a worker here, which ends. Returns their values, which are both 2 if that
 * worker was left alone as long as it lived, and the page behind noticed its end.
 */
export async function waitBehind(
  browser: Browser,
  foreignAddress: string,
): Promise<number[]> {
  const { int32, MutexLazyInit }: Library = await import(LIBRARY);
  const cell = new MutexLazyInit(int32);
  const sleepers = new Sleepers();
  const page = await openBehind(foreignAddress);
  const owner = await ownInWorker(cell.handle, true);
  const values = [
    page.waitInWorker(cell.handle, sleepers.buffer),
    page.waitInPage(cell.handle),
  ];
  await until(() => sleepers.count > 0);
  await noticeEndHere(browser);
  assertEquals(cell.phase, "initializing");
  owner.peer.terminate();
  return await Promise.all(values);
}

/** Returns the names of the locks that are held in this page's partition. */
export async function heldLocks(): Promise<string[]> {
  const { locks } = navigator as unknown as {
    locks: { query(): Promise<{ held: { name: string }[] }> };
  };
  const { held } = await locks.query();
  return held.map(({ name }) => name);
}

/**
 * Returns the names of the locks that are held here, and in the partition of this page
 * behind one of another site: the error's name if the platform refuses that. An agent
 * there shares memory with this page.
 */
export async function heldLocksBehind(
  foreignAddress: string,
): Promise<{ here: string[]; behind: string[] }> {
  const { int32, MutexLazyInit }: Library = await import(LIBRARY);
  const cell = new MutexLazyInit(int32);
  const page = await openBehind(foreignAddress);
  const owner = await page.ownInWorker(cell.handle, false);
  assertEquals(cell.phase, "initializing");
  owner.leave.raise();
  assertEquals(await cell.waitAsync(), 1);
  return {
    here: await heldLocks(),
    behind: await page.heldLocks().catch(({ name }) => [name]),
  };
}

/** Opens the cell of a name in this page, and gets its value or makes it. */
export async function openAndGet(name: string, value: number): Promise<number> {
  const { int32, MutexLazyInit }: Library = await import(LIBRARY);
  const cell = await MutexLazyInit.open(name, int32);
  return await cell.getOrInitAsync(() => value);
}

/** As {@linkcode openAndGet}, in a worker of this page. */
export async function openAndGetInWorker(
  name: string,
  value: number,
): Promise<number> {
  return await openAndGetIn(spawn(NAME_CASE), name, value);
}

/**
 * Opens one name in this page, its worker, this page behind one of another site, and two
 * workers there, one after the other. Returns which of them made the value of each.
 */
export async function openBehindAndHere(
  foreignAddress: string,
): Promise<number[]> {
  const name = "in all partitions";
  const page = await openBehind(foreignAddress);
  return [
    await openAndGet(name, 1),
    await openAndGetInWorker(name, 2),
    await page.openAndGet(name, 3),
    await page.openAndGetInWorker(name, 4),
    await page.openAndGetInWorker(name, 5),
  ];
}

/** Returns how each constructor fails here, where there is no shared memory. */
export async function failures(): Promise<string[]> {
  const library: Library = await import(LIBRARY);
  const { int32, LazyInit, Mutex, MutexLazyInit, OnceState } = library;
  return [
    () => new LazyInit(int32),
    () => new MutexLazyInit(int32),
    () => new Mutex(),
    () => new OnceState(),
  ].map((construct) => `${assertThrows(construct, Error)}`);
}

/** As {@linkcode failures}, in a worker. */
export async function failuresInWorker(): Promise<string[]> {
  const source = `import { failures } from "${import.meta.url}";
postMessage(await failures());`;
  const url = URL.createObjectURL(
    new Blob([source], { type: "text/javascript" }),
  );
  const worker = new Worker(url, { type: "module" });
  try {
    return await new Promise((resolve, reject) => {
      worker.onmessage = ({ data }) => resolve(data);
      worker.onerror = ({ message }) => reject(new Error(message));
    });
  } finally {
    worker.terminate();
  }
}

/** Returns how many agents are announced in all pages of this site. */
export async function countHeldLocks(): Promise<number> {
  return (await heldLocks()).filter((name) =>
    name.startsWith("@lazyinit/lazyinit agent ")
  ).length;
}
