// Copyright 2026 the lazyinit authors. MIT license.

import { type Browser, chromium } from "playwright-core";
import puppeteer, { type Browser as UsualBrowser } from "puppeteer-core";
import { findExecutable } from "./_executable.ts";

// It must not call home, least of all where it cannot
const ARGUMENTS = [
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-gpu",
  "--disable-quic",
  "--disable-sync",
  "--no-first-run",
];

/** Its sandbox refuses to run as root. */
const hasSandbox = Deno.uid() !== 0;

async function findChromium(): Promise<string> {
  return await findExecutable("Chromium", {
    variable: "CHROMIUM",
    paths: [
      // Before Chromium, which on the runners of GitHub may have no usable sandbox
      "/usr/bin/google-chrome",
      "/usr/bin/chromium",
      "/usr/bin/chromium-browser",
      "/Applications/Chromium.app/Contents/MacOS/Chromium",
      "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
      "C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe",
    ],
    installation: "apt-get install chromium",
  });
}

/** Starts a headless Chromium, or a browser made of it, that the machine has; the caller closes it. */
export async function launchChromium(): Promise<Browser> {
  return await chromium.launch({
    executablePath: await findChromium(),
    chromiumSandbox: hasSandbox,
    args: ARGUMENTS,
  });
}

/**
 * Starts one whose storage is that of users. By Playwright, the storage of frames is not
 * partitioned, and frames of other sites have none, as pages are private.
 */
export async function launchUsualChromium(): Promise<UsualBrowser> {
  return await puppeteer.launch({
    browser: "chrome",
    executablePath: await findChromium(),
    args: hasSandbox ? ARGUMENTS : [...ARGUMENTS, "--no-sandbox"],
  });
}
