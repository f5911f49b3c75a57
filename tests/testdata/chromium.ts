// Copyright 2026 the lazyinit authors. MIT license.

import { type Browser, chromium } from "playwright-core";

/** Where installers put Chromium, or a browser that is made of it. */
const PATHS = [
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/Applications/Chromium.app/Contents/MacOS/Chromium",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
  "C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe",
];

async function exists(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(path)).isFile;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Starts a headless Chromium that the machine has; the caller closes it. */
export async function launchChromium(): Promise<Browser> {
  const wanted = Deno.env.get("CHROMIUM");
  for (const executablePath of wanted ? [wanted] : PATHS) {
    if (!await exists(executablePath)) continue;
    return await chromium.launch({
      executablePath,
      // Its sandbox refuses to run as root
      chromiumSandbox: Deno.build.os !== "windows" && Deno.uid() !== 0,
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
  throw new Error(
    `Cannot find Chromium at ${
      wanted ?? PATHS.join(", ")
    }: install it (Debian: apt-get install chromium), or set CHROMIUM to its path`,
  );
}
