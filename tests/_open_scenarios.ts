// Copyright 2026 the lazyinit authors. MIT license.

/*
 * What cells by name promise, for every runtime that has the threads of Node: each
 * scenario throws if it does not hold. All names differ, so that none disturbs another.
 */

import { deepStrictEqual, ok, strictEqual } from "node:assert";
import { BroadcastChannel } from "node:worker_threads";
import { Flag, until } from "./_flag.ts";
import { Opener, type Order, withOpeners } from "./_openers.ts";

const ROUNDS = 200;

/** The requests for locks with which an agent makes a cell, in their order. */
const STEPS_OF_MAKING = [
  "the gate, alone",
  "the inner gate, alone",
  "the holders' lock, to look",
  "the holders' lock",
];

/** The requests with which it attaches to one. */
const STEPS_OF_ATTACHING = [
  "the gate, alone",
  "the inner gate, alone",
  "the holders' lock, to look",
  "the gate, shared",
  "the holders' lock, to look again",
  "the holders' lock",
];

async function openAll(
  openers: Opener[],
  name: string,
): Promise<number[]> {
  return await Promise.all(openers.map(async (opener, index) => {
    await opener.do({ kind: "open", name });
    return await opener.do({ kind: "getOrInit", label: name, value: index });
  }));
}

export async function openAndGet(
  opener: Opener,
  name: string,
  value: number,
): Promise<number> {
  await opener.do({ kind: "open", name });
  return await opener.do({ kind: "getOrInit", label: name, value });
}

function hang(
  opener: Opener,
  step: number,
  granted: boolean,
): { order: Promise<void>; hung: Promise<void> } {
  const hung = new Flag();
  const { buffer } = hung;
  return {
    order: opener.do({ kind: "hang at a lock", step, granted, hung: buffer }),
    hung: hung.raised(),
  };
}

/** Has an agent pause as the order says, once it comes there. */
async function pause(
  opener: Opener,
  kind: "pause before it holds" | "pause while it looks",
): Promise<{ paused: Promise<void>; leave(): void }> {
  const [entered, leave] = [new Flag(), new Flag()];
  await opener.do({ kind, entered: entered.buffer, leave: leave.buffer });
  return { paused: entered.raised(), leave: () => leave.raise() };
}

/** Counts an agent's requests for locks from now on. */
async function countRequests(opener: Opener): Promise<{
  /** Resolves when it has asked for so many more. */
  more(count: number): Promise<void>;
}> {
  const counter = new Int32Array(new SharedArrayBuffer(4));
  await opener.do({ kind: "count requests", counter: counter.buffer });
  const count = () => Atomics.load(counter, 0);
  return {
    async more(more) {
      const enough = count() + more;
      await until(() => count() >= enough);
    },
  };
}

/** Resolves with whether the promise is pending when the others are not. */
async function isPending(
  promise: Promise<unknown>,
  meanwhile: Promise<unknown>,
): Promise<boolean> {
  let pending = true;
  const settled = promise.then(() => pending = false, () => pending = false);
  await Promise.race([settled, meanwhile]);
  return pending;
}

/** Resolves when an agent is blocked; the returned function lets it go on. */
async function block(opener: Opener): Promise<() => void> {
  const [entered, leave] = [new Flag(), new Flag()];
  opener.do({ kind: "block", entered: entered.buffer, leave: leave.buffer });
  await entered.raised();
  return () => leave.raise();
}

/** Counts the questions for a name that agents ask from now on. */
export function countQuestions(
  name: string,
): { readonly count: number } & Disposable {
  const channel = new BroadcastChannel("@lazyinit/lazyinit names");
  const counter = { count: 0, [Symbol.dispose]: () => channel.close() };
  channel.onmessage = (event) => {
    const { type, key } = (event as { data: Record<string, unknown> }).data;
    if (type === "question" && key === JSON.stringify(name)) counter.count++;
  };
  return counter;
}

export async function rejection(promise: Promise<unknown>): Promise<Error> {
  try {
    await promise;
  } catch (error) {
    return error as Error;
  }
  throw new Error("It has not rejected");
}

export const SCENARIOS: Record<string, () => Promise<void>> = {
  [`open() at the same moment in 8 agents gives one cell, in ${ROUNDS} rounds`]:
    () =>
      withOpeners(8, async (...openers) => {
        const name = "same moment";
        const values = new Set<number>();
        for (let round = 0; round < ROUNDS; round++) {
          const start = new Flag();
          const opened = openers.map((opener) =>
            opener.do({ kind: "open", name, start: start.buffer })
          );
          start.raise();
          await Promise.all(opened);
          const found = await Promise.all(
            openers.map((opener, index) =>
              opener.do({
                kind: "getOrInit",
                label: name,
                value: 8 * round + index,
              })
            ),
          );
          strictEqual(new Set(found).size, 1, `round ${round}: ${found}`);
          values.add(found[0]);
          await Promise.all(
            openers.map((opener) =>
              opener.do({ kind: "dispose", label: name })
            ),
          );
        }
        // The name was free again each time
        strictEqual(values.size, ROUNDS);
      }),

  "open() never gives two cells while agents open and give up one name": () =>
    withOpeners(6, async (...openers) => {
      const held = new SharedArrayBuffer(4 * 2_000);
      const reports: { ghosts: number; made: number }[] = await Promise.all(
        openers.map((opener) =>
          opener.do({ kind: "churn", name: "churn", rounds: 100, held })
        ),
      );
      deepStrictEqual(
        reports.map(({ ghosts }) => ghosts),
        reports.map(() => 0),
      );
      const made = reports.reduce((sum, { made }) => sum + made, 0);
      strictEqual(made, new Int32Array(held)[0]);
    }),

  "open() gives agents that come later, and nested ones, the cell that is there":
    () =>
      withOpeners(2, async (first, second) => {
        const name = "later";
        strictEqual(await openAndGet(first, name, 1), 1);
        strictEqual(await openAndGet(second, name, 2), 1);
        strictEqual(await second.do({ kind: "nest", name, value: 3 }), 1);
        const late = await Opener.start();
        strictEqual(await openAndGet(late, name, 4), 1);
        await late.terminate();
      }),

  "open() keeps two names apart, whatever characters they have": () =>
    withOpeners(2, async (first, second) => {
      const names = [
        ...["", " ", "-", "\0", "\ud800", "\udfff", "\ufffd", '"', "\\"],
        ...["é", "e\u0301", "🔒", "x".repeat(100_000), "__proto__"],
      ];
      deepStrictEqual(
        await first.do({ kind: "open many", names }),
        names.map((_, index) => index),
      );
      const reversed = names.toReversed();
      deepStrictEqual(
        await second.do({ kind: "open many", names: reversed }),
        reversed.map((name) => names.indexOf(name)),
      );
    }),

  "open() opens a thousand names in each of two agents": () =>
    withOpeners(2, async (first, second) => {
      const names = Array.from(
        { length: 1_000 },
        (_, index) => `one of ${index}`,
      );
      const indices = names.map((_, index) => index);
      const [mine, yours] = await Promise.all([
        first.do({ kind: "open many", names }),
        second.do({ kind: "open many", names }),
      ]);
      deepStrictEqual(mine, indices);
      deepStrictEqual(yours, indices);
    }),

  "open() of a name that an agent has gives another face of that cell, and the last to be disposed of gives it up":
    () =>
      withOpeners(2, async (first, second) => {
        const name = "twice";
        const labels = ["a", "b", "c", "d"];
        // At the same time, and once more
        await Promise.all(
          labels.slice(1).map((label) =>
            first.do({ kind: "open", name, label })
          ),
        );
        await first.do({ kind: "open", name, label: "a" });
        for (const label of labels) {
          strictEqual(
            await first.do({ kind: "getOrInit", label, value: 1 }),
            1,
          );
        }
        for (const label of labels.slice(1)) {
          await first.do({ kind: "dispose", label });
          // Once only
          await first.do({ kind: "dispose", label });
        }
        strictEqual(await openAndGet(second, name, 2), 1);
        await second.do({ kind: "dispose", label: name });
        await first.do({ kind: "dispose", label: "a" });
        strictEqual(await openAndGet(second, name, 3), 3);
        strictEqual(await openAndGet(first, name, 4), 3);
        // The memory of a cell that was given up stays
        strictEqual(await first.do({ kind: "get", label: "a" }), 1);
      }),

  "open() gives two copies of the package in one agent the same cell": () =>
    withOpeners(2, async (first, second) => {
      const name = "copies";
      await first.do({ kind: "open in a copy", name, label: "copy" });
      await first.do({ kind: "open", name });
      strictEqual(
        await first.do({ kind: "getOrInit", label: "copy", value: 1 }),
        1,
      );
      strictEqual(await first.do({ kind: "get", label: name }), 1);
      // Each is a holder of its own
      await first.do({ kind: "dispose", label: name });
      strictEqual(await openAndGet(second, name, 2), 1);
    }),

  "open() rejects another class or codec under a name, and leaves the name alone":
    () =>
      withOpeners(2, async (first, second) => {
        const name = "mismatch";
        strictEqual(await openAndGet(first, name, 1), 1);
        for (const opener of [first, second]) {
          for (
            const [order, found] of [
              [{ type: "LazyInit" }, "its handle says MutexLazyInit"],
              [{ codec: "float64" }, "its handle says int32 with 4 bytes"],
            ] as const
          ) {
            const { name: kind, message } = await rejection(
              opener.do({ kind: "open", name, label: "other", ...order }),
            );
            strictEqual(kind, "LayoutMismatchError");
            ok(
              message.includes('"mismatch"') && message.endsWith(found),
              message,
            );
          }
        }
        strictEqual(await openAndGet(second, name, 2), 1);
      }),

  "open() is ended by its signal, before the call and while it waits": () =>
    withOpeners(3, async (first, second, third) => {
      const name = "abort";
      strictEqual(await openAndGet(first, name, 1), 1);
      using questions = countQuestions(name);
      const unblock = await block(first);
      const opened = second.do({ kind: "open", name });
      await until(() => questions.count > 0);
      await second.do({ kind: "abort", label: name });
      const { message } = await rejection(opened);
      strictEqual(message, "Aborted by the test");
      // It holds nothing that would keep others off
      const again = third.do({ kind: "open", name });
      unblock();
      await again;
      strictEqual(await third.do({ kind: "get", label: name }), 1);
    }),

  "open() waits for a holder that is blocked, and any other holder answers for it":
    () =>
      withOpeners(4, async (first, second, third, fourth) => {
        const name = "blocked";
        strictEqual(await openAndGet(first, name, 1), 1);
        using questions = countQuestions(name);
        const unblock = await block(first);
        let isOpen = false;
        const opened = openAndGet(second, name, 2)
          .then((value) => [isOpen = true, value]);
        // By now it has looked for holders more than once
        await until(() => questions.count >= 4);
        strictEqual(isOpen, false);
        unblock();
        deepStrictEqual(await opened, [true, 1]);

        const unblockAgain = await block(first);
        strictEqual(await openAndGet(third, name, 3), 1);
        const unblockThird = await block(third);
        strictEqual(await openAndGet(fourth, name, 4), 1);
        unblockAgain();
        unblockThird();
      }),

  "open() lets no wait decide: answers that come seconds late are answers":
    () =>
      withOpeners(4, async (holder, ...others) => {
        const name = "late answers";
        for (const opener of [holder, ...others]) {
          await opener.do({ kind: "delay answers", milliseconds: 3_000 });
        }
        strictEqual(await openAndGet(holder, name, 7), 7);
        using questions = countQuestions(name);
        deepStrictEqual(await openAll(others, name), [7, 7, 7]);
        // Each has looked for holders many times, and found one
        ok(questions.count >= 3 * 5, `${questions.count}`);
      }),

  "open() makes another cell when the only holder has ended": () =>
    withOpeners(2, async (first, second) => {
      const name = "only holder";
      strictEqual(await openAndGet(first, name, 1), 1);
      await first.terminate();
      strictEqual(await openAndGet(second, name, 2), 2);
      const third = await Opener.start();
      strictEqual(await openAndGet(third, name, 3), 2);
      await third.terminate();
    }),

  "open() gives the cell of a maker that has ended after others have attached":
    () =>
      withOpeners(3, async (first, second, third) => {
        const name = "maker that ends";
        strictEqual(await openAndGet(first, name, 1), 1);
        strictEqual(await openAndGet(second, name, 2), 1);
        await first.terminate();
        strictEqual(await openAndGet(third, name, 3), 1);
        strictEqual(await second.do({ kind: "get", label: name }), 1);
      }),

  "open() gives all agents one map, and rejects a cell under its name": () =>
    withOpeners(2, async (first, second) => {
      const name = "map";
      for (const opener of [first, second]) {
        await opener.do({ kind: "open", name, type: "LazyInitMap" });
        strictEqual(
          await opener.do({ kind: "getOrInit", label: name, value: 1 }),
          1,
        );
        const error = await rejection(
          opener.do({ kind: "open", name, label: "cell" }),
        );
        strictEqual(error.name, "LayoutMismatchError");
        strictEqual(
          (await rejection(
            opener.do({
              kind: "open",
              name,
              label: "cell",
              type: "LazyInitMap",
              codec: "float64",
            }),
          )).name,
          "LayoutMismatchError",
        );
      }
      for (const opener of [first, second]) {
        await opener.do({ kind: "dispose", label: name });
      }
      strictEqual(await openAndGet(second, name, 2), 2);
      const { name: kind } = await rejection(
        first.do({ kind: "open", name, type: "LazyInitMap" }),
      );
      strictEqual(kind, "LayoutMismatchError");
    }),

  "open() makes another cell when the only holder ends while agents wait for it":
    () =>
      withOpeners(3, async (first, second, third) => {
        const name = "holder that hangs";
        strictEqual(await openAndGet(first, name, 1), 1);
        using questions = countQuestions(name);
        const hung = new Flag();
        await first.do({
          kind: "hang at an answer",
          hung: hung.buffer,
        });
        const opened = openAll([second, third], name);
        await hung.raised();
        await until(() => questions.count >= 6);
        await first.terminate();
        const found = await opened;
        strictEqual(new Set(found).size, 1);
      }),

  ...scenariosOfLastWords(),

  "open() holds a name even if another agent looks for holders at that moment":
    () =>
      withOpeners(3, async (first, second, third) => {
        const name = "look at the moment";
        strictEqual(await openAndGet(first, name, 1), 1);
        const requests = await countRequests(second);
        const holding = await pause(second, "pause before it holds");
        const opened = openAndGet(second, name, 2);
        await holding.paused;
        await first.terminate();
        const looking = await pause(third, "pause while it looks");
        const other = openAndGet(third, name, 3);
        await looking.paused;
        holding.leave();
        // It is refused, more than once
        ok(await isPending(opened, requests.more(3)));
        looking.leave();
        deepStrictEqual(await Promise.all([opened, other]), [1, 1]);
      }),

  "open() gives one cell even where the platform grants the gate to two agents":
    () =>
      withOpeners(2, async (first, second) => {
        const name = "two at the gate";
        for (const opener of [first, second]) {
          await opener.do({ kind: "skip the gate" });
        }
        const holding = await pause(first, "pause before it holds");
        const opened = openAndGet(first, name, 1);
        // It has found no holder, and is not one
        await holding.paused;
        const requests = await countRequests(second);
        const other = openAndGet(second, name, 2);
        ok(await isPending(other, requests.more(12)));
        holding.leave();
        strictEqual(await opened, await other);
      }),

  "open() by two tasks that become holders at once makes one holder of their agent":
    () =>
      withOpeners(3, async (first, second, third) => {
        const name = "two tasks";
        strictEqual(await openAndGet(first, name, 1), 1);
        const holding = await pause(second, "pause before it holds");
        const opened = second.do({ kind: "open", name, label: "a" });
        await holding.paused;
        await second.do({ kind: "open", name, label: "b" });
        holding.leave();
        await opened;
        await first.do({ kind: "dispose", label: name });
        await second.do({ kind: "dispose", label: "a" });
        // It still answers, as it has the other face
        strictEqual(await openAndGet(third, name, 3), 1);
        await third.do({ kind: "dispose", label: name });
        await second.do({ kind: "dispose", label: "b" });
        strictEqual(await openAndGet(third, name, 3), 3);
      }),

  "open() that is aborted at the last moment leaves the name free": () =>
    withOpeners(2, async (first, second) => {
      const name = "late abort";
      await first.do({ kind: "abort before it holds", label: name });
      const { message } = await rejection(first.do({ kind: "open", name }));
      strictEqual(message, "Aborted by the test");
      strictEqual(await openAndGet(second, name, 2), 2);
      // Nor does it take part any more
      strictEqual(await openAndGet(first, name, 1), 2);
    }),

  "open() of two tasks in one agent goes on if the answer reaches one of them alone":
    () =>
      withOpeners(2, async (first, second) => {
        const name = "one answer";
        strictEqual(await openAndGet(first, name, 1), 1);
        const holding = await pause(second, "pause before it holds");
        const opened = [second.do({ kind: "open", name, label: "a" })];
        await holding.paused;
        // It answers no more
        await first.do({
          kind: "hang at an answer",
          hung: new SharedArrayBuffer(4),
        });
        using questions = countQuestions(name);
        opened.push(second.do({ kind: "open", name, label: "b" }));
        await until(() => questions.count > 0);
        holding.leave();
        await Promise.all(opened);
        for (const label of ["a", "b"]) {
          strictEqual(await second.do({ kind: "get", label }), 1);
        }
      }),

  ...scenariosOfEnds("makes", STEPS_OF_MAKING, 0),
  ...scenariosOfEnds("attaches", STEPS_OF_ATTACHING, 1),
};

/** An agent ends at every step, while others wait, with and without a holder there. */
function scenariosOfEnds(
  deed: string,
  steps: string[],
  holders: number,
): Record<string, () => Promise<void>> {
  const scenarios: Record<string, () => Promise<void>> = {};
  steps.forEach((step, index) => {
    for (const granted of [false, true]) {
      const moment = `${granted ? "with" : "before"} ${step}`;
      scenarios[
        `open() goes on in others when an agent that ${deed} the cell ends ${moment}`
      ] = () =>
        withOpeners(3 + holders, async (mortal, second, third, ...others) => {
          const name = `${deed} ${moment}`;
          for (const holder of others) {
            strictEqual(await openAndGet(holder, name, 9), 9);
          }
          const { order, hung } = hang(mortal!, index + 1, granted);
          await order;
          const dead: Order = { kind: "open", name };
          mortal!.do(dead);
          await hung;
          const opened = openAll([second!, third!], name);
          await mortal!.terminate();
          const found = new Set(await opened);
          strictEqual(found.size, 1);
          if (holders > 0) ok(found.has(9));
          const late = await Opener.start();
          ok(found.has(await openAndGet(late, name, 8)));
          await late.terminate();
        });
    }
  });
  return scenarios;
}

/** A holder answers and ends, and the asker is not a holder yet. */
function scenariosOfLastWords(): Record<string, () => Promise<void>> {
  const scenarios: Record<string, () => Promise<void>> = {};
  for (const askerEnds of [false, true]) {
    const asker = askerEnds ? "ends, too" : "goes on";
    scenarios[
      `open() makes no other cell after the answer of a holder that ends, until the asker ${asker}`
    ] = () =>
      withOpeners(3, async (first, second, third) => {
        const name = `last words, the asker ${asker}`;
        strictEqual(await openAndGet(first, name, 1), 1);
        const holding = await pause(second, "pause before it holds");
        const opened = openAndGet(second, name, 2);
        await holding.paused;
        await first.terminate();
        const requests = await countRequests(third);
        const other = openAndGet(third, name, 3);
        ok(await isPending(other, requests.more(12)));
        if (askerEnds) {
          await second.terminate();
          strictEqual(await other, 3);
        } else {
          holding.leave();
          deepStrictEqual(await Promise.all([opened, other]), [1, 1]);
        }
      });
  }
  return scenarios;
}
