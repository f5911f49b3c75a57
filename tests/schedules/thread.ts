// Copyright 2026 the lazyinit authors. MIT license.

import type { Channel } from "./channel.ts";

/** What the body of a scenario has to do with. */
export class Thread {
  readonly index: number;
  readonly memory: SharedArrayBuffer;
  /** Whether it is the scenario's slow thread, which writes to the slot in one step. */
  readonly slow: boolean;
  /**
   * What threads count, outside of the memory and without asking: one of them runs
   * at a time.
   */
  readonly ledger: Int32Array;
  readonly #channel: Channel;

  constructor(
    index: number,
    channel: Channel,
    memory: SharedArrayBuffer,
    ledger: Int32Array,
    slow: boolean,
  ) {
    this.index = index;
    this.#channel = channel;
    this.memory = memory;
    this.ledger = ledger;
    this.slow = slow;
  }

  /** Lets others go first, before a plain access to `word` if there is one. */
  yield(word?: number): void {
    this.#channel.ask("yield", word);
  }

  /** Goes on when another thread has ended, be it by its death. */
  awaitEnd(index: number): void {
    this.#channel.ask("await", -1, index);
  }

  /** Reports a violation unless `condition` holds. */
  check(condition: boolean, message: string): void {
    if (!condition) this.#channel.fail(message);
  }
}
