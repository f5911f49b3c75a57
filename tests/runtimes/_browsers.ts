// Copyright 2026 the lazyinit authors. MIT license.

import { assertEquals } from "@std/assert";
import type { Browser as BrowserName } from "../conformance/web_page.ts";
import type { Result } from "../conformance/suite.ts";
import { installSuite, testConformance } from "./_driver.ts";
import { type Isolation, serve } from "./_site.ts";

/** What the tests use of a page, whoever drives the browser. */
interface Page {
  goto(address: string): Promise<unknown>;
  reload(): Promise<unknown>;
  evaluate(code: string): Promise<unknown>;
  waitForFunction(code: string): Promise<unknown>;
}

interface Browser {
  newPage(): Promise<Page>;
  close(): Promise<void>;
}

/** Calls a function of `web_page.ts` in a page. */
function call(
  page: Page,
  name: keyof typeof import("../conformance/web_page.ts"),
  ...args: string[]
): Promise<unknown> {
  return page.evaluate(
    `import("/web_page.js").then((it) => it.${name}(...${
      JSON.stringify(args)
    }))`,
  );
}

/**
 * Tests the suite in a browser, and what only pages can do. `launchUsual` starts one
 * with the storage that users have.
 */
export function testBrowser(
  name: BrowserName,
  launch: () => Promise<Browser>,
  launchUsual = launch,
): void {
  const directory = installSuite("web_page.ts", "web_worker.ts");

  async function withPage(
    body: (page: Page, foreignAddress: string) => Promise<void>,
    isolation: Isolation = "cross-origin",
    launchBrowser = launch,
  ): Promise<void> {
    await using site = serve(directory(), isolation);
    const browser = await launchBrowser();
    try {
      const page = await browser.newPage();
      await page.goto(site.address);
      await body(page, site.foreignAddress);
    } finally {
      await browser.close();
    }
  }

  testConformance(name, (report) =>
    withPage(async (page) => {
      const results = await call(page, "run", name) as Result[];
      results.forEach(report);
    }));

  for (const deed of ["wait", "block", "on the main thread"]) {
    Deno.test(`MutexLazyInit.getOrInitAsync() takes over from a frame that is reloaded (${deed}, ${name})`, () =>
      withPage(async (page) => {
        assertEquals(await call(page, "reloadFrame", name, deed), 2);
      }));
  }

  Deno.test(`MutexLazyInit begins anew in a page that is reloaded (${name})`, () =>
    withPage(async (page) => {
      await call(page, "begin", "wait");
      await call(page, "begin", "block");
      assertEquals(await call(page, "countHeldLocks"), 2);
      await page.reload();
      // The workers of the old page end soon after it
      await page.waitForFunction(
        'import("/web_page.js").then(async (it) => await it.countHeldLocks() === 0)',
      );
      assertEquals(await call(page, "reloadFrame", name, "wait"), 2);
    }));

  Deno.test(`LazyInit and all other constructors name the missing headers (${name})`, () =>
    withPage(async (page) => {
      const failure =
        "TypeError: Cannot use shared memory as SharedArrayBuffer is not defined: serve the page with the headers 'Cross-Origin-Opener-Policy: same-origin' and 'Cross-Origin-Embedder-Policy: require-corp', or with 'Document-Isolation-Policy: isolate-and-require-corp' where the browser knows it";
      const expected = [failure, failure, failure, failure];
      assertEquals(await call(page, "failures"), expected);
      assertEquals(await call(page, "failuresInWorker"), expected);
    }, "none"));

  function withUsualPage(
    body: (page: Page, foreignAddress: string) => Promise<void>,
  ): Promise<void> {
    return withPage(body, "cross-origin", launchUsual);
  }

  Deno.test(`a page behind one of another site has this page's memory, and not its locks (${name})`, () =>
    withUsualPage(async (page, foreignAddress) => {
      assertEquals(await call(page, "heldLocksBehind", foreignAddress), {
        here: ["@lazyinit/lazyinit first party"],
        behind: { Chromium: [], Firefox: ["SecurityError"] }[name],
      });
    }));

  Deno.test(`MutexLazyInit.getOrInitAsync() leaves a living worker alone whose locks it cannot see (${name})`, () =>
    withUsualPage(async (page, foreignAddress) => {
      assertEquals(
        await call(page, "waitForOwnerBehind", name, foreignAddress),
        1,
      );
    }));

  Deno.test(`MutexLazyInit.getOrInitAsync() notices in a page behind one of another site that a worker has ended, and not before (${name})`, () =>
    withUsualPage(async (page, foreignAddress) => {
      assertEquals(
        await call(page, "waitBehind", name, foreignAddress),
        [2, 2],
      );
    }));

  if (name === "Firefox") {
    Deno.test(`MutexLazyInit.open() gives agents of one partition one cell, and a page the one of the page on top (${name})`, () =>
      withUsualPage(async (page, foreignAddress) => {
        assertEquals(
          await call(page, "openBehindAndHere", foreignAddress),
          [1, 1, 1, 4, 4],
        );
      }));
  }

  if (name === "Chromium") {
    Deno.test(`MutexLazyInit shares memory with workers of a page that Document-Isolation-Policy isolates (${name})`, () =>
      withPage(async (page) => {
        assertEquals(await page.evaluate("crossOriginIsolated"), true);
        // A worker of a frame in it attaches to a cell of the page, and ends
        assertEquals(await call(page, "reloadFrame", name, "block"), 2);
      }, "document"));
  }
}
