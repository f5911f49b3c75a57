// Copyright 2026 the lazyinit authors. MIT license.

import {
  AlreadyInitializedError,
  announceAgent,
  type Codec,
  LayoutMismatchError,
  LazyInit,
  Mutex,
  MutexLazyInit,
  OwnerLostError,
  type UnlockToken,
} from "../../mod.ts";
import type { Looks, Scenario } from "./explorer.ts";
import type { ExploredLocks } from "./locks.ts";
import type { Thread } from "./thread.ts";

/** A value of two words that must agree; the ledger knows which were made. */
interface Pair {
  readonly left: number;
  readonly right: number;
}

/** What the ledger counts. */
const WRITING = 0;
const RUNNING = 1;
const MADE_BY_CALL = 2;
const FAILED = 3;
const RESETS = 4;
const REFUSED = 5;
/** From here on, 1 for each value that was made. */
const MADE = 16;

/** The words of a header, by name; the slot begins after them. */
const HEADER = [
  "state",
  "generation",
  "layout",
  "run",
  "probe",
  "length",
];
/** More than there are agents: what locks of turns are numbered from. */
const THREADS = 8;
const CELL = [...HEADER, "slot[0]", "slot[1]"];
const STATE = HEADER.indexOf("state");
const GENERATION = HEADER.indexOf("generation");
const LENGTH = HEADER.indexOf("length");
const SLOT = HEADER.length;
/** How an agent looks whether it owns the slot. */
const LOOKS: Looks = {
  operations: ["load"],
  words: [STATE],
};

/**
 * Writes and reads one word at a time; the explorer is asked by the view. Refuses a pair
 * that does not agree when it has written half of it.
 */
function pairs(thread: Thread): Codec<Pair> {
  const { ledger } = thread;
  const words = new Int32Array(thread.memory);
  return {
    tag: "pair",
    byteLength: 8,
    encode({ left, right }, { byteOffset }) {
      const word = byteOffset / 4;
      thread.check(++ledger[WRITING]! === 1, "Two agents write to the slot");
      words[word] = left;
      if (left !== right) {
        ledger[WRITING]!--;
        throw new Failure();
      }
      words[word + 1] = right;
      ledger[WRITING]!--;
      ledger[MADE + left] = 1;
    },
    decode({ byteOffset }) {
      const word = byteOffset / 4;
      return thread.as(
        "decoding",
        () => ({ left: words[word]!, right: words[word + 1]! }),
      );
    },
  };
}

/** Every value that a cell hands out goes through this. */
function look(thread: Thread, pair: Pair | undefined): number {
  if (pair === undefined) return 0;
  const { left, right } = pair;
  thread.check(left === right, `A torn value was read: ${left} and ${right}`);
  thread.check(
    thread.ledger[MADE + left] === 1,
    `A value was read that nobody has made: ${left}`,
  );
  return left;
}

/** An initializer during which others may come. */
function make(thread: Thread, value: number, fails = () => false): () => Pair {
  const { ledger } = thread;
  return () => {
    thread.check(++ledger[RUNNING]! === 1, "Two initializers run at once");
    thread.yield();
    ledger[RUNNING]!--;
    if (fails()) throw new Failure();
    ledger[MADE_BY_CALL]!++;
    return { left: value, right: value };
  };
}

/** As {@linkcode make}, where an agent may be declared dead: then others run theirs, too. */
function makeBeside(value: number): () => Pair {
  return () => ({ left: value, right: value });
}

/** An initializer that finds its slot zeroed. */
function onZeroed(thread: Thread, initializer: () => Pair): () => Pair {
  const words = new Int32Array(thread.memory);
  return () => {
    thread.check(
      words[SLOT] === 0 && words[SLOT + 1] === 0,
      "The initializer before it has left something behind",
    );
    return initializer();
  };
}

class Failure extends Error {}

/** Nobody counts on an agent any more that has been declared dead. */
function forget({ ledger }: Thread): void {
  ledger[WRITING] = ledger[RUNNING] = 0;
}

/** Runs `call`, and swallows its initializer's failure. */
function attempt<T>(call: () => T): T | undefined {
  try {
    return call();
  } catch (error) {
    if (error instanceof Failure) return undefined;
    throw error;
  }
}

/** Runs what the slow thread does, which may find out that it was declared dead. */
function live<T>(thread: Thread, call: () => T): T | undefined {
  try {
    return call();
  } catch (error) {
    if (!(error instanceof OwnerLostError)) throw error;
    thread.check(thread.slow, "The wrong agent lost the cell");
    return undefined;
  }
}

function lazyInit(thread: Thread): LazyInit<Pair> {
  return new LazyInit(pairs(thread), { buffer: thread.memory });
}

function mutexLazyInit(thread: Thread): MutexLazyInit<Pair> {
  return new MutexLazyInit(pairs(thread), { buffer: thread.memory });
}

/** Has the cell begin with a value. */
function initialized({ memory, ledger }: Thread, value: number): void {
  const words = new Int32Array(memory);
  words[STATE] = 2;
  words[LENGTH] = 8;
  words[SLOT] = words[SLOT + 1] = value;
  ledger[MADE + value] = 1;
}

function initialize(
  cell: LazyInit<Pair> | MutexLazyInit<Pair>,
  initializer: () => Pair,
): Pair | undefined {
  return cell instanceof LazyInit
    ? cell.callOnce(initializer)
    : cell.getOrInit(initializer);
}

/** What is wrong with the header or the slot of a cell that nobody uses any more. */
function illegal(memory: Int32Array, phases: number[]): string | undefined {
  const state = memory[STATE]!;
  const generation = state >>> 3;
  if (!phases.includes(state & 3)) {
    return `The phase is ${state & 3} in the end`;
  }
  if (memory[GENERATION] !== generation) {
    return `The generation is ${generation} and ${
      memory[GENERATION]
    } in the end`;
  }
  if ((state & 3) === 0 && (memory[SLOT] !== 0 || memory[SLOT + 1] !== 0)) {
    return "The slot of the uninitialized cell is not zero";
  }
  return undefined;
}

/** What is wrong with a mutex that nobody uses any more: how often it was lost does not matter. */
function held(mutex: number): string | undefined {
  return (mutex & ~(3 << 29)) === 0
    ? undefined
    : `The mutex is ${mutex} in the end`;
}

function madeOnce(memory: Int32Array, ledger: Int32Array) {
  return ledger[MADE_BY_CALL] === 1
    ? illegal(memory, [2])
    : `${ledger[MADE_BY_CALL]} initializers have succeeded`;
}

function unlocked([mutex]: Int32Array): string | undefined {
  return held(mutex!);
}

/** Resolves in a later turn of the event loop, in a scenario that has locks. */
async function nextTurn({ index }: Thread): Promise<void> {
  const { locks } = navigator as unknown as { locks?: ExploredLocks };
  await locks!.request(`turn of thread ${THREADS + index}`, {}, () => {});
}

type Shape = Pick<Scenario, "threads" | "preemptions">;

/** With two threads all schedules are run, with three those of two preemptions or less. */
const TWO: Shape = { threads: 2 };
const THREE: Shape = { threads: 3, preemptions: 2 };

function twoAndThree(
  name: string,
  rest: Omit<Scenario, "name" | "threads" | "preemptions">,
): Scenario[] {
  return [TWO, THREE].map((shape) => ({
    ...rest,
    ...shape,
    name: `${name}-${shape.threads}`,
  }));
}

export const scenarios: Scenario[] = [
  ...twoAndThree("placing", {
    words: CELL,
    prepare(thread) {
      return () => {
        const cell = thread.as("placing", () => lazyInit(thread));
        look(thread, cell.callOnce(make(thread, thread.index + 1)));
        look(thread, cell.get());
      };
    },
    end: (memory, ledger) =>
      ledger[MADE_BY_CALL] === 1
        ? illegal(memory, [2])
        : `${ledger[MADE_BY_CALL]} initializers have succeeded`,
  }),
  {
    // Of two kinds one is refused, and for the right reason
    ...TWO,
    name: "placing-two-kinds-2",
    words: CELL,
    prepare(thread) {
      const { ledger } = thread;
      return () => {
        let cell: LazyInit<Pair> | MutexLazyInit<Pair>;
        try {
          cell = thread.as(
            "placing",
            () => thread.index === 0 ? lazyInit(thread) : mutexLazyInit(thread),
          );
        } catch (error) {
          thread.check(
            error instanceof LayoutMismatchError &&
              error.message.endsWith("capacity was placed there"),
            `It was refused: ${error}`,
          );
          ledger[REFUSED]!++;
          return;
        }
        look(thread, initialize(cell, make(thread, thread.index + 1)));
      };
    },
    end: (memory, ledger) =>
      ledger[REFUSED] === 1
        ? illegal(memory, [2])
        : `${ledger[REFUSED]} of two kinds were refused`,
  },
  ...twoAndThree("init-once-race", {
    words: CELL,
    prepare(thread) {
      const cell = lazyInit(thread);
      const value = thread.index + 1;
      return () => {
        try {
          look(thread, cell.initOnce({ left: value, right: value }));
          thread.ledger[MADE_BY_CALL]!++;
        } catch (error) {
          if (!(error instanceof AlreadyInitializedError)) throw error;
          look(thread, error.value as Pair | undefined);
        }
        look(thread, cell.get());
      };
    },
    end: (memory, ledger) =>
      ledger[MADE_BY_CALL] === 1
        ? illegal(memory, [2])
        : `${
          ledger[MADE_BY_CALL]
        } agents were told that they had initialized the cell`,
  }),
  ...twoAndThree("call-once-failing", {
    words: CELL,
    prepare(thread) {
      const cell = lazyInit(thread);
      const fails = () => thread.index === 0;
      return () => {
        look(
          thread,
          attempt(() => cell.callOnce(make(thread, thread.index + 1, fails))),
        );
        look(thread, cell.get());
      };
    },
    end: (memory, ledger) =>
      illegal(memory, ledger[MADE_BY_CALL] === 0 ? [0] : [2]),
  }),
  ...twoAndThree("refused-halfway", {
    words: CELL,
    prepare(thread) {
      const cell = lazyInit(thread);
      const left = thread.index + 1;
      const right = thread.index === 0 ? 0 : left;
      return () => {
        look(thread, attempt(() => cell.callOnce(() => ({ left, right }))));
        look(thread, cell.get());
      };
    },
    end: (memory) => illegal(memory, [0, 2]),
  }),
  ...twoAndThree("get-or-init", {
    words: CELL,
    prepare(thread) {
      const cell = mutexLazyInit(thread);
      return () => {
        const first = look(
          thread,
          cell.getOrInit(make(thread, thread.index + 1)),
        );
        thread.check(
          look(thread, cell.get()) === first,
          "The value has changed",
        );
      };
    },
    end: madeOnce,
  }),
  ...twoAndThree("get-or-init-failing-once", {
    words: CELL,
    prepare(thread) {
      const cell = mutexLazyInit(thread);
      const fails = () => thread.ledger[FAILED]!++ === 0;
      return () => {
        look(
          thread,
          attempt(() => cell.getOrInit(make(thread, thread.index + 1, fails))),
        );
      };
    },
    end: madeOnce,
  }),
  ...twoAndThree("get-or-init-failing-twice", {
    // The word of the uninitialized cell comes back
    words: CELL,
    prepare(thread) {
      const cell = mutexLazyInit(thread);
      const fails = () => true;
      return () => {
        if (thread.index === 0) {
          attempt(() => cell.getOrInit(make(thread, 1, fails)));
          attempt(() => cell.getOrInit(make(thread, 1, fails)));
          return;
        }
        look(thread, cell.getOrInit(make(thread, thread.index + 1)));
      };
    },
    end: (memory) => illegal(memory, [2]),
  }),
  ...twoAndThree("reader-during-publication", {
    words: CELL,
    prepare(thread) {
      const cell = lazyInit(thread);
      return () => {
        if (thread.index === 0) return cell.callOnce(make(thread, 1));
        look(thread, cell.get());
        thread.check(look(thread, cell.wait()) === 1, "It waited for nothing");
        look(thread, cell.get());
      };
    },
    end: (memory) => illegal(memory, [2]),
  }),
  ...twoAndThree("waiters-through-a-failure", {
    words: CELL,
    prepare(thread) {
      const cell = lazyInit(thread);
      const fails = () => thread.ledger[FAILED]!++ === 0;
      return () => {
        if (thread.index > 0) return look(thread, cell.wait());
        attempt(() => cell.callOnce(make(thread, 1, fails)));
        cell.callOnce(make(thread, 2, fails));
      };
    },
    end: (memory) => illegal(memory, [2]),
  }),
  ...twoAndThree("reset-and-readers", {
    words: CELL,
    prepare(thread) {
      const cell = mutexLazyInit(thread);
      const { ledger } = thread;
      if (thread.index === 0) {
        return () => {
          cell.init(make(thread, 1));
          thread.check(cell.reset(), "The reset found nothing");
          ledger[RESETS]!++;
          thread.check(cell.get() === undefined, "The reset left a value");
          cell.init(make(thread, 2));
        };
      }
      return () => {
        for (let i = 0; i < 2; i++) {
          thread.yield();
          const isReset = ledger[RESETS]! > 0;
          const value = look(thread, cell.get());
          thread.check(
            !isReset || value !== 1,
            "A value was read that had been reset before",
          );
        }
      };
    },
    end: (memory) => illegal(memory, [2]),
  }),
  ...twoAndThree("reset-and-get-or-init", {
    words: CELL,
    prepare(thread) {
      const cell = mutexLazyInit(thread);
      return () => {
        look(thread, cell.getOrInit(make(thread, thread.index + 1)));
        if (thread.index === 0 && cell.reset()) thread.ledger[RESETS]!++;
      };
    },
    end: (memory, ledger) =>
      ledger[MADE_BY_CALL]! <= ledger[RESETS]! + 1
        ? illegal(memory, [0, 2])
        : "Two initializers have succeeded in one generation",
  }),
  ...twoAndThree("mutex", {
    words: ["mutex", "counter"],
    prepare(thread) {
      const mutex = new Mutex(thread.memory);
      const words = new Int32Array(thread.memory);
      return () => {
        const token = mutex.lock();
        const count = words[1]!;
        words[1] = count + 1;
        thread.check(token.unlock(), "The lock was lost");
      };
    },
    end: ([mutex, counter]) =>
      mutex === 0 && counter! > 1
        ? undefined
        : `The mutex is ${mutex} and the counter ${counter} in the end`,
  }),
  ...twoAndThree("timed-lock", {
    timeouts: 2,
    words: ["mutex"],
    prepare(thread) {
      const mutex = new Mutex(thread.memory);
      const { ledger } = thread;
      return () => {
        const token = thread.index === 1
          ? mutex.lockIfAvailable(5)
          : mutex.lock();
        if (token === null) return;
        thread.check(++ledger[RUNNING]! === 1, "Two agents hold the lock");
        thread.yield();
        ledger[RUNNING]!--;
        thread.check(token.unlock(), "The lock was lost");
      };
    },
    end: unlocked,
  }),
  {
    // Sleeps may also end for no reason, or when they have lasted for a minute
    name: "spurious-wake-ups-2",
    threads: 2,
    timeouts: 1,
    words: CELL,
    prepare(thread) {
      const cell = mutexLazyInit(thread);
      const value = make(thread, thread.index + 1);
      return async () => {
        look(thread, await cell.getOrInitAsync(value));
      };
    },
    end: madeOnce,
  },
  ...twoAndThree("aborted-waiter-beside-live-ones", {
    words: CELL,
    prepare(thread) {
      const cell = mutexLazyInit(thread);
      if (thread.index === 0) return () => cell.init(make(thread, 1));
      if (thread.index === 2) return () => look(thread, cell.wait());
      return async () => {
        const controller = new AbortController();
        const { signal } = controller;
        const aborted = cell.waitAsync({ signal }).then(
          (value) => look(thread, value),
          (reason) => {
            thread.check(reason === signal.reason, `It failed: ${reason}`);
          },
        );
        const live = cell.waitAsync();
        thread.yield();
        controller.abort();
        look(thread, await live);
        await aborted;
      };
    },
    end: (memory) => illegal(memory, [2]),
  }),
  ...twoAndThree("aborted-lock-beside-live-ones", {
    words: ["mutex"],
    prepare(thread) {
      const mutex = new Mutex(thread.memory);
      if (thread.index !== 1) {
        return () => {
          const token = mutex.lock();
          thread.yield();
          token.unlock();
        };
      }
      return async () => {
        const controller = new AbortController();
        const aborted = mutex.lockAsync(controller).then(
          (token) => token.unlock(),
          () => {},
        );
        const live = mutex.lockAsync().then((token) => token.unlock());
        thread.yield();
        controller.abort();
        thread.check(await live === true, "The lock was lost");
        await aborted;
      };
    },
    end: unlocked,
  }),
  ...twoAndThree("synchronous-beside-asynchronous", {
    words: CELL,
    prepare(thread) {
      const cell = mutexLazyInit(thread);
      const initializer = make(thread, thread.index + 1);
      return async () => {
        if (thread.index === 1) {
          look(thread, await cell.getOrInitAsync(initializer));
        } else look(thread, cell.getOrInit(initializer));
      };
    },
    end: madeOnce,
  }),
  {
    // Its owner may die between any two steps
    name: "dead-owner-2",
    threads: 2,
    mortal: 0,
    words: CELL,
    prepare(thread) {
      const cell = lazyInit(thread);
      return () => {
        if (thread.index === 0) return cell.callOnce(make(thread, 1));
        thread.awaitEnd(0);
        forget(thread);
        cell.recover(1);
        const made = cell.callOnce(onZeroed(thread, make(thread, 2)));
        const value = look(thread, made);
        thread.check(value === 2 || cell.initialized, "The cell is lost");
        look(thread, cell.get());
      };
    },
    end: (memory) => illegal(memory, [2]),
  },
  ...twoAndThree("dead-owner-and-waiters", {
    mortal: 0,
    words: CELL,
    prepare(thread) {
      const cell = mutexLazyInit(thread);
      return () => {
        if (thread.index === 1) {
          thread.awaitEnd(0);
          forget(thread);
          cell.recover(1);
        }
        look(thread, cell.getOrInit(make(thread, thread.index + 1)));
      };
    },
    end: (memory) => illegal(memory, [2]),
  }),
  {
    name: "dead-resetter-2",
    threads: 2,
    mortal: 0,
    words: CELL,
    prepare(thread) {
      const cell = mutexLazyInit(thread);
      return () => {
        if (thread.index === 0) {
          cell.init(make(thread, 1));
          return cell.reset();
        }
        look(thread, cell.get());
        thread.awaitEnd(0);
        forget(thread);
        cell.recover(1);
        look(thread, cell.getOrInit(make(thread, 2)));
      };
    },
    end: (memory) => illegal(memory, [2]),
  },
  // Resets of which each turn zeroes one word, and others may come in between
  ...twoAndThree("sliced-reset-and-readers", {
    sliceBytes: 4,
    words: CELL,
    prepare(thread) {
      const cell = mutexLazyInit(thread);
      const { ledger } = thread;
      if (thread.index === 0) {
        return async () => {
          cell.init(make(thread, 1));
          const reset = cell.resetAsync();
          thread.check(cell.get() === undefined, "A reset shows the value");
          thread.check(await reset, "The reset found nothing");
          ledger[RESETS]!++;
          cell.init(make(thread, 2));
        };
      }
      return () => {
        for (let i = 0; i < 2; i++) {
          thread.yield();
          const isReset = ledger[RESETS]! > 0;
          const value = look(thread, cell.get());
          thread.check(
            !isReset || value !== 1,
            "A value was read that had been reset before",
          );
        }
      };
    },
    end: (memory) => illegal(memory, [2]),
  }),
  ...twoAndThree("sliced-reset-and-get-or-init", {
    sliceBytes: 4,
    words: CELL,
    prepare(thread) {
      const cell = mutexLazyInit(thread);
      initialized(thread, 9);
      const initializer = onZeroed(thread, make(thread, thread.index));
      return async () => {
        if (thread.index > 0) return look(thread, cell.getOrInit(initializer));
        thread.check(await cell.resetAsync(), "The reset found nothing");
      };
    },
    end: (memory, ledger) =>
      ledger[MADE_BY_CALL]! <= 1
        ? illegal(memory, [0, 2])
        : "Two initializers have succeeded in one generation",
  }),
  {
    // It dies in any turn of its reset, and between two
    ...TWO,
    name: "dead-sliced-resetter-2",
    sliceBytes: 4,
    mortal: 0,
    words: CELL,
    prepare(thread) {
      const cell = mutexLazyInit(thread);
      return async () => {
        if (thread.index === 0) {
          cell.init(make(thread, 1));
          return await cell.resetAsync();
        }
        look(thread, cell.get());
        thread.awaitEnd(0);
        forget(thread);
        cell.recover(1);
        look(thread, cell.getOrInit(onZeroed(thread, make(thread, 2))));
      };
    },
    end: (memory) => illegal(memory, [2]),
  },
  {
    // By a synchronous call of its agent
    threads: 2,
    preemptions: 2,
    name: "sliced-reset-finished-at-once-2",
    sliceBytes: 4,
    words: CELL,
    prepare(thread) {
      const cell = mutexLazyInit(thread);
      if (thread.index > 0) {
        return () => {
          look(thread, cell.getOrInit(make(thread, thread.index + 1)));
        };
      }
      initialized(thread, 9);
      const again = onZeroed(thread, make(thread, 1));
      return async () => {
        const reset = cell.resetAsync();
        const value = look(thread, cell.getOrInit(again));
        thread.check(value !== 9, "The value was not reset");
        thread.check(await reset, "The reset found nothing");
      };
    },
    end: (memory) => illegal(memory, [2]),
  },
  {
    // It blocks for an agent that waits for the cell which it is resetting
    threads: 2,
    preemptions: 2,
    name: "sliced-reset-finished-before-blocking-2",
    sliceBytes: 4,
    words: [...CELL, ...CELL],
    prepare(thread) {
      const [first, second] = [0, 4 * CELL.length].map((byteOffset) =>
        new MutexLazyInit(pairs(thread), { buffer: thread.memory, byteOffset })
      ) as [MutexLazyInit<Pair>, MutexLazyInit<Pair>];
      initialized(thread, 9);
      if (thread.index === 0) {
        return async () => {
          const reset = first.resetAsync();
          look(thread, second.getOrInit(makeBeside(1)));
          thread.check(await reset, "The reset found nothing");
        };
      }
      return () => {
        const value = second.getOrInit(() => first.getOrInit(makeBeside(2)));
        look(thread, value);
      };
    },
    end: (memory) =>
      illegal(memory, [0, 2]) ?? illegal(memory.slice(CELL.length), [2]),
  },
  {
    name: "dead-holder-of-a-mutex-3",
    threads: 3,
    preemptions: 2,
    mortal: 0,
    words: ["mutex"],
    prepare(thread) {
      const mutex = new Mutex(thread.memory);
      return () => {
        if (thread.index === 1) {
          thread.awaitEnd(0);
          mutex.recover(1);
        }
        const token = mutex.lock();
        thread.yield();
        token.unlock();
      };
    },
    end: unlocked,
  },
  {
    // It is announced while its first initializer runs, and others may watch it since
    threads: 2,
    preemptions: 2,
    name: "owner-goes-on-unannounced-2",
    locks: true,
    words: CELL,
    prepare(thread) {
      const cell = mutexLazyInit(thread);
      return async () => {
        if (thread.index === 1) return look(thread, await cell.waitAsync());
        try {
          await cell.getOrInitAsync(async () => {
            await nextTurn(thread);
            throw new Failure();
          });
        } catch (error) {
          if (!(error instanceof Failure)) throw error;
        }
        look(thread, cell.getOrInit(make(thread, 1)));
      };
    },
    end: (memory, ledger) =>
      memory[GENERATION] === 0
        ? madeOnce(memory, ledger)
        : "The cell was taken from an agent that lives",
  },
  {
    // It has announced itself, so that who waits takes over what it leaves at any step
    threads: 2,
    preemptions: 2,
    name: "announced-owner-dies-2",
    mortal: 0,
    locks: true,
    words: CELL,
    prepare(thread) {
      const cell = mutexLazyInit(thread);
      const initializer = makeBeside(thread.index + 1);
      return async () => {
        if (thread.index === 0) {
          await announceAgent();
          return look(thread, cell.getOrInit(initializer));
        }
        const value = await cell.getOrInitAsync(() => {
          forget(thread);
          return initializer();
        });
        look(thread, value);
      };
    },
    end: (memory) => illegal(memory, [2]),
  },
  // Nobody has died below, save where it is said: the slow thread must notice
  ...[LazyInit, MutexLazyInit].flatMap((Cell) =>
    twoAndThree(`owner-declared-dead-${Cell.name}`, {
      slow: 0,
      looks: LOOKS,
      words: CELL,
      prepare(thread) {
        const cell = new Cell(pairs(thread), { buffer: thread.memory });
        const value = thread.index + 1;
        return () => {
          if (thread.index === 1) cell.recover(1);
          const made = live(
            thread,
            () => initialize(cell, makeBeside(value)),
          );
          if (look(thread, made) === value) thread.ledger[MADE_BY_CALL]!++;
        };
      },
      end: (memory, ledger) =>
        ledger[MADE_BY_CALL]! > 1
          ? "Two initializers have succeeded in one generation"
          : illegal(memory, Cell === LazyInit ? [0, 2] : [2]),
    })
  ),
  ...twoAndThree("resetter-declared-dead", {
    slow: 0,
    looks: LOOKS,
    words: CELL,
    prepare(thread) {
      const cell = mutexLazyInit(thread);
      initialized(thread, 9);
      return () => {
        if (thread.index === 0) return live(thread, () => cell.reset());
        if (thread.index === 1) cell.recover(1);
        look(thread, cell.getOrInit(makeBeside(thread.index)));
        look(thread, cell.get());
      };
    },
    end: (memory) => illegal(memory, [0, 2]),
  }),
  ...twoAndThree("sliced-resetter-declared-dead", {
    sliceBytes: 4,
    slow: 0,
    looks: LOOKS,
    words: CELL,
    prepare(thread) {
      const cell = mutexLazyInit(thread);
      initialized(thread, 9);
      return async () => {
        if (thread.index === 0) {
          try {
            return await cell.resetAsync();
          } catch (error) {
            if (error instanceof OwnerLostError) return;
            throw error;
          }
        }
        if (thread.index === 1) cell.recover(1);
        look(thread, cell.getOrInit(makeBeside(thread.index)));
        look(thread, cell.get());
      };
    },
    end: (memory) => illegal(memory, [0, 2]),
  }),
  {
    // It then dies
    ...TWO,
    name: "owner-declared-dead-before-it-dies-2",
    mortal: 0,
    slow: 0,
    looks: LOOKS,
    words: CELL,
    prepare(thread) {
      const cell = mutexLazyInit(thread);
      const initializer = makeBeside(thread.index + 1);
      return () => {
        if (thread.index === 1) {
          cell.recover(1);
          thread.awaitEnd(0);
          cell.recover(1);
        }
        look(thread, live(thread, () => cell.getOrInit(initializer)));
      };
    },
    end: (memory) => illegal(memory, [2]),
  },
  ...[LazyInit, MutexLazyInit].map((Cell): Scenario => ({
    // The owner has died, and the one that recovers it first is slow
    ...TWO,
    name: `recoverer-declared-dead-${Cell.name}-2`,
    slow: 0,
    looks: LOOKS,
    words: CELL,
    prepare(thread) {
      const cell = new Cell(pairs(thread), { buffer: thread.memory });
      const words = new Int32Array(thread.memory);
      const dead = 7;
      words[STATE] = dead << 4 | 1;
      words[LENGTH] = 8;
      words[SLOT] = -1;
      return () => {
        cell.recover(dead);
        if (thread.index === 0) return;
        cell.recover(1);
        if (cell instanceof LazyInit) {
          // Once more, so that a slow agent could set the generation back
          attempt(() =>
            cell.callOnce(() => {
              cell.recover(2);
              throw new Failure();
            })
          );
        }
        const made = initialize(cell, makeBeside(2));
        thread.check(look(thread, made) === 2, "The cell is lost");
      };
    },
    end: (memory) => illegal(memory, [2]),
  })),
  ...[LazyInit, MutexLazyInit].map((Cell): Scenario => ({
    // As above, and it recovers what was left behind at any step
    name: `recoverer-declared-dead-${Cell.name}-3`,
    threads: 3,
    preemptions: 2,
    mortal: 0,
    slow: 1,
    looks: LOOKS,
    words: CELL,
    prepare(thread) {
      const cell = new Cell(pairs(thread), { buffer: thread.memory });
      const initializer = makeBeside(thread.index + 1);
      return () => {
        if (thread.index === 0) return initialize(cell, initializer);
        thread.awaitEnd(0);
        forget(thread);
        cell.recover(1);
        if (thread.index === 1) return;
        cell.recover(2);
        look(thread, initialize(cell, initializer));
        look(thread, cell.get());
      };
    },
    end: (memory) => illegal(memory, Cell === LazyInit ? [0, 2] : [2]),
  })),
  ...twoAndThree("holder-declared-dead", {
    slow: 0,
    words: ["mutex"],
    prepare(thread) {
      const mutex = new Mutex(thread.memory);
      const again = new Mutex(thread.memory);
      const { ledger } = thread;
      const work = (token: UnlockToken) => {
        thread.check(++ledger[RUNNING]! === 1, "Two agents hold the lock");
        thread.yield();
        ledger[RUNNING]!--;
        thread.check(token.unlock(), "The lock was lost");
      };
      return () => {
        if (thread.index > 0) {
          if (thread.index === 1) mutex.recover(1);
          return work(mutex.lock());
        }
        const token = mutex.lock();
        const next = again.lockIfAvailable();
        thread.check(
          token.unlock() === (next === null) || next === null,
          "The token of a lock that was lost unlocks another",
        );
        if (next !== null) work(next);
      };
    },
    end: unlocked,
  }),
];
