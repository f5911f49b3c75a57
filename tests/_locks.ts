// Copyright 2026 the lazyinit authors. MIT license.

interface LockInfo {
  readonly name: string;
  readonly mode: "exclusive" | "shared";
}

interface Locks {
  query(): Promise<{ held: LockInfo[]; pending: LockInfo[] }>;
  request<R>(
    name: string,
    options: { signal?: AbortSignal },
    granted: () => R,
  ): Promise<Awaited<R>>;
}

/** The Web Locks of the platform, which Deno has but does not declare. */
export const { locks } = navigator as unknown as { locks: Locks };

/** The name of the lock by which an agent announces its life. */
export function lockName({ id }: { id: number }): string {
  return `@lazyinit/lazyinit agent ${id}`;
}

/** Whether somebody waits for the end of an agent, or for it to release its lock. */
export async function isWatched(agent: { id: number }): Promise<boolean> {
  const { pending } = await locks.query();
  // In exclusive mode, it asks for the lock itself
  return pending.some(({ name, mode }) =>
    name === lockName(agent) && mode === "shared"
  );
}

/** Whether an agent has announced its life, and neither ended nor taken that back. */
export async function isHeld(agent: { id: number }): Promise<boolean> {
  const { held } = await locks.query();
  return held.some(({ name, mode }) =>
    name === lockName(agent) && mode === "exclusive"
  );
}

/** Holds the lock of an agent, as if it lived, until it is released. */
export function live(agent: { id: number }): Promise<{ end(): void }> {
  const { promise, resolve } = Promise.withResolvers<void>();
  return new Promise((granted) => {
    locks.request(lockName(agent), {}, () => {
      granted({ end: resolve });
      return promise;
    });
  });
}
