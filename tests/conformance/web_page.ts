// Copyright 2026 the lazyinit authors. MIT license.

/* What a page runs: the suite, and what only pages can do. */

import { assertEquals, assertThrows } from "@std/assert";
import type { LazyInitHandle } from "../../mod.ts";
import { Sleepers } from "../_sleepers.ts";
import { cases as ends, type Deed, FATES, noticeEnd, own } from "./ends.ts";
import { type Library, type Peer, type Result, runSuite } from "./suite.ts";
import { spawnWebWorker } from "./web.ts";

/** What this uses of a browser, whose types Deno does not have. */
interface Frame {
  src: string;
  onload(): void;
  readonly contentWindow: {
    eval(code: string): Promise<typeof import("./web_page.ts")>;
    readonly location: { reload(): void };
  };
}
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

function spawn(
  caseName: string,
  sleepers = new Sleepers().buffer,
): Peer {
  const worker = new URL("./web_worker.js", import.meta.url);
  return spawnWebWorker(worker, LIBRARY, caseName, sleepers);
}

/** Runs the suite, and returns what came of each case. */
export async function run(browser: Browser): Promise<Result[]> {
  const library: Library = await import(LIBRARY);
  const results: Result[] = [];
  await runSuite(
    { library, fates: FATES[browser], hasAsyncContext: false, spawn },
    (result) => results.push(result),
  );
  return results;
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
  const library: Library = await import(LIBRARY);
  const { int32, MutexLazyInit } = library;
  const cell = new MutexLazyInit(int32);
  const frame = document.createElement("iframe");
  frame.src = "/";
  await new Promise<void>((resolve) => {
    frame.onload = resolve;
    document.body.append(frame);
  });
  const page = await frame.contentWindow.eval('import("/web_page.js")');
  await page.begin(deed, cell.handle);
  const value = cell.getOrInitAsync(() => 2);
  // One that lives is left alone
  await noticeEnd({
    library,
    fates: FATES[browser],
    hasAsyncContext: false,
    sleepers: new Sleepers(),
    spawn: () => [spawn(OWNER_CASE)],
  });
  assertEquals(cell.phase, "initializing");
  frame.contentWindow.location.reload();
  return await value;
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
  const { locks } = navigator as unknown as {
    locks: { query(): Promise<{ held: { name: string }[] }> };
  };
  const { held } = await locks.query();
  return held.filter(({ name }) => name.startsWith("@lazyinit/lazyinit agent "))
    .length;
}
