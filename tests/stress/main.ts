// Copyright 2026 the lazyinit authors. MIT license.

/* Runs many workers for a minute; `--workers N`, `--seconds N`, `--seed N`. */

import { stress } from "./stress.ts";

function argument(name: string, otherwise: number): number {
  const index = Deno.args.indexOf(`--${name}`);
  return index === -1 ? otherwise : Number(Deno.args[index + 1]);
}

async function print(text: string): Promise<void> {
  await Deno.stdout.write(new TextEncoder().encode(text));
}

const workers = argument("workers", 16);
const seconds = argument("seconds", 60);
const seed = argument("seed", Math.floor(Math.random() * 2 ** 31));
await print(`${workers} workers, ${seconds} s, --seed ${seed}\n`);

const { totals, violations, hang } = await stress({
  workers,
  duration: seconds * 1_000,
  seed,
});
for (const [name, total] of Object.entries({ ...totals, ...violations })) {
  await print(`${name.padEnd(34)}${`${total}`.padStart(12)}\n`);
}
if (hang !== undefined) await print(`Nothing goes on; phases: ${hang}\n`);
const broken = Object.values(violations).some((number) => number > 0);
if (broken || hang !== undefined) Deno.exit(1);
