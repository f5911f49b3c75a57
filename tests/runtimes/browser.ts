// Copyright 2026 the lazyinit authors. MIT license.

import { assertEquals } from "@std/assert";
import type { Page } from "playwright-core";
import type { Result } from "../conformance/suite.ts";
import { launchChromium } from "../testdata/chromium.ts";
import { installSuite, testConformance } from "../testdata/conformance.ts";
import { serve } from "../testdata/site.ts";

const directory = installSuite("page.ts", "web_worker.ts");

/** Opens an empty page in a new browser, where `/page.js` can be imported. */
async function withPage(
  body: (page: Page) => Promise<void>,
  isolated = true,
): Promise<void> {
  await using site = serve(directory(), isolated);
  const browser = await launchChromium();
  try {
    const page = await browser.newPage();
    await page.goto(site.address);
    await body(page);
  } finally {
    await browser.close();
  }
}

/** Calls a function of `page.ts` in a page, with a function there for its argument, if one is named. */
function call(
  page: Page,
  name: keyof typeof import("../conformance/page.ts"),
  argument = "",
): Promise<unknown> {
  return page.evaluate(
    `import("/page.js").then((module) => module.${name}(${argument}))`,
  );
}

testConformance("Chromium", (report) =>
  withPage(async (page) => {
    await page.exposeFunction("report", (result: Result) => report(result));
    await call(page, "run", "report");
  }));

for (const deed of ["wait", "block", "on the main thread"]) {
  Deno.test(`MutexLazyInit.getOrInitAsync() takes over from a frame that is reloaded (${deed}, Chromium)`, () =>
    withPage(async (page) => {
      assertEquals(await call(page, "reloadFrame", `"${deed}"`), 2);
    }));
}

Deno.test("MutexLazyInit begins anew in a page that is reloaded (Chromium)", () =>
  withPage(async (page) => {
    await call(page, "begin", '"wait"');
    await call(page, "begin", '"block"');
    assertEquals(await call(page, "countHeldLocks"), 2);
    await page.reload();
    // The workers of the old page end soon after it
    await page.waitForFunction(
      'import("/page.js").then(async (it) => await it.countHeldLocks() === 0)',
    );
    assertEquals(await call(page, "reloadFrame", '"wait"'), 2);
  }));

Deno.test("LazyInit and all other constructors name the missing headers (Chromium)", () =>
  withPage(async (page) => {
    const failure =
      "TypeError: Cannot use shared memory as SharedArrayBuffer is not defined: serve the page with the headers 'Cross-Origin-Opener-Policy: same-origin' and 'Cross-Origin-Embedder-Policy: require-corp'";
    const expected = [failure, failure, failure, failure];
    assertEquals(await call(page, "failures"), expected);
    assertEquals(await call(page, "failuresInWorker"), expected);
  }, false));
