// Copyright 2026 the lazyinit authors. MIT license.

/** Runs `body` as on a browser's main thread, where `Atomics.wait` always throws. */
export function withoutBlocking(body: () => void): void {
  const { wait } = Atomics;
  Atomics.wait = () => {
    throw new TypeError("Atomics.wait cannot be called in this context");
  };
  try {
    body();
  } finally {
    Atomics.wait = wait;
  }
}

/** Runs `body` as in a browser that has no `Atomics.waitAsync`. */
export async function withoutWaitAsync(
  body: () => Promise<void>,
): Promise<void> {
  const { waitAsync } = Atomics;
  delete (Atomics as Partial<typeof Atomics>).waitAsync;
  try {
    await body();
  } finally {
    Atomics.waitAsync = waitAsync;
  }
}
