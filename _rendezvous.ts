// Copyright 2026 the lazyinit authors. MIT license.
// This module is browser compatible.

/*
 * How agents that have nothing in common but a name share one cell.
 *
 * An agent that has the cell of a name is a holder of that name. Two Web Locks for each
 * name and one BroadcastChannel for all names lead every other agent to the cell:
 *
 *   HOLDERS  is held in shared mode by every holder, for as long as it is one.
 *   GATE     is held in exclusive mode by an agent that may make the cell, and in shared
 *            mode by agents that ask for it.
 *
 *   ┌───────────────────────┐ GATE cannot be had  ┌────────────────────────────────┐
 *   │ make: GATE exclusive  ├────────────────────>│ ask: GATE shared               │
 *   │ Is HOLDERS free?      │ HOLDERS is not free │ Is HOLDERS free?               │
 *   │ Yes: make the cell    │                     │ No: ask on the channel, and    │
 *   │                       │<────────────────────┤ again after a pause, with GATE │
 *   └──────────┬────────────┘  pause, without GATE└───────────────┬────────────────┘
 *              │               HOLDERS is free, or                │
 *              │               GATE cannot be had                 │ a holder's answer
 *              v                                                  v
 *          HOLDERS shared, then GATE let go: the agent is a holder and answers
 *              │
 *              v  every face is disposed of, or the agent ends
 *          the agent answers no more, then HOLDERS let go
 *
 * INVARIANTS
 *   R1  A cell is made only by an agent that holds GATE in exclusive mode and has seen
 *       HOLDERS free meanwhile.
 *       It asks for GATE twice, under two names and with a pause of random length in
 *       between, as Node may grant a lock to two threads that ask within microseconds.
 *   R2  An agent answers only while it holds HOLDERS, and always with the same cell.
 *   R3  An agent takes only the answer to a question that it has asked while it held
 *       GATE, and lets GATE go only when it holds HOLDERS or has given up.
 *   R4  HOLDERS is taken, in either mode, only by an agent that holds GATE.
 *
 * So there is at most one cell of a name while any holder lives. When a holder answers,
 * it holds HOLDERS (R2) and the asker holds GATE (R3). Until the asker holds HOLDERS
 * itself, GATE keeps others from making a cell (R1), even if that holder has ended.
 * From then on, HOLDERS does.
 *
 * NO WAIT DECIDES. Only HOLDERS says whether any agent has the cell. An asker that gets no
 * answer goes on asking, for as long as HOLDERS is held. The pauses only say how soon it
 * notices that the last holder has ended, or that a message was lost, as a channel may
 * drop messages to an agent that is blocked. An answer after many pauses is as valid as an
 * immediate one. Two agents that look at HOLDERS at the same moment may both find it taken,
 * by the other: then neither makes a cell, and both look again.
 *
 * NO REQUEST WAITS. Every request for a lock is granted or refused at once. If it is
 * refused, it is repeated after a pause. Node 24 and 26 need both. They free the locks of a
 * worker that has ended only at some thread's next request. And while requests of two
 * threads wait in their queue, these threads wake each other without end, whatever the
 * locks are.
 *
 * BLOCKED AGENTS. A holder that is blocked answers when it goes on; any other holder
 * answers for it. An asker that is blocked may hold GATE, so that no other agent makes the
 * cell before it goes on. One that blocks in the turn of its call has not asked yet.
 *
 * TABS. Two tabs of one origin share locks and channels, but are two agent clusters, and no
 * memory passes between them. So the second tab finds HOLDERS held and gets no answer that
 * it can read: it asks until the first tab has given the name up.
 *
 * PARTITIONS. Browsers divide locks and channels alike, by the page on top and by whether a
 * page of another site lies in between. A window uses those of the outermost window of its
 * origin, a worker those of its own partition. So agents that share memory but no partition
 * have a cell each: a page behind one of another site has the cell of the page on top, and
 * the workers of the page behind have another.
 *
 * WHAT AN END LEAVES. The platform frees the locks of an agent that ends:
 *
 *   while it looks or asks   nothing.
 *   while it makes the cell  memory that no other agent has seen.
 *   while it answers         an asker with the cell, or one that asks again.
 *   as one of the holders    the cell, with the others.
 *   as the last holder       a name that is free again: the next asker makes another cell.
 *
 * Deno does not end a web worker that is blocked, not even by terminate(). That worker
 * keeps its locks until it is woken or the process ends.
 *
 * WHAT IS KEPT. For each name that an agent holds: one lock and the first face of the
 * cell, however often the agent opens the name. For each agent that has ever opened a
 * name: one channel. In Deno and Node, the channel keeps no event loop alive. A lock
 * keeps Deno's main thread alive, and its workers.
 *
 * Two copies of this package in one thread are two holders, which hear each other.
 */

import { drawNonce, type Locks, thisAgent } from "./_agent.ts";
import { signalOf, throwIfAborted, wrongType } from "./_checks.ts";
import { startTimer, stopTimer } from "./_clock.ts";
import { allocate, assertSharedMemory } from "./_memory.ts";
import { outermostWindow, threads } from "./_thread.ts";

/** The pauses between two attempts, in ms: each is twice as long as the one before. */
const SHORTEST_PAUSE = 5;
const LONGEST_PAUSE = 250;

/**
 * Options of the methods that open a cell by its name.
 *
 * @example Usage
 * ```ts
 * import { int32, LazyInit, type LazyInitOpenOptions } from "@lazyinit/lazyinit";
 * import { assertEquals } from "@std/assert";
 *
 * const options: LazyInitOpenOptions = { signal: new AbortController().signal };
 * using cell = await LazyInit.open("answer", int32, options);
 * assertEquals(cell.name, "answer");
 * ```
 */
export interface LazyInitOpenOptions {
  /** Ends the wait for an agent that has the cell: the promise rejects with the signal's reason. */
  signal?: AbortSignal | null;
  /** Never there, as nothing blocks. */
  timeout?: never;
}

/** What can be opened by a name: a cell, or a map of cells. */
interface Openable {
  readonly handle: unknown;
}

/** How to obtain the face of what is opened. */
interface Ways<Face> {
  /** Makes a new one. */
  make(): Face;
  /** Attaches to the one that a holder has; throws if it is of another layout. */
  attach(handle: unknown): Face;
}

/** A name that this agent holds. */
interface Holding {
  /** Kept, as an agent recovers only a cell that it still keeps when a worker ends. */
  readonly first: Openable;
  faces: number;
  /** Frees HOLDERS. */
  readonly release: () => void;
}

type Message =
  | { readonly type: "question"; readonly key: string; readonly id: string }
  | { readonly type: "answer"; readonly id: string; readonly handle: unknown };

/** What this uses of a BroadcastChannel. */
interface Channel {
  onmessage: ((event: { readonly data: unknown }) => void) | null;
  onmessageerror: (() => void) | null;
  postMessage(message: unknown): void;
  close(): void;
  unref?(): void;
}

interface Scope {
  readonly navigator?: { readonly locks?: Locks };
  readonly BroadcastChannel?: new (name: string) => Channel;
}

const scope = (outermostWindow ?? globalThis) as Scope;
// Those of the module are there in `node:vm` contexts, too, and Deno's global channel
// keeps its thread alive, which that of the module need not
const {
  locks = scope.navigator?.locks,
  BroadcastChannel = scope.BroadcastChannel,
} = (threads ?? {}) as Scope & { readonly locks?: Locks };

const holdings = new Map<string, Holding>();
/** Those that this agent has asked, by their ids, and what takes the answer. */
const questions = new Map<string, (handle: unknown) => void>();
/** What gives up the name of a face that was opened by one. */
const endings = new WeakMap<object, () => void>();

/** Opens the cell or the map of that name, which the first to ask makes. */
export async function openByName<Face extends Openable>(
  name: string,
  ways: Ways<Face>,
  options: LazyInitOpenOptions,
): Promise<Face> {
  if (typeof name !== "string") {
    throw wrongType("open the cell", "name", "be a string", name);
  }
  const signal = signalOf(options);
  throwIfAborted(signal);
  await assertRendezvous();
  // A channel or a lock could take two lone surrogates for the same
  const key = JSON.stringify(name);
  for (let length = SHORTEST_PAUSE;; length = nextPause(length)) {
    throwIfAborted(signal);
    const holding = holdings.get(key);
    if (holding !== undefined) {
      return share(key, holding, ways.attach(holding.first.handle));
    }
    const face = await make(key, ways, signal) ?? await ask(key, ways, signal);
    if (face !== undefined) return face;
    await pause(length, signal);
  }
}

/** Gives up the name by which the face was opened, if it was. */
export function closeByName(face: object): void {
  endings.get(face)?.();
}

/** Makes the cell; resolves with `undefined` if another agent has it or makes it. */
async function make<Face extends Openable>(
  key: string,
  ways: Ways<Face>,
  signal: AbortSignal | undefined,
): Promise<Face | undefined> {
  return await within(nameOf("gate", key), "exclusive", async () => {
    await pause(SHORTEST_PAUSE, signal);
    return await within(nameOf("inner gate", key), "exclusive", async () => {
      // R1
      if (!await isFree(nameOf("holders", key))) return undefined;
      return await hold(key, ways.make(), signal);
    });
  });
}

/** Attaches to the cell; resolves with `undefined` if no agent has it or makes it. */
async function ask<Face extends Openable>(
  key: string,
  ways: Ways<Face>,
  signal: AbortSignal | undefined,
): Promise<Face | undefined> {
  // R3
  return await within(nameOf("gate", key), "shared", async () => {
    const answer = await answerTo(key, signal);
    if (answer === undefined) return undefined;
    return await hold(key, ways.attach(answer.handle), signal);
  });
}

/** Becomes a holder, or one with another face if this agent has become one meanwhile. */
async function hold<Face extends Openable>(
  key: string,
  face: Face,
  signal: AbortSignal | undefined,
): Promise<Face> {
  let release: (() => void) | undefined;
  while ((release = await takeShared(nameOf("holders", key))) === undefined) {
    // Another asker looks at it
    await pause(SHORTEST_PAUSE, signal);
  }
  if (signal?.aborted) release();
  throwIfAborted(signal);
  const known = holdings.get(key);
  if (known !== undefined) {
    release();
    return share(key, known, face);
  }
  const holding = { first: face, faces: 0, release };
  holdings.set(key, holding);
  return share(key, holding, face);
}

/** Counts one more face. */
function share<Face extends Openable>(
  key: string,
  holding: Holding,
  face: Face,
): Face {
  holding.faces++;
  endings.set(face, () => {
    endings.delete(face);
    holding.faces--;
    if (holding.faces > 0) return;
    // R2: no answer any more, then no lock
    holdings.delete(key);
    holding.release();
  });
  return face;
}

/** Resolves with the answer of a holder, or with `undefined` when there is no holder. */
async function answerTo(
  key: string,
  signal: AbortSignal | undefined,
): Promise<{ readonly handle: unknown } | undefined> {
  // R3: a new one each time
  const id = `${thisAgent} ${drawNonce()}`;
  let answer: { readonly handle: unknown } | undefined;
  let wake = () => {};
  questions.set(id, (handle) => {
    answer = { handle };
    wake();
  });
  try {
    for (let length = SHORTEST_PAUSE;; length = nextPause(length)) {
      if (await isFree(nameOf("holders", key))) return undefined;
      post({ type: "question", key, id });
      // The channel does not deliver that to this agent itself
      answer ??= holdings.get(key)?.first;
      if (answer === undefined) {
        const { promise, resolve } = Promise.withResolvers<void>();
        wake = resolve;
        await pause(length, signal, promise);
      }
      if (answer !== undefined) return answer;
    }
  } finally {
    questions.delete(id);
  }
}

function nextPause(length: number): number {
  return Math.min(2 * length, LONGEST_PAUSE);
}

/** Resolves after about that many ms, or as soon as `ended` does; rejects by the signal. */
async function pause(
  length: number,
  signal: AbortSignal | undefined,
  ended?: Promise<void>,
): Promise<void> {
  throwIfAborted(signal);
  const { promise, resolve } = Promise.withResolvers<void>();
  const end = () => resolve();
  // At random, so that two agents that got in each other's way do not do so again
  const timer = startTimer(end, length * (0.5 + (drawNonce() >>> 0) / 2 ** 32));
  signal?.addEventListener("abort", end);
  ended?.then(end);
  await promise;
  stopTimer(timer);
  signal?.removeEventListener("abort", end);
  throwIfAborted(signal);
}

// --- The channel ---

const CHANNEL_NAME = "@lazyinit/lazyinit names";
let channel: Channel | undefined;

/**
 * Returns the channel of this agent. It is never closed: where it is the last one of its
 * thread, Deno 2.9 breaks the next one that is opened in the same turn.
 */
function openChannel(): Channel {
  if (channel === undefined) {
    channel = new BroadcastChannel!(CHANNEL_NAME);
    channel.onmessage = ({ data }) => receive(data);
    channel.unref?.();
  }
  return channel;
}

function post(message: Message): void {
  openChannel().postMessage(message);
}

function receive(data: unknown): void {
  // Any code of the origin can post there
  const message = Object(data) as Message;
  if (message.type === "answer") {
    questions.get(message.id)?.(message.handle);
  } else if (message.type === "question") {
    const { key, id } = message;
    const holding = holdings.get(key);
    if (holding === undefined) return;
    post({ type: "answer", id, handle: holding.first.handle });
  }
}

// --- The locks ---

/**
 * Node, as of 26.10, grants a lock to two threads if they ask within microseconds. So an
 * agent that makes a cell asks for two gates, with a pause of random length in between.
 */
function nameOf(lock: "gate" | "inner gate" | "holders", key: string): string {
  return `@lazyinit/lazyinit ${lock} ${key}`;
}

/** Whether no agent holds the lock, or looks at it at the same moment. */
async function isFree(lock: string): Promise<boolean> {
  return await within(lock, "exclusive", () => Promise.resolve(true)) ?? false;
}

/** Calls `body` while this agent holds the lock; resolves with `undefined` if it cannot. */
async function within<R>(
  lock: string,
  mode: "shared" | "exclusive",
  body: () => Promise<R>,
): Promise<R | undefined> {
  return await locks!.request(
    lock,
    { mode, ifAvailable: true },
    (granted) => granted === null ? undefined : body(),
  ) as R | undefined;
}

/** Takes a lock permanently, and resolves with what frees it, or `undefined` if it cannot. */
function takeShared(lock: string): Promise<(() => void) | undefined> {
  return new Promise((resolve, reject) => {
    locks!.request(
      lock,
      { mode: "shared", ifAvailable: true },
      (granted) =>
        granted === null ? resolve(undefined) : new Promise<void>(resolve),
    ).catch(reject);
  });
}

// --- The platform ---

const PROBE_BYTES = 8;
let capability: Promise<void> | undefined;

/** Rejects where agents cannot meet by a name. */
function assertRendezvous(): Promise<void> {
  return capability ??= tryRendezvous().catch((error) => {
    // It may have failed for want of memory or stack
    capability = undefined;
    throw error;
  });
}

async function tryRendezvous(): Promise<void> {
  assertSharedMemory();
  if (locks === undefined) throw cannotOpen("has no Web Locks");
  if (BroadcastChannel === undefined) {
    throw cannotOpen("has no BroadcastChannel");
  }
  if (!await carriesSharedMemory()) {
    throw cannotOpen(
      "has a BroadcastChannel that does not carry shared memory",
    );
  }
}

/** Whether shared memory arrives as what it is: some throw, and some deliver `null`. */
async function carriesSharedMemory(): Promise<boolean> {
  // First, so that it is not the last one that is closed below
  openChannel();
  const name = `${CHANNEL_NAME} ${thisAgent} ${drawNonce()}`;
  const sender = new BroadcastChannel!(name);
  const receiver = new BroadcastChannel!(name);
  try {
    return await new Promise((resolve) => {
      receiver.onmessage = ({ data }) =>
        resolve(Object(data).byteLength === PROBE_BYTES);
      receiver.onmessageerror = () => resolve(false);
      sender.postMessage(allocate(PROBE_BYTES));
    });
  } catch (error) {
    if (Object(error).name === "DataCloneError") return false;
    throw error;
  } finally {
    sender.close();
    receiver.close();
  }
}

function cannotOpen(what: string): TypeError {
  return new TypeError(
    `Cannot open cells by name as this platform ${what}: send 'handle' by postMessage() and attach with from() instead`,
  );
}
