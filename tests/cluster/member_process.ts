// Copyright 2026 the lazyinit authors. MIT license.

/*
 * A process of a cluster: takes commands from its standard input, one a line, and answers
 * on its standard output. It ends when its input does.
 */

import { ClusterLazyInit } from "../../cluster/mod.ts";
import { json } from "../../codec.ts";
import { openStore, type StoreAddress } from "./stores.ts";

/** What a member is told to do. */
export interface Command {
  readonly id: number;
  readonly key: string;
  readonly call: "getOrInit" | "init" | "wait" | "reset" | "refresh" | "get";
  /** What its initializer returns; it fails if there is none. */
  readonly value?: string;
  /** How long that takes, in ms; for ever if negative. */
  readonly duration?: number;
}

/** What a member answers: that an initializer runs, or what came of a call. */
export interface Answer {
  readonly id: number;
  readonly running?: true;
  readonly value?: unknown;
  readonly error?: { readonly name: string; readonly message: string };
  /** When the call settled, in ms of the machine. */
  readonly at?: number;
  /** When its initializer had made the value, in ms of the machine. */
  readonly made?: number;
}

const [address, lease] = Deno.args;
const opened = await openStore(JSON.parse(address!) as StoreAddress);
const codec = json(40_000);
const cells = new Map<string, ClusterLazyInit<unknown>>();

function cellOf(key: string): ClusterLazyInit<unknown> {
  let cell = cells.get(key);
  if (cell === undefined) {
    cell = new ClusterLazyInit<unknown>(
      opened.store,
      key,
      codec as never,
      { lease: Number(lease) },
    );
    cells.set(key, cell);
  }
  return cell;
}

const encoder = new TextEncoder();

function answer(answer: Answer): void {
  Deno.stdout.writeSync(encoder.encode(`${JSON.stringify(answer)}\n`));
}

/** Finer than `Date.now()`, and the same for all processes of a machine. */
function now(): number {
  return performance.timeOrigin + performance.now();
}

async function carryOut(
  { id, key, call, value, duration = 0 }: Command,
  hasMade: () => void,
): Promise<unknown> {
  const cell = cellOf(key);
  async function initializer(): Promise<string> {
    answer({ id, running: true });
    if (duration < 0) await new Promise(() => {});
    await new Promise((resolve) => setTimeout(resolve, duration));
    if (value === undefined) throw new Error("No value");
    hasMade();
    return value;
  }
  switch (call) {
    case "getOrInit":
    case "init":
      return await cell[call](initializer);
    default:
      return await cell[call]();
  }
}

async function run(command: Command): Promise<void> {
  const { id } = command;
  try {
    let made: number | undefined;
    const value = await carryOut(command, () => made = now());
    answer({ id, value, at: now(), ...(made === undefined ? {} : { made }) });
  } catch (error) {
    const { name, message } = error as Error;
    answer({ id, error: { name, message }, at: now() });
  }
}

const lines = Deno.stdin.readable.pipeThrough(new TextDecoderStream());
let rest = "";
answer({ id: 0 });
for await (const text of lines) {
  const complete = (rest + text).split("\n");
  rest = complete.pop()!;
  for (const line of complete) run(JSON.parse(line));
}
await Promise.all(
  [...cells.values()].map((cell) => cell[Symbol.asyncDispose]()),
);
await opened[Symbol.asyncDispose]();
