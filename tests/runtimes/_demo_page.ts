// Copyright 2026 the lazyinit authors. MIT license.

import type { Browser, BrowserContextOptions, Page } from "playwright-core";

const ROOT = new URL("../../", import.meta.url);

/** A process that serves the page of the demo. */
export interface DemoServer extends AsyncDisposable {
  readonly url: string;
}

/** Builds the page and serves it, by the same task as people do. */
export async function startDemo(): Promise<DemoServer> {
  const server = new Deno.Command(Deno.execPath(), {
    args: ["task", "--quiet", "demo:browser", "--port", "0"],
    cwd: ROOT,
    stdout: "piped",
  }).spawn();
  const reader = server.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let output = "";
  while (!output.endsWith("\n")) {
    const { value, done } = await reader.read();
    if (done) throw new Error("The server has ended before it was ready");
    output += value;
  }
  return {
    url: output.trim(),
    async [Symbol.asyncDispose]() {
      server.kill();
      await reader.cancel();
      await server.status;
    },
  };
}

/** Opens a page, and fails if it complains of anything until `use` is done. */
export async function withPage(
  browser: Browser,
  url: string,
  use: (page: Page) => Promise<void>,
  options: BrowserContextOptions = {},
): Promise<void> {
  const context = await browser.newContext(options);
  try {
    const page = await context.newPage();
    const complaints: string[] = [];
    page.setDefaultTimeout(30_000);
    page.on("console", (message) => {
      if (message.type() === "error" || message.type() === "warning") {
        complaints.push(message.text());
      }
    });
    page.on("pageerror", (error) => complaints.push(error.message));
    page.on("requestfailed", (request) => complaints.push(request.url()));
    page.on("response", (response) => {
      if (!response.ok()) {
        complaints.push(`${response.status()} ${response.url()}`);
      }
    });
    await page.goto(url);
    await use(page);
    if (complaints.length > 0) throw new Error(complaints.join("\n"));
  } finally {
    await context.close();
  }
}
