// Copyright 2026 the lazyinit authors. MIT license.

/*
 * What the cells are compared with: the bare operations that they are made of, the
 * usual ways within one thread, and packages that do something similar.
 */

const INITIALIZED = 2;

/** A field, which no value in shared memory can beat. */
export class PlainField<T> {
  readonly value: T;

  constructor(value: T) {
    this.value = value;
  }
}

/** What a cell would be without its cache: ask the shared flag, then read. */
export class AtomicFlag<T> {
  readonly #words = new Int32Array(new SharedArrayBuffer(4));
  readonly #value: T;

  constructor(value: T) {
    this.#value = value;
    Atomics.store(this.#words, 0, INITIALIZED);
  }

  get(): T | undefined {
    return Atomics.load(this.#words, 0) === INITIALIZED
      ? this.#value
      : undefined;
  }
}

/** The usual one-time initialization within one thread. */
export function once<T>(initializer: () => T): () => T {
  let done = false;
  let value: T | undefined;
  return () => {
    if (!done) {
      value = initializer();
      done = true;
    }
    return value as T;
  };
}

/** What a mutex costs at the least: three states of one word, and one waiter woken at a time. */
export class BareMutex {
  static readonly #UNLOCKED = 0;
  static readonly #LOCKED = 1;
  static readonly #CONTENDED = 2;

  readonly #word: Int32Array;

  constructor(word: Int32Array) {
    this.#word = word;
  }

  lock(): void {
    let found = Atomics.compareExchange(
      this.#word,
      0,
      BareMutex.#UNLOCKED,
      BareMutex.#LOCKED,
    );
    while (found !== BareMutex.#UNLOCKED) {
      found = Atomics.exchange(this.#word, 0, BareMutex.#CONTENDED);
      if (found !== BareMutex.#UNLOCKED) {
        Atomics.wait(this.#word, 0, BareMutex.#CONTENDED);
      }
    }
  }

  unlock(): void {
    const found = Atomics.exchange(this.#word, 0, BareMutex.#UNLOCKED);
    if (found === BareMutex.#CONTENDED) Atomics.notify(this.#word, 0, 1);
  }
}
