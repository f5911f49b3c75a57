// Copyright 2026 the lazyinit authors. MIT license.

/** Asks the explorer about the lock of an agent. */
type Ask = (
  operation: "lock" | "unlock",
  word: -1,
  a: number,
  b?: number,
) => number;

/** Web Locks that the explorer grants, when it chooses to. */
export interface ExploredLocks {
  request(
    name: string,
    options: { mode?: "exclusive" | "shared"; signal?: AbortSignal },
    granted: () => unknown,
  ): Promise<unknown>;
  /** Whether a request has neither been granted nor aborted. */
  readonly pending: boolean;
  /** Calls back who has made a request, if it has not been aborted. */
  grant(request: number): void;
  /** Drops all requests of a schedule that was abandoned. */
  forget(): void;
}

/** Creates the locks of a thread. Their names end with the number of an agent. */
export function createLocks(ask: Ask): ExploredLocks {
  const callbacks = new Map<number, () => void>();
  return {
    request(name, { mode, signal }, granted) {
      const lock = Number(/\d+$/.exec(name)![0]);
      const request = ask("lock", -1, lock, mode === "shared" ? 1 : 0);
      return new Promise((resolve, reject) => {
        function abort(): void {
          callbacks.delete(request);
          ask("unlock", -1, request);
          reject(signal!.reason);
        }
        async function call(): Promise<unknown> {
          signal?.removeEventListener("abort", abort);
          try {
            return await granted();
          } finally {
            ask("unlock", -1, request);
          }
        }
        callbacks.set(request, () => call().then(resolve, reject));
        signal?.addEventListener("abort", abort);
      });
    },
    get pending() {
      return callbacks.size > 0;
    },
    grant(request) {
      const callback = callbacks.get(request);
      callbacks.delete(request);
      callback?.();
    },
    forget() {
      callbacks.clear();
    },
  };
}
