// Copyright 2026 the lazyinit authors. MIT license.

import { Worker } from "node:worker_threads";

/** What an {@linkcode Opener} can be told to do; a cell goes by its label. */
export type Order =
  | {
    kind: "open";
    name: string;
    /** The name by default. */
    label?: string;
    type?: "LazyInit" | "MutexLazyInit" | "LazyInitMap";
    codec?: "int32" | "float64";
    /** A flag to block for first. */
    start?: SharedArrayBuffer;
  }
  | { kind: "open in a copy"; name: string; label: string }
  | { kind: "open many"; names: string[] }
  | { kind: "abort"; label: string }
  | { kind: "getOrInit"; label: string; value: number }
  | { kind: "get"; label: string }
  | { kind: "dispose"; label: string }
  | { kind: "block"; entered: SharedArrayBuffer; leave: SharedArrayBuffer }
  | { kind: "nest"; name: string; value: number }
  | {
    kind: "hang at a lock";
    step: number;
    /** Whether that lock is taken before. */
    granted: boolean;
    hung: SharedArrayBuffer;
  }
  | { kind: "hang at an answer"; hung: SharedArrayBuffer }
  | {
    /** Before its next request for the holders' lock that would make it one, … */
    kind: "pause before it holds";
    entered: SharedArrayBuffer;
    leave: SharedArrayBuffer;
  }
  | {
    /** … or while it has the holders' lock next, only to see whether it is free. */
    kind: "pause while it looks";
    entered: SharedArrayBuffer;
    leave: SharedArrayBuffer;
  }
  | { kind: "abort before it holds"; label: string }
  /** As if the platform granted it to this agent and another one at once. */
  | { kind: "skip the gate" }
  /** Has the first word count the requests for locks. */
  | { kind: "count requests"; counter: SharedArrayBuffer }
  | { kind: "delay answers"; milliseconds: number }
  | {
    kind: "churn";
    name: string;
    rounds: number;
    /** The number of cells that were made, and for each how many agents have it open. */
    held: SharedArrayBuffer;
  };

export interface OrderMessage {
  readonly id: number;
  readonly order: Order;
}

interface Reply {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: { readonly name: string; readonly message: string };
}

/** A worker that opens cells by their names, in Deno and in Node. */
export class Opener {
  readonly #worker = new Worker(
    new URL("./testdata/open_worker.ts", import.meta.url),
  );
  readonly #pending = new Map<number, PromiseWithResolvers<unknown>>();
  #orders = 0;

  private constructor() {
    this.#worker.on("message", ({ id, result, error }: Reply) => {
      const pending = this.#pending.get(id);
      this.#pending.delete(id);
      if (error === undefined) return pending?.resolve(result);
      pending?.reject(Object.assign(new Error(error.message), error));
    });
    this.#worker.on("error", (error) => {
      for (const pending of this.#pending.values()) pending.reject(error);
    });
  }

  /** Starts an agent, and resolves when it listens. */
  static async start(): Promise<Opener> {
    const opener = new Opener();
    await opener.#reply(0);
    return opener;
  }

  /** Resolves with the result, if it ever comes. */
  // deno-lint-ignore no-explicit-any -- depends on the order
  do(order: Order): Promise<any> {
    const id = ++this.#orders;
    const reply = this.#reply(id);
    // A test may look at a failure later than it comes, and never if the agent ends
    reply.catch(() => {});
    const message: OrderMessage = { id, order };
    this.#worker.postMessage(message);
    return reply;
  }

  #reply(id: number): Promise<unknown> {
    const pending = Promise.withResolvers<unknown>();
    this.#pending.set(id, pending);
    return pending.promise;
  }

  async terminate(): Promise<void> {
    await this.#worker.terminate();
  }
}

/** Runs `body` with so many agents, which end after it. */
export async function withOpeners(
  count: number,
  body: (...openers: Opener[]) => Promise<void>,
): Promise<void> {
  const openers = await Promise.all(
    Array.from({ length: count }, () => Opener.start()),
  );
  try {
    await body(...openers);
  } finally {
    for (const opener of openers) await opener.terminate();
  }
}
