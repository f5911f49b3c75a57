// Copyright 2026 the lazyinit authors. MIT license.
// deno-lint-ignore-file no-console

/**
 * Builds the page and serves it.
 *
 * ```sh
 * deno task demo:browser --port 8000
 * ```
 *
 * @module
 */

import { parseArgs } from "node:util";
import { build } from "./build.ts";
import { serve } from "./server.ts";

const USAGE = `\
Usage: deno task demo:browser [options]

Builds the page that shows cells at work, and serves it on localhost.

Options:
  --port N    where to listen, from 0 to 65535; 0 takes any; 8000 by default
  -h, --help  show this and exit`;

function parseOptions(args: string[]): { help: boolean; port: number } {
  const { values: { help, port } } = parseArgs({
    args,
    options: {
      port: { type: "string", default: "8000" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (!/^\d{1,5}$/.test(port) || Number(port) > 65_535) {
    throw new RangeError(
      `--port must be an integer from 0 to 65535: current value is "${port}"`,
    );
  }
  return { help, port: Number(port) };
}

let options: ReturnType<typeof parseOptions>;
try {
  options = parseOptions(Deno.args);
} catch (error) {
  console.error(`error: ${(error as Error).message}\n\n${USAGE}`);
  Deno.exit(1);
}
if (options.help) console.log(USAGE);
else serve(await build(), options.port);
