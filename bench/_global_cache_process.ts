// Copyright 2026 the lazyinit authors. MIT license.

/*
 * A process that asks the server of global-cache for each key that it reads, one a line,
 * and says when it has its value and, if it has made it, when that was.
 */

import { globalCache } from "@vitalets/global-cache";

/** What the process says of a key. */
export interface Told {
  /** In ms of the machine. */
  readonly at: number;
  readonly made?: number;
}

const [serverUrl, duration] = Deno.args;
const config: object = { serverUrl };
globalCache.defineConfig(config);

/** Finer than `Date.now()`, and the same for all processes of a machine. */
function now(): number {
  return performance.timeOrigin + performance.now();
}

function tell(told: Told): void {
  const line = `${JSON.stringify(told)}\n`;
  Deno.stdout.writeSync(new TextEncoder().encode(line));
}

tell({ at: now() });
// Whoever tells it writes one line at a time
for await (
  const text of Deno.stdin.readable.pipeThrough(new TextDecoderStream())
) {
  let made: number | undefined;
  await globalCache.get(text.trim(), async () => {
    await new Promise((resolve) => setTimeout(resolve, Number(duration)));
    made = now();
    return "value";
  });
  tell({ at: now(), ...(made === undefined ? {} : { made }) });
}
