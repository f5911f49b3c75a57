// Copyright 2026 the lazyinit authors. MIT license.

import puppeteer, { type Browser } from "puppeteer-core";
import { findExecutable } from "./_executable.ts";

/**
 * Starts a headless Firefox that the machine has; the caller closes it. Not by
 * Playwright, which drives none but its own.
 */
export async function launchFirefox(): Promise<Browser> {
  return await puppeteer.launch({
    browser: "firefox",
    executablePath: await findExecutable("Firefox", {
      variable: "FIREFOX",
      paths: [
        "/usr/bin/firefox-esr",
        "/usr/bin/firefox",
        "/Applications/Firefox.app/Contents/MacOS/firefox",
        "C:\\Program Files\\Mozilla Firefox\\firefox.exe",
      ],
      installation: "apt-get install firefox-esr",
    }),
  });
}
