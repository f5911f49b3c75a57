// Copyright 2026 the lazyinit authors. MIT license.

/*
 * Runs many workers on cells for a minute, and then on the keys of a map; `--workers N`,
 * `--seconds N`, `--seed N`, `--keys N`. Workers that end amid their work are part of the
 * second.
 */

import { keyedStress } from "./keyed_stress.ts";
import { type Report, stress } from "./stress.ts";

function argument(name: string, otherwise: number): number {
  const index = Deno.args.indexOf(`--${name}`);
  return index === -1 ? otherwise : Number(Deno.args[index + 1]);
}

async function print(text: string): Promise<void> {
  await Deno.stdout.write(new TextEncoder().encode(text));
}

/** Prints a report, and returns whether nothing is wrong. */
async function tell({ totals, violations, hang }: Report): Promise<boolean> {
  for (const [name, total] of Object.entries({ ...totals, ...violations })) {
    await print(`${name.padEnd(34)}${`${total}`.padStart(12)}\n`);
  }
  if (hang !== undefined) await print(`Nothing goes on; ${hang}\n`);
  return hang === undefined &&
    Object.values(violations).every((number) => number === 0);
}

const workers = argument("workers", 16);
const seconds = argument("seconds", 60);
const seed = argument("seed", Math.floor(Math.random() * 2 ** 31));
const keys = argument("keys", 100_000);
const duration = seconds * 1_000;
await print(`Cells: ${workers} workers, ${seconds} s, --seed ${seed}\n`);
const cells = await tell(await stress({ workers, duration, seed }));

const half = Math.max(3, Math.ceil(workers / 2));
await print(
  `\n${keys} keys of a map: ${half} workers, ${seconds} s, --seed ${seed}\n`,
);
const map = await tell(
  await keyedStress({ workers: half, keys, duration, seed }),
);
Deno.exit(cells && map ? 0 : 1);
