// Copyright 2026 the lazyinit authors. MIT license.
// This module is browser compatible.

/*
 * How agents learn that another one has ended: each may hold a Web Lock that is
 * named after its id, in shared mode, once for all of its life or once for each
 * asynchronous initializer. The platform frees them when the agent ends. Whoever
 * gets the lock in exclusive mode knows that nobody holds it.
 *
 * A word says "announced" only while its owner holds the lock: it says so after the
 * lock is held, and no longer before the lock is released. So whoever has the lock
 * in exclusive mode and still finds a word that says so knows that the owner has
 * ended.
 */

/** What this uses of Web Locks, which not every platform has. */
interface Locks {
  request(
    name: string,
    options: { mode?: "shared"; signal: AbortSignal },
    granted: () => unknown,
  ): Promise<unknown>;
}

const { navigator } = globalThis as { navigator?: { locks?: Locks } };
const locks = navigator?.locks;

/**
 * Whether an announcement means something here. Node has Web Locks but, as of
 * 24.21, does not free those of workers that end; its workers have no such scope.
 */
export const canAnnounce: boolean = locks !== undefined &&
  "WorkerGlobalScope" in globalThis;

function lockName(agentId: number): string {
  return `@lazyinit/lazyinit agent ${agentId}`;
}

/** Holds the lock of this agent until the returned function is called. */
export function holdAgentLock(
  agentId: number,
  held: () => void,
  refused: (error: unknown) => void,
): () => void {
  const { promise, resolve } = Promise.withResolvers<void>();
  const request = new AbortController();
  const { signal } = request;
  locks!.request(lockName(agentId), { mode: "shared", signal }, () => {
    // Some grant what was aborted in the same moment
    if (!signal.aborted) held();
    return promise;
  }).catch(refused);
  return () => {
    request.abort();
    resolve();
  };
}

/**
 * Waits for `sleep`, and calls `ended` if the agent ends first. That is to wake the
 * sleeper.
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
    { signal: request.signal },
    () => ended(agentId),
    // Aborted below, or refused: then nobody can be watched here
  ).catch(() => {});
  try {
    await sleep;
  } finally {
    request.abort();
  }
}
