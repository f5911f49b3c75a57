// Copyright 2026 the lazyinit authors. MIT license.
// This module is browser compatible.

/*
 * How agents learn that another one has ended: each may hold a Web Lock that is
 * named after its id, for all of its life or while one of its asynchronous
 * initializers runs. The platform frees it when the agent ends. Whoever gets the
 * lock knows that the agent does not hold it.
 *
 * A word says "announced" only while its owner holds the lock: it says so after the
 * lock is held, and ceases to before the lock is released. So whoever has the lock
 * and still finds a word that says so knows that the owner has ended; whoever finds
 * one that does not has only to wake the sleeper.
 *
 * Locks are granted in the order in which they were asked for. So the agent holds
 * one lock for all that it does: a second request would wait behind those of the
 * watchers, which wait for the first. Watchers ask in shared mode: one that is
 * granted the lock while its agent is blocked does not keep it from the others. It
 * does keep the agent from holding the lock again, if that has released it.
 */

/** What this uses of Web Locks, which not every platform has. */
interface Locks {
  request(
    name: string,
    options: { mode?: "shared"; signal?: AbortSignal },
    granted: () => unknown,
  ): Promise<unknown>;
}

const scope = globalThis as {
  navigator?: { locks?: Locks };
  crossOriginIsolated?: boolean;
};
const locks = scope.navigator?.locks;

/**
 * Whether an announcement means something here: in workers of the web, and in pages
 * that share memory, as they may be frames in one that outlives them. Node has Web
 * Locks but, as of 26.10, grants that of a worker which has ended only when somebody
 * next asks for any lock; its workers have no such scope. Nor has Deno's main thread,
 * with which all of its workers end.
 */
export const canAnnounce: boolean = locks !== undefined &&
  ("WorkerGlobalScope" in scope || scope.crossOriginIsolated === true);

function lockName(agentId: number): string {
  return `@lazyinit/lazyinit agent ${agentId}`;
}

/** Who wants the lock of this agent to be held. */
interface Holder {
  held(): void;
  refused(error: unknown): void;
}

/** The lock of this agent, from the request on until nobody wants it to be held. */
interface Hold {
  readonly holders: Set<Holder>;
  granted: boolean;
  release(): void;
}

/** One for the whole agent, even if it loads two copies of this module. */
const HOLD = Symbol.for("@lazyinit/lazyinit hold");
const globals = globalThis as { [HOLD]?: Hold | undefined };

/** Whether this agent holds its lock. */
export function holdsAgentLock(): boolean {
  return globals[HOLD]?.granted === true;
}

/**
 * Holds the lock of this agent until the returned function is called. If it is held
 * already, `held` is called at once.
 */
export function holdAgentLock(
  agentId: number,
  held: () => void,
  refused: (error: unknown) => void,
): () => void {
  const hold = globals[HOLD] ??= requestHold(agentId);
  const holder = { held, refused };
  hold.holders.add(holder);
  if (hold.granted) held();
  return () => {
    hold.holders.delete(holder);
    if (hold.holders.size === 0) hold.release();
  };
}

function requestHold(agentId: number): Hold {
  const { promise, resolve } = Promise.withResolvers<void>();
  const hold: Hold = {
    holders: new Set(),
    granted: false,
    release() {
      forget();
      // If it is not granted yet, it is freed as soon as it is
      resolve();
    },
  };
  /** Whoever comes next asks anew. */
  function forget(): void {
    if (globals[HOLD] === hold) globals[HOLD] = undefined;
  }
  locks!.request(lockName(agentId), {}, () => {
    hold.granted = true;
    for (const { held } of hold.holders) held();
    return promise;
  }).catch((error) => {
    forget();
    for (const { refused } of hold.holders) refused(error);
  });
  return hold;
}

/**
 * Waits for `sleep`, and calls `ended` if the agent ends first, or no longer holds its
 * lock. That is to wake the sleeper.
 */
export async function watchAgentDuring(
  sleep: Promise<void>,
  agentId: number | undefined,
  ended: (agentId: number) => void,
): Promise<void> {
  if (agentId === undefined || locks === undefined) return await sleep;
  const request = new AbortController();
  locks.request(
    lockName(agentId),
    { mode: "shared", signal: request.signal },
    () => ended(agentId),
    // Aborted below, or refused: then nobody can be watched here
  ).catch(() => {});
  try {
    await sleep;
  } finally {
    request.abort();
  }
}
