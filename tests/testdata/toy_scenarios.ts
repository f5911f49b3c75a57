// Copyright 2026 the lazyinit authors. MIT license.

import type { Scenario } from "../schedules/explorer.ts";
import type { ExploredLocks } from "../schedules/locks.ts";

/** Plain accesses to the second word of the memory, by what they are made with. */
const ACCESSES: Record<string, (memory: SharedArrayBuffer) => unknown> = {
  "an-element": (memory) => new Float64Array(memory)[0],
  "fill": (memory) => new Uint8Array(memory).fill(1, 4),
  "set": (memory) => new Uint8Array(memory).set([1, 2], 6),
  "a-subarray": (memory) => new Int32Array(memory).subarray(1)[0],
  "reverse": (memory) => new Int16Array(memory, 4).reverse(),
  "join": (memory) => new BigInt64Array(memory).join(),
  "slice": (memory) => new Int32Array(memory).slice(1),
  "a-copy": (memory) => new Uint8Array(new Uint8Array(memory)),
  "a-spread": (memory) => [...new Int32Array(memory)],
  "set-from": (memory) => new Int32Array(2).set(new Int32Array(memory)),
  "getInt16": (memory) => new DataView(memory).getInt16(6),
  "setFloat64": (memory) => new DataView(memory).setFloat64(0, 1),
};

/** Scenarios of which it is known what the explorer must find. */
export const scenarios: Scenario[] = [
  {
    // 3 × 3 positions of two threads that do not touch each other, without the last
    name: "independent",
    threads: 2,
    words: ["a", "b"],
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
    prepare(thread) {
      const words = new Int32Array(thread.memory);
      if (thread.index === 0) {
        return () => {
          Atomics.store(words, 0, 1);
          words[1] = 42;
        };
      }
      return () => {
        if (Atomics.load(words, 0) === 0) return;
        thread.check(words[1] === 42, `The value is ${words[1]}`);
      };
    },
  },
  {
    name: "no-notification",
    threads: 2,
    words: ["flag"],
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
  {
    // Waits for a value that the word does not have, as who forgets the waiters bit
    name: "spinning",
    threads: 2,
    words: ["flag"],
    prepare({ index, memory }) {
      const words = new Int32Array(memory);
      if (index === 0) return () => Atomics.store(words, 0, 2);
      return () => {
        while (Atomics.load(words, 0) !== 2) Atomics.wait(words, 0, 1);
      };
    },
  },
  {
    name: "endless",
    threads: 1,
    words: ["flag"],
    prepare({ memory }) {
      const words = new Int32Array(memory);
      return () => {
        while (Atomics.load(words, 0) === 0);
      };
    },
  },
  {
    // A flag that is set plainly, though it is loaded atomically
    name: "plain-publication",
    threads: 2,
    words: ["state", "slot"],
    prepare({ index, memory }) {
      const words = new Int32Array(memory);
      if (index === 0) {
        return () => {
          words[1] = 42;
          words[0] = 1;
        };
      }
      return () => Atomics.load(words, 0) === 1 ? words[1] : undefined;
    },
  },
  {
    // A flag that may be read plainly, though not for the sake of the value behind it
    name: "plain-flag",
    threads: 2,
    words: ["state", "slot"],
    prepare({ index, memory }) {
      const words = new Int32Array(memory);
      if (index === 0) {
        return () => {
          words[1] = 42;
          Atomics.store(words, 0, 1);
        };
      }
      return () => words[0] === 1 ? words[1] : undefined;
    },
  },
  // A value that is reset while somebody reads it: 4 is the generation after 2
  ...[
    { name: "seqlock", resets: [reset, zero], confirm },
    { name: "confirmed-by-a-load", resets: [reset, zero], confirm: load },
    { name: "zeroed-before-the-reset", resets: [zero, reset], confirm },
  ].map(({ name, resets, confirm }): Scenario => ({
    name,
    threads: 2,
    words: ["state", "slot"],
    prepare(thread) {
      const words = new Int32Array(thread.memory);
      words[0] = 2;
      words[1] = 42;
      if (thread.index === 0) {
        return () => resets.forEach((step) => step(words));
      }
      return () => {
        if (Atomics.load(words, 0) !== 2) return;
        const value = thread.as("decoding", () => words[1]);
        if (confirm(words)) thread.check(value === 42, `It read ${value}`);
      };
    },
  })),
  // Both agents place a cell and fill it, if they come first
  ...[
    { name: "placing", claim: () => true },
    { name: "placed-without-a-claim", claim: () => false },
  ].map(({ name, claim }): Scenario => ({
    name,
    threads: 2,
    words: ["state", "layout", "slot"],
    prepare(thread) {
      const words = new Int32Array(thread.memory);
      return () => {
        thread.as("placing", () => words.every((word) => word === 0));
        if (claim()) Atomics.compareExchange(words, 1, 0, 7);
        if (Atomics.compareExchange(words, 0, 0, 1) === 0) words[2] = 42;
      };
    },
  })),
  {
    // Nothing but the notification orders the accesses to the value
    name: "woken",
    threads: 2,
    timeouts: 1,
    words: ["flag", "value"],
    prepare(thread) {
      const words = new Int32Array(thread.memory);
      if (thread.index === 0) {
        return () => {
          words[1] = 42;
          Atomics.notify(words, 0);
        };
      }
      return () => {
        if (Atomics.wait(words, 0, 0, 9) === "timed-out") return;
        thread.check(words[1] === 42, `The value is ${words[1]}`);
      };
    },
  },
  {
    // Nothing but its end orders them
    name: "outlived",
    threads: 2,
    mortal: 0,
    words: ["value"],
    prepare(thread) {
      const words = new Int32Array(thread.memory);
      if (thread.index === 0) {
        return () => {
          words[0] = 42;
        };
      }
      return () => {
        thread.awaitEnd(0);
        words[0] = 43;
      };
    },
  },
  // It may write as long as it owns the slot, which another agent takes from it
  ...[true, false].map((looks): Scenario => ({
    name: looks ? "slow-with-a-look" : "slow-without-a-look",
    threads: 2,
    slow: 0,
    looks: { operations: ["load"], words: [0] },
    words: ["state", "slot"],
    prepare(thread) {
      const words = new Int32Array(thread.memory);
      if (thread.index === 0) {
        return () => {
          if (!looks || Atomics.load(words, 0) === 0) words[1] = 42;
        };
      }
      return () => {
        Atomics.store(words, 0, 1);
        const before = words[1];
        thread.check(words[1] === before, "It wrote without a look");
      };
    },
  })),
  // A lock is held for a turn by one at a time, or until its holder dies
  ...[{}, { mortal: 0 }].map((rest): Scenario => ({
    ...rest,
    name: "mortal" in rest ? "lock-of-a-mortal" : "lock",
    threads: 2,
    locks: true,
    words: ["unused"],
    prepare(thread) {
      const { index, ledger } = thread;
      const { locks } = navigator as unknown as { locks?: ExploredLocks };
      const mode = index === 0 ? "exclusive" : "shared";
      return () =>
        locks!.request("agent 1", { mode }, async () => {
          thread.check(
            ++ledger[0]! === 1 || "mortal" in rest,
            "Two agents hold the lock",
          );
          await locks!.request(`agent ${index + 2}`, {}, () => {});
          ledger[0]!--;
        });
    },
  })),
  ...Object.entries(ACCESSES).map(([name, access]): Scenario => ({
    // Beside a plain access to the same word
    name: `beside-${name}`,
    threads: 2,
    words: ["value", "next"],
    prepare({ index, memory }) {
      const view = new DataView(memory);
      return () => index === 0 ? view.setUint8(7, 1) : access(memory);
    },
  })),
];

/** The steps of a reset and of a read beside it. */
function reset(words: Int32Array): void {
  Atomics.compareExchange(words, 0, 2, 4);
}

function zero(words: Int32Array): void {
  words[1] = 0;
}

function confirm(words: Int32Array): boolean {
  return Atomics.compareExchange(words, 0, 2, 2) === 2;
}

function load(words: Int32Array): boolean {
  return Atomics.load(words, 0) === 2;
}
