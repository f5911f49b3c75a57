// Copyright 2026 the lazyinit authors. MIT license.

import type { Scenario } from "../schedules/explorer.ts";

/** Scenarios of which it is known what the explorer must find. */
export const scenarios: Scenario[] = [
  {
    // 3 × 3 positions of two threads that do not touch each other, without the last
    name: "independent",
    threads: 2,
    words: ["a", "b"],
    plainWords: [],
    prepare({ index, memory }) {
      const words = new Int32Array(memory);
      return () => {
        Atomics.add(words, index, 1);
        Atomics.add(words, index, 1);
      };
    },
    end: ([a, b]) => a === 2 && b === 2 ? undefined : "A step is missing",
  },
  {
    name: "flag-before-value",
    threads: 2,
    words: ["flag", "value"],
    plainWords: [],
    prepare(thread) {
      const words = new Int32Array(thread.memory);
      if (thread.index === 0) {
        return () => {
          Atomics.store(words, 0, 1);
          thread.yield(1);
          words[1] = 42;
        };
      }
      return () => {
        if (Atomics.load(words, 0) === 0) return;
        thread.yield(1);
        thread.check(words[1] === 42, `The value is ${words[1]}`);
      };
    },
  },
  {
    name: "no-notification",
    threads: 2,
    words: ["flag"],
    plainWords: [],
    prepare({ index, memory }) {
      const words = new Int32Array(memory);
      return index === 0
        ? () => Atomics.store(words, 0, 1)
        : () => Atomics.wait(words, 0, 0);
    },
  },
  {
    name: "one-notification-for-two",
    threads: 3,
    words: ["flag"],
    plainWords: [],
    prepare({ index, memory }) {
      const words = new Int32Array(memory);
      if (index > 0) return () => Atomics.wait(words, 0, 0);
      return () => {
        Atomics.store(words, 0, 1);
        Atomics.notify(words, 0, 1);
      };
    },
  },
  {
    name: "asynchronous",
    threads: 2,
    timeouts: 1,
    words: ["flag"],
    plainWords: [],
    prepare(thread) {
      const words = new Int32Array(thread.memory);
      if (thread.index === 0) {
        return () => {
          Atomics.store(words, 0, 1);
          Atomics.notify(words, 0);
        };
      }
      return async () => {
        const result = await Atomics.waitAsync(words, 0, 0, 9).value;
        thread.check(result !== "timed-out", "The time is up");
      };
    },
  },
  {
    name: "mortal",
    threads: 2,
    mortal: 0,
    words: ["steps"],
    plainWords: [],
    prepare(thread) {
      const words = new Int32Array(thread.memory);
      if (thread.index === 0) {
        return () => {
          Atomics.add(words, 0, 1);
          Atomics.add(words, 0, 1);
        };
      }
      return () => {
        thread.awaitEnd(0);
        thread.check(Atomics.load(words, 0) !== 1, "It died halfway");
      };
    },
  },
];
