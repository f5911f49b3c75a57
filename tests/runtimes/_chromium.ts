// Copyright 2026 the lazyinit authors. MIT license.

import { type Browser, chromium } from "playwright-core";
import { findExecutable } from "./_executable.ts";

/** Starts a headless Chromium, or a browser made of it, that the machine has; the caller closes it. */
export async function launchChromium(): Promise<Browser> {
  return await chromium.launch({
    executablePath: await findExecutable("Chromium", {
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
    }),
    // Its sandbox refuses to run as root
    chromiumSandbox: Deno.uid() !== 0,
    // It must not call home, least of all where it cannot
    args: [
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-gpu",
      "--disable-quic",
      "--disable-sync",
      "--no-first-run",
    ],
  });
}
