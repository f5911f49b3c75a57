// Copyright 2026 the lazyinit authors. MIT license.
/// <reference lib="deno.worker" />

/**
 * A worker that finds primes, and allocates memory for them once it knows how many.
 *
 * @module
 */

import { MutexLazyInit } from "../../mod.ts";
import { primesCodec, type PrimesJob } from "./messages.ts";

self.onmessage = ({ data }: MessageEvent<PrimesJob>) => {
  const cell = MutexLazyInit.from(data.cell, primesCodec);
  cell.init((_, allocate) => {
    const isComposite = sieve(data.limit);
    let count = 0;
    for (const composite of isComposite) if (composite === 0) count++;
    const primes = allocate(count);
    let found = 0;
    isComposite.forEach((composite, number) => {
      if (composite === 0) primes[found++] = number;
    });
    return primes;
  });
};

/** Returns a 0 at each prime up to the limit, and a 1 elsewhere. */
function sieve(limit: number): Uint8Array {
  const isComposite = new Uint8Array(limit + 1);
  isComposite.fill(1, 0, 2);
  for (let prime = 2; prime * prime <= limit; prime++) {
    if (isComposite[prime] === 1) continue;
    for (let multiple = prime * prime; multiple <= limit; multiple += prime) {
      isComposite[multiple] = 1;
    }
  }
  return isComposite;
}
