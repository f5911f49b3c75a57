// Copyright 2026 the lazyinit authors. MIT license.

/** A vector clock: how many operations of each thread are known. */
export class Clock {
  readonly #known: number[];

  constructor(threads: number) {
    this.#known = new Array<number>(threads).fill(0);
  }

  /** How many operations of a thread are known. */
  of(thread: number): number {
    return this.#known[thread]!;
  }

  /** Counts one more operation of a thread, and returns its number. */
  tick(thread: number): number {
    return ++this.#known[thread]!;
  }

  /** Learns all that another clock knows. */
  join(other: Clock): void {
    for (const [thread, known] of other.#known.entries()) {
      if (known > this.#known[thread]!) this.#known[thread] = known;
    }
  }

  /** Knows what another clock knows, and nothing else. */
  assign(other: Clock): void {
    for (const [thread, known] of other.#known.entries()) {
      this.#known[thread] = known;
    }
  }

  /** Knows nothing. */
  clear(): void {
    this.#known.fill(0);
  }
}
