// Copyright 2026 the lazyinit authors. MIT license.

import type { Entry, Store } from "../../cluster/mod.ts";

/** A store of one process that counts, and that can be told to misbehave. */
export class MemoryStore implements Store {
  readonly entries = new Map<string, Entry>();
  readonly #watchers = new Set<() => void>();
  maxByteLength = Infinity;
  /** Whether its watches tell of nothing, so that only requests count. */
  deaf = false;
  version = 0n;
  gets = 0;
  sets = 0;
  /** Replaces the answer of every request. */
  answer: (() => unknown) | undefined;

  get(key: string): Promise<Entry | null> {
    this.gets++;
    return this.#answer(() => this.entries.get(key) ?? null);
  }

  set(key: string, value: Uint8Array, expected: bigint) {
    this.sets++;
    return this.#answer(() => {
      if ((this.entries.get(key)?.version ?? 0n) !== expected) return null;
      const version = ++this.version;
      this.put(key, { value, version });
      return version;
    });
  }

  put(key: string, entry: Entry): void {
    this.entries.set(key, entry);
    for (const wake of this.#watchers) wake();
  }

  async *watch(key: string, signal: AbortSignal) {
    let woken = Promise.withResolvers<void>();
    const wake = () => woken.resolve();
    this.#watchers.add(wake);
    signal.addEventListener("abort", wake);
    while (!signal.aborted) {
      woken = Promise.withResolvers();
      if (!this.deaf) yield this.entries.get(key) ?? null;
      await woken.promise;
    }
    this.#watchers.delete(wake);
  }

  async #answer<R>(work: () => R): Promise<R> {
    await null;
    return this.answer === undefined ? work() : await this.answer() as R;
  }
}
