// Copyright 2026 the lazyinit authors. MIT license.

import { type Clock, platformClock, useClock } from "../../cluster/_clock.ts";
import {
  ClusterLazyInit,
  type ClusterLazyInitOptions,
  type Store,
} from "../../cluster/mod.ts";
import type { Codec } from "../../codec.ts";

/** So many microtasks in a row are more than any of the modules' chains needs. */
const TURNS = 200;

interface Timer {
  readonly at: number;
  readonly callback: () => void;
}

/** A clock whose time passes only when nothing else is left to do. */
export class VirtualClock implements Clock {
  /** What has not come yet. */
  readonly timers = new Set<Timer>();
  readonly random = (): number => 0.5;
  readonly nonce = platformClock.nonce;
  #time = 0;

  readonly now = (): number => this.#time;

  readonly setTimeout = (callback: () => void, milliseconds: number): Timer => {
    const timer = { at: this.#time + milliseconds, callback };
    this.timers.add(timer);
    return timer;
  };

  readonly clearTimeout = (timer: unknown): void => {
    this.timers.delete(timer as Timer);
  };

  /** Creates a cell that goes by this clock. */
  cell<T>(
    store: Store,
    key: string,
    codec: Codec<T>,
    options: ClusterLazyInitOptions = { lease: 1_000 },
  ): ClusterLazyInit<T> {
    useClock(this);
    try {
      return new ClusterLazyInit(store, key, codec, options);
    } finally {
      useClock(platformClock);
    }
  }

  /** Lets time pass until `promise` settles, and settles as it does. */
  async settle<R>(promise: Promise<R>): Promise<R> {
    let pending = true;
    const end = () => pending = false;
    promise.then(end, end);
    for (;;) {
      await this.drain();
      if (!pending) return await promise;
      if (!this.#fire(Infinity)) throw new Error("It never settles");
    }
  }

  /** Lets so many milliseconds pass. */
  async pass(milliseconds: number): Promise<void> {
    const end = this.#time + milliseconds;
    do await this.drain(); while (this.#fire(end));
    this.#time = end;
    await this.drain();
  }

  /** Lets everything happen that needs no time. */
  async drain(): Promise<void> {
    for (let turn = 0; turn < TURNS; turn++) await null;
  }

  /** Fires the next timer, if it is due by `end`. */
  #fire(end: number): boolean {
    const [next] = [...this.timers].sort((a, b) => a.at - b.at);
    if (next === undefined || next.at > end) return false;
    this.#time = Math.max(this.#time, next.at);
    this.timers.delete(next);
    next.callback();
    return true;
  }
}
