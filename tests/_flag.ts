// Copyright 2026 the lazyinit authors. MIT license.

import { wait } from "./_platform.ts";

/** A one-way signal between agents: the handshake that tests use in place of sleeps. */
export class Flag {
  readonly buffer: SharedArrayBuffer;
  readonly #word: Int32Array<SharedArrayBuffer>;

  constructor(buffer = new SharedArrayBuffer(4)) {
    this.buffer = buffer;
    this.#word = new Int32Array(this.buffer);
  }

  raise(): void {
    Atomics.store(this.#word, 0, 1);
    Atomics.notify(this.#word, 0);
  }

  /** Blocks until the flag is raised. */
  block(): void {
    wait(this.#word, 0, 0);
  }

  /** As {@linkcode block}, in a loop. */
  spin(): void {
    while (Atomics.load(this.#word, 0) === 0);
  }

  async raised(): Promise<void> {
    await until(() => Atomics.load(this.#word, 0) === 1);
  }
}

/** How long {@linkcode until} looks, in ms; what takes longer does not come. */
const PATIENCE = 15_000;

/** Resolves when the condition holds, which another agent is about to bring about. */
export async function until(
  condition: () => boolean | Promise<boolean>,
): Promise<void> {
  const deadline = performance.now() + PATIENCE;
  while (!await condition()) {
    if (performance.now() > deadline) throw new Error(`Never ${condition}`);
    await new Promise((resolve) => setTimeout(resolve));
  }
}

/** Time in which what has been woken, granted or aborted goes on. */
export async function turns(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) {
    await new Promise((resolve) => setTimeout(resolve));
  }
}
