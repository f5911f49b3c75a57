// Copyright 2026 the lazyinit authors. MIT license.

/*
 * Runs every subject of the benchmarks once, save those of a million cells or keys or half a GiB,
 * and prints how many groups and subjects there were.
 */

import { suites } from "../../bench/report/measure.ts";

let groups = 0;
let subjects = 0;
for (const suite of suites.filter(({ name }) => !/scale|sizes/.test(name))) {
  for (const group of suite.groups) {
    if (group.name.includes("million")) continue;
    groups++;
    for (const subject of await group.create()) {
      subjects++;
      await subject.run({ start() {}, end() {} });
    }
  }
}
const text = `${groups} groups, ${subjects} subjects`;
Deno.stdout.writeSync(new TextEncoder().encode(text));
// Ends the workers, too, which sleep
Deno.exit();
