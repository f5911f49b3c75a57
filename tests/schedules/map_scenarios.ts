// Copyright 2026 the lazyinit authors. MIT license.

/*
 * Scenarios of `LazyInitMap`. A value is one word that is the number of its maker, again
 * and again, so that a torn one shows. What each word of the memory is depends on who
 * came first, so it is found by following the chains, as the map does.
 */

import { type Codec, int32, LazyInitMap, OwnerLostError } from "../../mod.ts";
import type { Looks, Scenario } from "./explorer.ts";
import type { Thread } from "./thread.ts";

/** What the ledger counts. */
const RUNNING = 0;
const REFUSED = 1;
/** From here on, how many initializers of each key have succeeded. */
const MADE = 16;

/** Keys whose chains are the same, in a table of four, … */
const [KEY, SECOND, THIRD] = [1, 2, 7];
/** … and one in another chain. */
const OTHER = 3;

const TABLE = 6;
const TABLE_LENGTH = 4;
const HEADER = [
  "units",
  "count",
  "layout",
  "-",
  "-",
  "-",
  "first[0]",
  "first[1]",
  "first[2]",
  "first[3]",
];
const ENTRY = [
  "state",
  "generation",
  "hash",
  "run",
  "probe",
  "-",
  "next",
  "key length",
  "block",
  "-",
  "key",
  "-",
];
const STATE = 0;
const HASH = 2;
const NEXT = 6;
const BLOCK = 8;
const ENTRY_KEY = 10;
const UNLINKED = "unlinked";
const UNIT_WORDS = 2;

/** The memory of a map that has room for so many entries with one block each. */
function wordsFor(entries: number): string[] {
  const entry = [...ENTRY, "room", "length", "slot[0]", "slot[1]"];
  return [...HEADER, ...Array.from({ length: entries }, () => entry).flat()];
}

/** The words at which the entries of a chain begin. */
function entriesOf(memory: Int32Array, chain: number): number[] {
  const found: number[] = [];
  let word = memory[TABLE + chain]! * UNIT_WORDS;
  while (word > 0 && word < memory.length && !found.includes(word)) {
    found.push(word);
    word = memory[word + NEXT]! * UNIT_WORDS;
  }
  return found;
}

/** Names the words of what is linked. What was linked keeps its name. */
function naming(memory: Int32Array): (word: number) => string {
  const names = new Map<number, string>();
  return (word) => {
    if (memory[0] === 0) names.clear();
    for (let chain = 0; chain < TABLE_LENGTH; chain++) {
      for (const entry of entriesOf(memory, chain)) {
        for (const [i, name] of ENTRY.entries()) names.set(entry + i, name);
        const block = memory[entry + BLOCK]! * UNIT_WORDS;
        if (block === 0) continue;
        names.set(block, "room").set(block + 1, "length");
        for (let i = 0; i < memory[block]! / 4; i++) {
          names.set(block + 2 + i, `slot[${i}]`);
        }
      }
    }
    return HEADER[word] ?? names.get(word) ?? UNLINKED;
  };
}

/** How an agent looks whether it owns the first entry, if that has been there before. */
const LOOKS: Looks = {
  operations: ["load"],
  words: [HEADER.length + STATE],
};

/** Two words that must agree. */
function pairs(thread: Thread): Codec<number> {
  const words = new Int32Array(thread.memory);
  return {
    tag: "pair",
    byteLength: 8,
    encode(value, { byteOffset }) {
      words[byteOffset / 4] = value;
      words[byteOffset / 4 + 1] = value;
    },
    decode: ({ byteOffset }) => decodeAt(words, byteOffset, 2),
  };
}

/** As many words that must agree as the number says. */
function runs(thread: Thread): Codec<number> {
  const words = new Int32Array(thread.memory);
  return {
    tag: "run",
    open: true,
    byteLength: 32,
    encode(value, slot) {
      const { byteOffset } = slot.resize(4 * value);
      for (let i = 0; i < value; i++) words[byteOffset / 4 + i] = value;
    },
    decode: ({ byteOffset, byteLength }) =>
      decodeAt(words, byteOffset, byteLength / 4),
  };
}

/** Returns NaN for a value that is torn. */
function decodeAt(words: Int32Array, byteOffset: number, length: number) {
  const index = byteOffset / 4;
  const value = words[index]!;
  for (let i = 1; i < length; i++) if (words[index + i] !== value) return NaN;
  return value;
}

type NumberMap = LazyInitMap<number, number>;

function mapOf(
  thread: Thread,
  codec: Codec<number> = pairs(thread),
): NumberMap {
  return new LazyInitMap(int32, codec, {
    buffer: thread.memory,
    maxSize: TABLE_LENGTH,
  });
}

/** Every value that a map hands out goes through this. */
function look(thread: Thread, value: number | undefined): number | undefined {
  thread.check(value === undefined || value > 0, `A torn value was read`);
  return value;
}

/** An initializer during which others may come. */
function make(thread: Thread, value: number, fails = () => false) {
  const { ledger } = thread;
  return (key: number) => {
    const running = RUNNING + 2 + key;
    thread.check(++ledger[running]! === 1, "Two initializers of a key run");
    thread.yield();
    ledger[running]!--;
    if (fails()) throw new Failure();
    ledger[MADE + key]!++;
    return value;
  };
}

class Failure extends Error {}

function fail(): never {
  throw new Failure();
}

function attempt<T>(call: () => T): T | undefined {
  try {
    return call();
  } catch (error) {
    if (error instanceof Failure) return undefined;
    throw error;
  }
}

/** What is wrong with a map that nobody uses any more and in which these keys are initialized. */
function illegal(
  memory: Int32Array,
  ledger: Int32Array,
  keys: readonly number[],
): string | undefined {
  const found: number[] = [];
  for (let chain = 0; chain < TABLE_LENGTH; chain++) {
    for (const entry of entriesOf(memory, chain)) {
      const phase = memory[entry + STATE]! & 3;
      const key = memory[entry + ENTRY_KEY]!;
      if (found.includes(key)) return `Key ${key} was inserted twice`;
      found.push(key);
      if ((memory[entry + HASH]! & TABLE_LENGTH - 1) !== chain) {
        return `Key ${key} is in the wrong chain`;
      }
      if (phase !== 2 && keys.includes(key)) return `Key ${key} has no value`;
      if (phase === 1) return `Key ${key} is still owned`;
      const block = memory[entry + BLOCK]! * UNIT_WORDS;
      const slot = memory.slice(block + 2, block + 2 + memory[block]! / 4);
      if (phase === 0 && block > 0 && slot.some((word) => word !== 0)) {
        return `The slot of key ${key} is not zero`;
      }
      if (phase === 2 && memory[block + 1]! > memory[block]!) {
        return `The value of key ${key} takes more than its block`;
      }
    }
  }
  for (const key of keys) {
    if (!found.includes(key)) return `Key ${key} is lost`;
    if (ledger[MADE + key]! > 1) {
      return `${ledger[MADE + key]} initializers of key ${key} have succeeded`;
    }
  }
  return undefined;
}

type Shape = Pick<Scenario, "threads" | "preemptions">;

/** Bounded, as an insertion takes many steps. */
const TWO: Shape = { threads: 2, preemptions: 2 };
const THREE: Shape = { threads: 3, preemptions: 1 };

function twoAndThree(
  name: string,
  rest: Omit<Scenario, "name" | "threads" | "preemptions">,
): Scenario[] {
  return [TWO, THREE].map((shape) => ({
    naming,
    ...rest,
    ...shape,
    name: `map-${name}-${shape.threads}`,
  }));
}

/** Each thread initializes its key and reads it again. */
function inserting(
  name: string,
  keyOf: (thread: number) => number,
  keys: (threads: number) => readonly number[],
): Scenario[] {
  return [TWO, THREE].map((shape) => ({
    ...shape,
    name: `map-${name}-${shape.threads}`,
    words: wordsFor(shape.threads),
    naming,
    prepare(thread) {
      const map = mapOf(thread);
      const key = keyOf(thread.index);
      return () => {
        const made = look(
          thread,
          map.getOrInit(key, make(thread, thread.index + 1)),
        );
        thread.check(look(thread, map.get(key)) === made, "It has changed");
      };
    },
    end: (memory, ledger) => illegal(memory, ledger, keys(shape.threads)),
  }));
}

/** A key that is initialized before everything else. */
function given(thread: Thread, map: NumberMap, key: number, value: number) {
  map.getOrInit(key, () => value);
  thread.ledger[MADE + key] = 0;
}

export const scenarios: Scenario[] = [
  {
    // Bounded, as placing reads all of the memory
    threads: 2,
    preemptions: 2,
    name: "map-placing-2",
    words: wordsFor(2),
    naming,
    prepare(thread) {
      return () => {
        const map = thread.as("placing", () => mapOf(thread));
        look(thread, map.getOrInit(KEY, make(thread, thread.index + 1)));
      };
    },
    end: (memory, ledger) => illegal(memory, ledger, [KEY]),
  },
  ...inserting("equal-keys", () => KEY, () => [KEY]),
  ...inserting(
    "colliding-keys",
    (thread) => [KEY, SECOND, THIRD][thread]!,
    (threads) => [KEY, SECOND, THIRD].slice(0, threads),
  ),
  ...inserting(
    "different-keys",
    (thread) => [KEY, OTHER, KEY][thread]!,
    () => [KEY, OTHER],
  ),
  ...twoAndThree("failing", {
    words: wordsFor(3),
    prepare(thread) {
      const map = mapOf(thread);
      const fails = () => thread.index === 0;
      return () => {
        const initializer = make(thread, thread.index + 1, fails);
        look(thread, attempt(() => map.getOrInit(KEY, initializer)));
        look(thread, map.get(KEY));
      };
    },
    end: (memory, ledger) =>
      illegal(memory, ledger, ledger[MADE + KEY] === 0 ? [] : [KEY]),
  }),
  {
    // At every step of an insertion, and the other goes on with that key
    ...TWO,
    name: "map-dying-2",
    mortal: 0,
    words: wordsFor(4),
    naming,
    prepare(thread) {
      const map = mapOf(thread);
      return () => {
        if (thread.index > 0) {
          thread.awaitEnd(0);
          map.recover(1);
        }
        look(thread, map.getOrInit(KEY, () => thread.index + 1));
        look(thread, map.get(KEY));
      };
    },
    end: (memory, ledger) => illegal(memory, ledger, [KEY]),
  },
  ...twoAndThree("dying-beside", {
    // At every step of an insertion, while others insert keys that collide
    mortal: 0,
    words: wordsFor(3),
    prepare(thread) {
      const map = mapOf(thread);
      const key = [KEY, SECOND, THIRD][thread.index]!;
      return () => {
        look(thread, map.getOrInit(key, () => thread.index + 1));
        look(thread, map.get(key));
      };
    },
    end(memory, ledger) {
      const wrong = illegal(memory, ledger, [SECOND]);
      // No agent has recovered it
      return wrong === `Key ${KEY} is still owned` ? undefined : wrong;
    },
  }),
  ...twoAndThree("readers", {
    words: wordsFor(2),
    prepare(thread) {
      const map = mapOf(thread);
      const key = thread.index === 2 ? SECOND : KEY;
      given(thread, map, SECOND, 9);
      return () => {
        if (thread.index === 0) {
          return map.getOrInit(KEY, make(thread, 1));
        }
        const first = look(thread, map.get(key));
        if (thread.index === 1) {
          for (const [found, value] of map) {
            look(thread, value);
            thread.check(
              found === KEY || found === SECOND,
              `There is no key ${found}`,
            );
          }
        }
        thread.check(
          first === undefined || look(thread, map.get(key)) === first,
          "The value has changed",
        );
      };
    },
    end: (memory, ledger) => illegal(memory, ledger, [KEY, SECOND]),
  }),
  ...twoAndThree("reset-beside-readers", {
    words: wordsFor(1),
    prepare(thread) {
      const map = mapOf(thread);
      given(thread, map, KEY, 9);
      // To which the value is new
      const another = mapOf(thread);
      return () => {
        if (thread.index === 0) {
          map.reset(KEY);
          look(thread, map.getOrInit(KEY, make(thread, 5)));
          return;
        }
        look(thread, another.get(KEY));
        look(thread, map.get(KEY));
        look(thread, map.read(KEY, (value) => value));
      };
    },
    end: (memory, ledger) => illegal(memory, ledger, [KEY]),
  }),
  ...twoAndThree("moving-beside-readers", {
    // A value that outgrows its block
    words: [...wordsFor(1), ...Array<string>(8).fill("-")],
    prepare(thread) {
      const map = mapOf(thread, runs(thread));
      given(thread, map, KEY, 1);
      return () => {
        if (thread.index === 0) {
          map.reset(KEY);
          look(thread, map.getOrInit(KEY, () => 3));
          return;
        }
        look(thread, map.get(KEY));
        look(thread, map.get(KEY));
      };
    },
    end: (memory, ledger) => illegal(memory, ledger, [KEY]),
  }),
  {
    ...TWO,
    name: "map-dying-mover-2",
    naming,
    mortal: 0,
    words: [...wordsFor(1), ...Array<string>(16).fill("-")],
    prepare(thread) {
      const map = mapOf(thread, runs(thread));
      given(thread, map, KEY, 1);
      return () => {
        if (thread.index === 0) {
          map.reset(KEY);
        } else {
          thread.awaitEnd(0);
          map.recover(1);
        }
        look(thread, map.getOrInit(KEY, () => 2 + thread.index));
        look(thread, map.get(KEY));
      };
    },
    end: (memory, ledger) => illegal(memory, ledger, [KEY]),
  },
  ...twoAndThree("full", {
    // Of its memory, by the first entry and its block
    words: wordsFor(1),
    prepare(thread) {
      const map = mapOf(thread);
      const key = [KEY, SECOND, THIRD][thread.index]!;
      return () => {
        try {
          look(thread, map.getOrInit(key, make(thread, thread.index + 1)));
        } catch (error) {
          thread.check(error instanceof RangeError, `It was ${error}`);
          thread.check(thread.ledger[MADE + key] === 0, "It had run");
          thread.ledger[REFUSED]!++;
        }
        look(thread, map.get(key));
      };
    },
    end: (memory, ledger) =>
      illegal(memory, ledger, []) ??
        (ledger[REFUSED] === 0 ? "No agent was refused" : undefined),
  }),
  ...[TWO, THREE].map((shape): Scenario => ({
    // The agent lives, though another one says that it does not
    ...shape,
    name: `map-owner-declared-dead-${shape.threads}`,
    slow: 0,
    looks: LOOKS,
    words: wordsFor(2),
    naming,
    prepare(thread) {
      const map = mapOf(thread);
      given(thread, map, KEY, 9);
      map.reset(KEY);
      return () => {
        if (thread.index === 1) map.recover(1);
        try {
          look(thread, map.getOrInit(KEY, () => thread.index + 1));
        } catch (error) {
          if (!(error instanceof OwnerLostError)) throw error;
          thread.check(thread.slow, "The wrong agent lost the key");
        }
      };
    },
    end: (memory, ledger) => illegal(memory, ledger, [KEY]),
  })),
  ...["mover", "first-mover"].flatMap((name) =>
    twoAndThree(`${name}-declared-dead`, {
      // Its value outgrows the block, if there is one; the other's would not
      slow: 0,
      looks: LOOKS,
      words: [...wordsFor(1), ...Array<string>(24).fill("-")],
      prepare(thread) {
        const map = mapOf(thread, runs(thread));
        if (name === "mover") {
          given(thread, map, KEY, 1);
          map.reset(KEY);
        } else {
          attempt(() => map.getOrInit(KEY, fail));
        }
        return () => {
          if (thread.index === 1) map.recover(1);
          const value = thread.index === 0 ? 3 : 1;
          try {
            look(thread, map.getOrInit(KEY, () => value));
          } catch (error) {
            if (!(error instanceof OwnerLostError)) throw error;
            thread.check(thread.slow, "The wrong agent lost the key");
          }
          // What the other has made, if this one has made nothing
          look(thread, map.get(KEY));
        };
      },
      end: (memory, ledger) => illegal(memory, ledger, [KEY]),
    })
  ),
  ...["owner", "first-owner"].map((name): Scenario => ({
    // What the lost owner writes comes however late, and the next one never fails. Its
    // value outgrows the block if there is one, and is shorter than the next one if not
    ...TWO,
    name: `map-late-${name}-2`,
    slow: 0,
    words: [...wordsFor(1), ...Array<string>(24).fill("-")],
    naming,
    prepare(thread) {
      const map = mapOf(thread, runs(thread));
      const values = name === "owner" ? [3, 2] : [1, 3];
      if (name === "owner") {
        given(thread, map, KEY, 1);
        map.reset(KEY);
      } else {
        attempt(() => map.getOrInit(KEY, fail));
      }
      return () => {
        if (thread.index === 1) map.recover(1);
        try {
          look(thread, map.getOrInit(KEY, () => values[thread.index]!));
        } catch (error) {
          if (!(error instanceof OwnerLostError)) throw error;
          thread.check(thread.slow, "The wrong agent lost the key");
        }
        look(thread, map.get(KEY));
      };
    },
    end: (memory, ledger) => illegal(memory, ledger, [KEY]),
  })),
  {
    // The owner has died, and the one that recovers its key first is slow
    ...TWO,
    name: "map-recoverer-declared-dead-2",
    slow: 0,
    looks: LOOKS,
    words: [...wordsFor(1), ...Array<string>(8).fill("-")],
    naming,
    prepare(thread) {
      const map = mapOf(thread, runs(thread));
      given(thread, map, KEY, 1);
      const dead = 7;
      if (thread.index === 1) {
        // The last to prepare
        const words = new Int32Array(thread.memory);
        words[HEADER.length + STATE] = dead << 4 | 1;
      }
      return () => {
        map.recover(dead);
        if (thread.index === 1) {
          map.recover(1);
          map.getOrInit(KEY, () => 2);
        }
        look(thread, map.get(KEY));
      };
    },
    end: (memory, ledger) => illegal(memory, ledger, [KEY]),
  },
];
