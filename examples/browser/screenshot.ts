// Copyright 2026 the lazyinit authors. MIT license.

/**
 * Makes the picture of the page that README shows: a worker that takes over from
 * one that fails, what the three trials show, and the map with an answer.
 *
 * @module
 */

import { launchChromium } from "../../tests/runtimes/_chromium.ts";
import { startDemo } from "../../tests/runtimes/_demo_page.ts";

const PATH = new URL("screenshot.png", import.meta.url);

await using server = await startDemo();
const browser = await launchChromium();
const page = await browser.newPage({
  viewport: { width: 1200, height: 1000 },
  colorScheme: "light",
});
await page.goto(server.url);

await page.getByLabel("fails at first").check();
await page.getByRole("button", { name: "Start" }).click();
await page.getByText("3 workers have the value").waitFor();

await page.getByRole("button", { name: "Find primes" }).click();
await page.getByText("primes, the largest is").waitFor();
await page.getByRole("button", { name: "Fill the map" }).click();
await page.getByText("initializer calls").waitFor();
await page.getByRole("button", { name: "Reload 100 times" }).click();
await page.getByText("100 reloads:").waitFor();

await page.locator("#nearest").scrollIntoViewIfNeeded();
await page.getByRole("combobox").fill("Nairobi, Kenya");
await page.keyboard.press("Enter");
await page.getByRole("table", { name: "Nearest to Nairobi" }).waitFor();

// What a reader of README can do without
await page.addStyleTag({
  content:
    "header, footer, #nearest > p, #nearest > .columns { display: none }",
});
await page.screenshot({ path: PATH.pathname, fullPage: true });
await browser.close();
