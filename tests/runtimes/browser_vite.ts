// Copyright 2026 the lazyinit authors. MIT license.

import { assertEquals } from "@std/assert";
import type { Browser } from "playwright-core";
import manifest from "../../examples/recipes/vite/package.json" with {
  type: "json",
};
import { launchChromium } from "./_chromium.ts";
import { run } from "../_commands.ts";
import { install } from "./_packed.ts";
import { copyRecipe } from "./_recipes.ts";

/** A running server, which ends when it is disposed. */
interface Server extends AsyncDisposable {
  readonly url: string;
}

/** Starts Vite on a free port. */
async function serve(path: string, ...args: string[]): Promise<Server> {
  // Not by npm, which does not pass a signal on to what it runs
  const process = new Deno.Command("node", {
    args: ["node_modules/vite/bin/vite.js", ...args, "--port", "0"],
    cwd: path,
    env: { NO_COLOR: "1" },
    stdout: "piped",
  }).spawn();
  const output = process.stdout.pipeThrough(new TextDecoderStream());
  async function end() {
    process.kill();
    await process.status;
    await output.cancel();
  }

  let printed = "";
  // Not cancelled after that, as a server fails if it can print no more
  for await (const text of output.values({ preventCancel: true })) {
    printed += text;
    const url = printed.match(/http:\/\/localhost:\d+\//)?.[0];
    if (url) return { url, [Symbol.asyncDispose]: end };
  }
  await process.status;
  throw new Error(`Vite ended before it served a page\n${printed}`);
}

/** Asserts that the page is isolated, and shows what it and its workers read. */
async function assertShows(browser: Browser, url: string): Promise<void> {
  const page = await browser.newPage();
  const errors: string[] = [];
  page.on("pageerror", (error) => errors.push(`${error}`));
  page.on("console", (message) => {
    if (message.type() === "error") {
      errors.push(`${message.location().url}: ${message.text()}`);
    }
  });
  await page.goto(url);
  const items = page.locator("li");
  // If it does not come, the assertion tells what came instead
  await items.nth(4).waitFor().catch(() => {});
  assertEquals({
    isolated: await page.evaluate("crossOriginIsolated"),
    shown: (await items.allTextContents()).sort(),
    errors,
  }, {
    isolated: true,
    shown: [
      `page: ${Math.SQRT2}`,
      ...Array(4).fill(`worker: ${Math.SQRT2}`),
    ],
    errors: [],
  });
}

Deno.test("recipes/vite in Chromium", async (t) => {
  await using installation = await install(
    `vite@${manifest.devDependencies.vite}`,
  );
  const { path } = installation;
  await copyRecipe("vite/", path);
  await using browser = await launchChromium();

  await t.step(
    "shows the same root in page and workers, in development",
    async () => {
      await using server = await serve(path);
      await assertShows(browser, server.url);
    },
  );

  await t.step(
    "shows the same root in page and workers, as it is built",
    async () => {
      await run("npm", ["run", "build"], path);
      await using server = await serve(path, "preview");
      await assertShows(browser, server.url);
    },
  );
});
