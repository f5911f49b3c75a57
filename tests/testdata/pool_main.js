// Copyright 2026 the lazyinit authors. MIT license.

/*
 * A pool of piscina in which a task ends its worker in its initializer. Prints what comes
 * of all tasks.
 */

import process from "node:process";
import { int32, MutexLazyInit } from "@lazyinit/lazyinit";
import { Piscina } from "piscina";

const pool = new Piscina({
  filename: new URL("./pool_task.js", import.meta.url).href,
  minThreads: 3,
  maxThreads: 3,
});
const cell = new MutexLazyInit(int32);
const { handle } = cell;
const entered = new SharedArrayBuffer(4);

const fatal = pool.run({ handle, entered, exits: true });
const settled = fatal.then(() => "fulfilled", () => "rejected");
// The others come when the initializer runs
const word = new Int32Array(entered);
while (Atomics.load(word, 0) === 0) {
  await new Promise((resolve) => setTimeout(resolve));
}
const tasks = Array.from({ length: 8 }, () => pool.run({ handle, entered }));
Atomics.store(word, 0, 2);
Atomics.notify(word, 0);
const values = await Promise.all(tasks);
process.stdout.write(JSON.stringify({
  fatal: await settled,
  values,
  value: cell.get(),
}));
await pool.destroy();
