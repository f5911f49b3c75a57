// Copyright 2026 the lazyinit authors. MIT license.

/* Runs what cells by name promise, and prints what comes of each scenario, a line each. */

import process from "node:process";
import { SCENARIOS } from "../_open_scenarios.ts";

for (const [name, scenario] of Object.entries(SCENARIOS)) {
  let error: string | undefined;
  try {
    await scenario();
  } catch (thrown) {
    error = String(thrown);
  }
  process.stdout.write(`${JSON.stringify({ name, error })}\n`);
}
