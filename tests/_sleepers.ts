// Copyright 2026 the lazyinit authors. MIT license.

import { replaceable } from "./_platform.ts";

const SLEEPING = 0;
const BEGUN = 1;

/** Where the sleeps of this agent count. */
let counted: Int32Array | undefined;

/** Whether a call with these arguments would sleep at all. */
function sleeps(
  words: Int32Array,
  index: number,
  value: number,
  timeout = Infinity,
): boolean {
  return timeout > 0 && Atomics.load(words, index) === value;
}

function begin(words: Int32Array): void {
  Atomics.add(words, BEGUN, 1);
  Atomics.add(words, SLEEPING, 1);
}

function end(words: Int32Array): void {
  Atomics.sub(words, SLEEPING, 1);
}

type WaitAsync = (
  words: Int32Array,
  index: number,
  value: number,
  timeout?: number,
) => ReturnType<typeof Atomics.waitAsync>;

const { wait } = replaceable;
replaceable.wait = (...args) => {
  const words = counted;
  if (words === undefined || !sleeps(...args)) return wait(...args);
  begin(words);
  try {
    return wait(...args);
  } finally {
    end(words);
  }
};

// Some browsers have none
const { waitAsync }: { waitAsync?: WaitAsync } = Atomics;
if (waitAsync !== undefined) {
  const counting: WaitAsync = (...args) => {
    const words = counted;
    if (words === undefined || !sleeps(...args)) return waitAsync(...args);
    begin(words);
    const sleep = waitAsync(...args);
    if (sleep.async) sleep.value.then(() => end(words));
    else end(words);
    return sleep;
  };
  Object.assign(Atomics, { waitAsync: counting });
}

/**
 * Counts the agents that sleep in a wait of the modules, or are about to. What tests
 * themselves wait for, as by a `Flag`, does not count.
 */
export class Sleepers {
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array<SharedArrayBuffer>;

  constructor(buffer = new SharedArrayBuffer(8)) {
    this.buffer = buffer;
    this.#words = new Int32Array(this.buffer);
  }

  /** How many sleep now; one agent may sleep in several asynchronous waits. */
  get count(): number {
    return Atomics.load(this.#words, SLEEPING);
  }

  /** How often anybody has fallen asleep so far. */
  get begun(): number {
    return Atomics.load(this.#words, BEGUN);
  }

  /** Has the sleeps of this agent count here from now on. */
  countThisAgent(): void {
    counted = this.#words;
  }

  /** Spins until somebody sleeps. */
  spin(): void {
    while (this.count === 0);
  }
}
