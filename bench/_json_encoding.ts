// Copyright 2026 the lazyinit authors. MIT license.

/*
 * What it costs to put a large value into a cell of `json()`. It runs in Deno, Node and
 * Bun.
 */

import { json, MutexLazyInit } from "../mod.ts";
import { consume, expect, type Group, type Subject } from "./_suite.ts";

const NUMBERS = 1_000_000;

function encoders(): Subject[] {
  const numbers = Array.from({ length: NUMBERS }, (_, i) => i / 3);
  const cell = new MutexLazyInit(json<number[]>());
  return [
    {
      name: "JSON.stringify()",
      baseline: true,
      run: () => consume(JSON.stringify(numbers)),
    },
    {
      name: "JSON.stringify(), and UTF-8 of it",
      run: () => consume(new TextEncoder().encode(JSON.stringify(numbers))),
    },
    {
      name: "MutexLazyInit.init() of json()",
      run(timer) {
        cell.reset();
        timer.start();
        cell.init(() => numbers);
        timer.end();
        expect(cell.value.length, NUMBERS);
      },
    },
  ];
}

export const jsonEncoding: Group = {
  name: `encode ${NUMBERS.toLocaleString("en")} numbers as JSON`,
  operation: "array",
  operations: 1,
  single: true,
  rounds: 4,
  warmUpRounds: 1,
  create: encoders,
};
