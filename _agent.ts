// Copyright 2026 the lazyinit authors. MIT license.
// This module is browser compatible.

/*
 * What an agent knows about itself: who it is, whether it may block, whether it has
 * announced itself; and how it learns that another agent has ended.
 *
 * IDS have 28 bits, so that they fit beside the other bits of a word; 0 stands for no
 * agent. In Node and Bun the id is that of the thread, plus 1: no two threads of a process
 * ever have the same. Elsewhere it is drawn at random, mixed with the moment at which the
 * agent began, as `deno run --seed` makes the random numbers of all workers alike.
 *
 * ANNOUNCEMENTS. A worker may hold a Web Lock that is named after its id, for all of
 * its life or while one of its asynchronous initializers runs. The platform frees the
 * lock when the worker ends. Another agent that is granted the lock then knows that the
 * worker does not hold it.
 *
 * A word says "announced" only while its owner holds the lock: the owner writes that
 * after it has been granted the lock, and takes it back before it lets the lock go. An
 * agent that is granted the lock and still finds a word that says so therefore knows that
 * the owner has ended. If the word does not say so, the agent only has to wake the
 * sleepers.
 *
 * Locks are granted in the order of the requests. So a worker holds one lock for all
 * that it does: a second request would wait behind those of the watchers, which wait
 * for the first. Watchers ask in shared mode, so a watcher that is granted the lock while
 * its agent is blocked does not keep the lock from the others. It does keep the worker from
 * taking the lock again, if the worker has released it.
 *
 * Only workers announce themselves: those of browsers, and of Deno from 2.9 on. Deno's
 * main thread and a browser's page need no announcement, as all agents that share their
 * memory end with them. Node has Web Locks but, as of 26.10, grants the lock of a
 * worker that has ended only at the next request for any lock.
 *
 * PARTITIONS. Browsers divide their storage, and Web Locks with it, by the page on top
 * and by whether the frames on the way are of its origin. Agents that share memory may
 * be in different partitions, and then the lock of a living agent looks free. So a
 * browser's agent announces itself and watches others only in the partition of a
 * top-level page of its own origin, of which there is one:
 *
 *   A window is in it if it can reach the top-level one. It asks for the locks of that
 *   one, and holds one named "first party" there.
 *   A worker is in it if the lock "first party" is held in its partition.
 *
 * Elsewhere no agent takes over, and a call of `recover()` is needed.
 *
 * ENDS OF WORKERS. In Node and Bun, the thread that starts a worker gets an event with that
 * worker, which emits another event when it ends. No announcement is needed.
 *
 * ENDS OF FRAMES. A frame of the same origin is not an agent of its own, so it can end
 * while its agent lives on. In its last moment, it gives back what it has begun.
 */

import {
  builtinModule,
  isBun,
  isDeno,
  isFirstParty,
  isInnerFrame,
  isNode,
  outermostWindow,
  sharedByThread,
  type StartedWorker,
  threads,
} from "./_thread.ts";

/** The part of Web Locks that this package uses; not every platform has them. */
export interface Locks {
  request(
    name: string,
    options: { mode?: string; signal?: AbortSignal; ifAvailable?: true },
    granted: (lock: object | null) => unknown,
  ): Promise<unknown>;
  query(): Promise<{ readonly held?: readonly { readonly name?: string }[] }>;
}

interface Scope {
  readonly navigator?: { readonly locks?: Locks };
  readonly crossOriginIsolated?: boolean;
}

/** Numbers that another agent is unlikely to draw. */
const { id, salt, factor } = sharedByThread("agent", () => {
  const [id, salt, factor] = drawNumbers();
  return {
    // In Node and Bun, 28 bits last longer than any process
    id: isNode ? threads!.threadId + 1 : id! >>> 4 || 1,
    salt: salt!,
    // An odd one has an inverse
    factor: factor! | 1,
  };
});

/** The id of this agent, which costs a read. */
export const thisAgent: number = id;

/**
 * Returns three random numbers of 32 bits, which differ from those of other agents even
 * if the random numbers of all agents are alike.
 */
function drawNumbers(): Uint32Array {
  const { crypto, performance } = globalThis as Partial<typeof globalThis>;
  const random = new Uint32Array(3);
  crypto?.getRandomValues(random);
  const moments = new Uint32Array(
    new Float64Array([
      Math.random(),
      performance?.timeOrigin ?? Date.now(),
      performance?.now() ?? 0,
      threads?.threadId ?? 0,
    ]).buffer,
  );
  return random.map((number, index) =>
    moments.reduce((mixed, moment) => mix(mixed ^ moment), mix(number ^ index))
  );
}

/** Spreads the bits of a number of 32 bits; no two numbers give the same. */
function mix(number: number): number {
  number = Math.imul(number ^ number >>> 16, 0x21f0aaad);
  number = Math.imul(number ^ number >>> 15, 0x735a2d97);
  return number ^ number >>> 15;
}

const nonces = sharedByThread("nonces", () => ({ drawn: 0 }));

/**
 * Returns a number other than 0, as an `Int32Array` reads it, that this agent returns
 * once in 2^32 calls, and other agents not in the same order.
 */
export function drawNonce(): number {
  nonces.drawn = nonces.drawn + 1 | 0;
  return mix(Math.imul(nonces.drawn, factor) + salt | 0) || drawNonce();
}

/**
 * Returns the id of this agent (main thread or worker).
 *
 * In Node and Bun it is the id of the thread plus 1, so that no two agents of a process
 * have the same, even one after the other. Elsewhere it is drawn at random when the
 * agent first loads this package, as agents have nothing in common there that could number
 * them: two of 16 agents have the same id in one of two million programs.
 *
 * All copies of this package in one thread have one id, also in frames of the same
 * origin and in `node:vm` contexts. A `node:vm` context without a `process`, a window
 * that was opened by another one, and frames without an ancestor of their origin have
 * ids of their own.
 *
 * @example Usage
 * ```ts
 * import { agentId } from "@lazyinit/lazyinit/atomics";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(agentId(), agentId());
 * ```
 *
 * @returns An integer from 1 to 2^28 - 1, constant for the life of the agent.
 */
export function agentId(): number {
  return thisAgent;
}

/** Equal to no value that {@linkcode canBlock} waits for, so that it never sleeps. */
const probe = globalThis.SharedArrayBuffer &&
  new Int32Array(new SharedArrayBuffer(4));

/**
 * Returns whether this agent may block, that is, call `Atomics.wait`.
 *
 * Workers may; so may the main threads of Deno, Node and Bun. The main thread of a
 * browser may not, nor may an AudioWorklet. Never blocks itself.
 *
 * @example Usage
 * ```ts
 * import { canBlock, Mutex } from "@lazyinit/lazyinit/atomics";
 * import { assertEquals } from "@std/assert";
 *
 * const mutex = new Mutex();
 * const token = canBlock() ? mutex.lock() : await mutex.lockAsync();
 * assertEquals(token.unlock(), true);
 * ```
 *
 * @returns Whether a synchronous wait is possible here.
 */
export function canBlock(): boolean {
  try {
    // Pairs with nothing: the value never matches, so only the permission is asked for
    return Atomics.wait(probe, 0, 1, 0) === "not-equal";
  } catch {
    return false;
  }
}

// --- Announcements ---

const scope: Scope = globalThis as Scope;
/** Those of the outermost window, as an inner one may be in another partition. */
const locks = isNode
  ? undefined
  : ((outermostWindow ?? globalThis) as Scope).navigator?.locks;

/** Whether an announcement can mean something here: a browser's worker finds out later. */
export const canAnnounce: boolean = locks !== undefined &&
  ("WorkerGlobalScope" in scope || isDeno && threads?.isMainThread === false);

const FIRST_PARTY = "@lazyinit/lazyinit first party";

/** Whether all agents that share memory with this one are known to share its locks. */
let isCommon = isDeno || isFirstParty;

if (isFirstParty && scope.crossOriginIsolated === true) {
  // From now on, as a worker may ask at once. Firefox does not keep a page that holds a
  // lock in its back/forward cache, even if the page releases the lock when it is
  // hidden; Chromium does
  locks?.request(FIRST_PARTY, { mode: "shared" }, () => new Promise(() => {}))
    // Where the origin has no locks, its workers have none, either
    .catch(() => {});
}

/** Finds out whether this agent may trust its locks; rejects if the platform refuses. */
async function findIsCommon(): Promise<boolean> {
  if (!isCommon && outermostWindow === undefined) {
    const { held = [] } = await locks!.query();
    isCommon = held.some(({ name }) => name === FIRST_PARTY);
  }
  return isCommon;
}

function lockName(agentId: number): string {
  return `@lazyinit/lazyinit agent ${agentId}`;
}

/** A request for the lock of this agent, which lasts as long as any holder wants the lock. */
interface Hold {
  holders: number;
  granted: boolean;
  /** Resolves with whether the lock is held, and rejects if the platform refuses it. */
  readonly settled: Promise<boolean>;
  /** Frees the lock, or has it freed as soon as it is granted. */
  release(): void;
}

/** What the copies of this module in the thread know of its announcement. */
interface Announcement {
  hold: Hold | undefined;
  /** Whether the lock is held, and stays so. */
  isForLife: boolean;
  promise: Promise<void> | undefined;
}

const announcement = sharedByThread<Announcement>("announcement", () => ({
  hold: undefined,
  isForLife: false,
  promise: undefined,
}));

/** Whether this agent holds its lock and keeps it for life. */
export function isAnnounced(): boolean {
  return announcement.isForLife;
}

/**
 * Holds the lock of this agent until the returned function is called, which may be
 * called once. Calls `held` when the lock is granted: immediately if it is already
 * held, and never if it is released before or cannot be had.
 */
export function holdAgentLock(held: () => void): () => void {
  if (!canAnnounce) return () => {};
  const hold = takeHold();
  let isWanted = true;
  if (hold.granted) held();
  else {
    hold.settled.then((granted) => {
      if (granted && isWanted) held();
      // announceAgent() is what reports a refusal
    }, () => {});
  }
  return () => {
    isWanted = false;
    letGo(hold);
  };
}

function takeHold(): Hold {
  const hold = announcement.hold ??= requestHold();
  hold.holders++;
  return hold;
}

function letGo(hold: Hold): void {
  hold.holders--;
  if (hold.holders > 0) return;
  forget(hold);
  hold.release();
}

/** Makes the next holder ask for the lock anew. */
function forget(hold: Hold): void {
  hold.granted = false;
  if (announcement.hold === hold) announcement.hold = undefined;
}

function requestHold(): Hold {
  let release!: () => void;
  const released = new Promise<void>((resolve) => release = resolve);
  const settled = findIsCommon().then((isCommon) => {
    if (!isCommon) {
      forget(hold);
      return false;
    }
    return new Promise<boolean>((resolve, reject) => {
      locks!.request(lockName(thisAgent), {}, () => {
        hold.granted = hold.holders > 0;
        resolve(true);
        return released;
      }).catch(reject);
    });
  });
  const hold: Hold = { holders: 0, granted: false, settled, release };
  settled.catch(() => forget(hold));
  return hold;
}

/**
 * Announces to the other agents that this one is alive, as long as it is.
 *
 * The agent holds a Web Lock that is named after its {@linkcode agentId}. The platform
 * frees the lock when the agent ends, however it ends. Agents that wait asynchronously
 * for what this agent locks or begins to initialize from then on notice its end and
 * recover it. Without an announcement, a call of `recover()` is needed.
 *
 * It has an effect in workers of Deno from 2.9 on. In browsers, it has an effect in workers
 * whose origin is that of the top-level page. That page, or a frame in it that can reach
 * it, must have loaded this package before. Elsewhere, the promise resolves and nothing is
 * announced. Node and Bun need no announcement, as they notify a thread when its workers
 * end. The main thread of Deno and a browser's page need none, as all their workers end
 * with them. A frame whose origin differs from that of the top-level page cannot announce
 * itself, as it may not see the locks of all agents. In Deno, a worker that has announced
 * itself stays alive until it is terminated or closes itself.
 *
 * Asynchronous initializers need no call: they are announced while they run, from the
 * moment when the lock is granted, a turn of the event loop after they begin. The end
 * of an agent before that moment is noticed only if the agent has announced itself.
 *
 * Does not block. Call it when the worker starts. If the worker has already run
 * asynchronous initializers, agents that waited for those may be blocked by now, and the
 * lock may be granted only when they go on. The originals have no such call, as their
 * threads cannot end halfway.
 *
 * @example Usage
 * ```ts
 * import { announceAgent, Mutex } from "@lazyinit/lazyinit/atomics";
 * import { assertEquals } from "@std/assert";
 *
 * // At the beginning of a worker
 * await announceAgent();
 *
 * // If the worker ends now, an agent that waits by lockAsync() gets the mutex
 * using token = new Mutex().lock();
 * assertEquals(token.locked, true);
 * ```
 *
 * @returns A promise that resolves when the agent has been announced. It rejects if
 * the platform refuses Web Locks, as browsers do in an opaque origin and in frames whose
 * storage they block because the top-level page is of another origin. A later call asks
 * again.
 */
export function announceAgent(): Promise<void> {
  if (!canAnnounce) return Promise.resolve();
  return announcement.promise ??= announce();
}

async function announce(): Promise<void> {
  const hold = takeHold();
  try {
    announcement.isForLife = await hold.settled;
  } finally {
    if (!announcement.isForLife) {
      letGo(hold);
      announcement.promise = undefined;
    }
  }
}

/**
 * Calls `ended` when the agent does not hold its lock, which may be soon. The returned
 * function stops the watch. Where locks say nothing, `ended` is never called.
 */
export function watchAgent(
  agentId: number,
  ended: (agentId: number) => void,
): () => void {
  if (locks === undefined) return () => {};
  const request = new AbortController();
  watch(agentId, ended, request.signal)
    // Stopped, or refused: then no agent can be watched here
    .catch(() => {});
  return () => request.abort();
}

async function watch(
  agentId: number,
  ended: (agentId: number) => void,
  signal: AbortSignal,
): Promise<void> {
  if (!await findIsCommon()) return;
  await locks!.request(
    lockName(agentId),
    { mode: "shared", signal },
    () => ended(agentId),
  );
}

// --- Ends of workers ---

/** What can be taken from an agent that has ended. */
export interface Recoverable {
  recover(agentId: number): unknown;
}

/** Cells that a worker may own when it ends. They are not kept alive for that. */
class EndsOfWorkers {
  readonly #cells = new Set<WeakRef<Recoverable>>();
  readonly #known = new WeakSet<Recoverable>();
  readonly #registry = new FinalizationRegistry<WeakRef<Recoverable>>(
    (reference) => this.#cells.delete(reference),
  );

  constructor() {
    // None of this keeps the thread or the worker alive
    if (isBun) {
      builtinModule("node:process")!.on("worker", (it) => this.#await(it));
    } else {
      // Where Jest gives modules a copy of `process`, that copy emits no event for a
      // worker
      builtinModule("node:diagnostics_channel")!.subscribe(
        "worker_threads",
        ({ worker }) => this.#await(worker),
      );
    }
  }

  add(cell: Recoverable): void {
    if (this.#known.has(cell)) return;
    const reference = new WeakRef(cell);
    this.#known.add(cell);
    this.#cells.add(reference);
    this.#registry.register(cell, reference);
  }

  #await(worker: StartedWorker): void {
    // After its end, it no longer has an id
    const agentId = worker.threadId + 1;
    const ended = () => {
      for (const reference of this.#cells) {
        try {
          reference.deref()?.recover(agentId);
        } catch {
          // The memory has been overwritten, which is no reason to skip the others
        }
      }
    };
    if (worker.once === undefined) worker.addEventListener?.("close", ended);
    else worker.once("exit", ended);
  }
}

const endsOfWorkers = isNode
  ? sharedByThread("ends of workers", () => new EndsOfWorkers())
  : undefined;

/**
 * In Node and Bun, recovers the cell from each worker of this thread that ends from now
 * on. Does nothing elsewhere.
 */
export function recoverWhenWorkersEnd(cell: Recoverable): void {
  endsOfWorkers?.add(cell);
}

// --- Ends of frames ---

/**
 * Calls `ended` when the frame ends in which this copy of the package was loaded, if an
 * outer window belongs to the same agent, which then lives on. No other code can give back
 * what the frame had begun, as its promises never settle.
 */
export function whenFrameEnds(ended: () => void): void {
  if (!isInnerFrame) return;
  addEventListener("pagehide", (event) => {
    const { persisted } = event as Event & { persisted: boolean };
    if (!persisted) ended();
  });
}
