// Copyright 2026 the lazyinit authors. MIT license.

import type { Role } from "./allowed_races.ts";
import type { Channel } from "./channel.ts";

/** What the body of a scenario has to do with. */
export class Thread {
  readonly index: number;
  readonly memory: SharedArrayBuffer;
  /** Whether it is the scenario's slow thread. */
  readonly slow: boolean;
  /**
   * What threads count, outside of the memory and without asking: one of them runs
   * at a time.
   */
  readonly ledger: Int32Array;
  readonly #channel: Channel;
  #role: Role = "";

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

  /** What it does at the moment. */
  get role(): Role {
    return this.#role;
  }

  /** Calls `call`, whose plain accesses are those of a role. */
  as<R>(role: Role, call: () => R): R {
    const outer = this.#role;
    this.#role = role;
    try {
      return call();
    } finally {
      this.#role = outer;
    }
  }

  /** Lets others go first. */
  yield(): void {
    this.#channel.ask("yield");
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
