// Copyright 2026 the lazyinit authors. MIT license.

import type { Clock } from "./_clock.ts";
import { MAX_LEASE } from "./_entry.ts";
import { type Entry, PermanentStoreError, type Store } from "./store.ts";

/** Well below a beat, so that a lost request is sent again before the lease is over. */
const REQUESTS_PER_LEASE = 6;
/** After this many leases without an answer, calls reject. */
const MAX_SILENCE = 3;
/** How long to wait after a request that failed, in ms; doubles with each failure in a row. */
const FIRST_RETRY = 10;

/**
 * How a cell asks its store: how long a request may take, when it is sent again, and when a
 * call gives up. Also, how calls end when the cell is disposed.
 */
export class Requests {
  /** How errors refer to the cell. */
  readonly label: string;
  readonly lease: number;
  readonly clock: Clock;
  /** Whether the store has permanently refused what the watch has asked for. */
  refused = false;
  readonly #store: Store;
  readonly #key: string;
  /** Aborted by the disposal. */
  readonly #end = new AbortController();
  /** What the disposal calls; many listeners on one signal would make Node warn. */
  readonly #ends = new Set<() => void>();
  /** How long a request that is not urgent may take, in ms: longer after one was too late. */
  #patience: number;
  /** Since when every request has failed. */
  #silentSince: number | undefined = undefined;
  /** The write that was sent last, which may land after its call has ended. */
  #sent: Promise<unknown> = Promise.resolve();

  constructor(
    store: Store,
    { key, label, lease, clock }: {
      readonly key: string;
      readonly label: string;
      readonly lease: number;
      readonly clock: Clock;
    },
  ) {
    this.#store = store;
    this.#key = key;
    this.label = label;
    this.lease = lease;
    this.clock = clock;
    this.#patience = this.#brief;
  }

  /** Aborted when the cell is disposed. */
  get end(): AbortSignal {
    return this.#end.signal;
  }

  get maxByteLength(): number {
    return this.#store.maxByteLength ?? Infinity;
  }

  /** How long a request may take at first, and an urgent one always, in ms. */
  get #brief(): number {
    return this.lease / REQUESTS_PER_LEASE;
  }

  /** Begins a call: throws if the cell is disposed. */
  begin(): void {
    this.end.throwIfAborted();
    // A store that was silent for an earlier call may have come back since
    if (this.#ends.size === 0) this.#silentSince = undefined;
  }

  /** Ends all calls and requests. */
  dispose(): void {
    this.#end.abort(
      new DOMException(
        `Cannot use ${this.label} as it must not be disposed: it was disposed`,
        "InvalidStateError",
      ),
    );
    for (const end of this.#ends) end();
  }

  /** One request for the entry. */
  get(): Promise<Entry | null> {
    return this.#request(() => this.#store.get(this.#key), this.#patience);
  }

  /** One request to write over the entry of version `expected`. */
  set(
    bytes: Uint8Array,
    expected: bigint,
    isUrgent: boolean,
  ): Promise<bigint | null> {
    return this.#request(() => {
      const answer = this.#store.set(this.#key, bytes, expected);
      this.#sent = Promise.resolve(answer).catch(() => {});
      return answer;
    }, isUrgent ? this.#brief : this.#patience);
  }

  watch(): AsyncIterable<Entry | null> {
    return this.#store.watch(this.#key, this.end);
  }

  /**
   * After the disposal, replaces the entry by what `judge` makes of it, if it makes
   * something. Tries once.
   */
  async replace(
    judge: (value: Uint8Array) => Uint8Array | undefined,
  ): Promise<void> {
    await this.#answer(async () => {
      // A request that was sent before may land
      await this.#sent;
      const entry = await this.#store.get(this.#key);
      const bytes = entry === null ? undefined : judge(entry.value);
      // C1: over the entry that was judged
      if (bytes) await this.#store.set(this.#key, bytes, entry!.version);
    }, this.#brief).catch(() => {});
  }

  /**
   * Sends requests until the store answers one, or until it is known that it will answer
   * none. Goes on after a long silence as long as `isPatient` says so.
   */
  async persist<R>(
    attempt: () => Promise<R>,
    isPatient: () => boolean = () => false,
  ): Promise<R> {
    for (let failures = 0;; failures++) {
      try {
        return await attempt();
      } catch (error) {
        this.end.throwIfAborted();
        if (error instanceof PermanentStoreError) throw error;
        const now = this.clock.now();
        this.#silentSince ??= now;
        const isSilent = now - this.#silentSince >= MAX_SILENCE * this.lease;
        if (isSilent && !isPatient()) throw error;
        await this.pause(failures);
      }
    }
  }

  /** Waits after a request that has failed: longer, the more have failed. */
  async pause(failures: number): Promise<void> {
    const { now, random } = this.clock;
    const most = Math.min(FIRST_RETRY * 2 ** failures, this.#brief);
    await this.sleep(now() + most * (1 + random()) / 2, this.end);
    this.end.throwIfAborted();
  }

  /** Sleeps until it is `due`, or `signal` is aborted. */
  sleep(due: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        this.clock.clearTimeout(timer);
        signal.removeEventListener("abort", wake);
        resolve();
      };
      const timer = this.timer(wake, due);
      signal.addEventListener("abort", wake);
      if (signal.aborted) wake();
    });
  }

  /** Calls `wake` when it is `due`, or earlier if no timer counts that far. */
  timer(wake: () => void, due: number): unknown {
    const { now, setTimeout } = this.clock;
    return setTimeout(wake, Math.min(Math.max(due - now(), 0), MAX_LEASE));
  }

  /** Settles as `promise` does, unless the caller leaves or the cell is disposed first. */
  during<R>(promise: Promise<R>, signal: AbortSignal | undefined): Promise<R> {
    let abort!: () => void;
    let end!: () => void;
    return new Promise<R>((resolve, reject) => {
      abort = () => reject(signal!.reason);
      end = () => reject(this.end.reason);
      if (signal?.aborted) abort();
      if (this.end.aborted) end();
      signal?.addEventListener("abort", abort);
      this.#ends.add(end);
      promise.then(resolve, reject);
    }).finally(() => {
      this.#ends.delete(end);
      signal?.removeEventListener("abort", abort);
    });
  }

  /** One request. Its answer shows that the store is there. */
  async #request<R>(send: () => Promise<R>, patience: number): Promise<R> {
    this.end.throwIfAborted();
    const answer = await this.#answer(send, patience);
    this.refused = false;
    this.#silentSince = undefined;
    this.#patience = this.#brief;
    return answer;
  }

  /** One request. It is given up if the cell is disposed, or if it takes too long. */
  #answer<R>(send: () => Promise<R>, patience: number): Promise<R> {
    const { setTimeout, clearTimeout } = this.clock;
    let timer: unknown;
    let end!: () => void;
    return new Promise<R>((resolve, reject) => {
      timer = setTimeout(() => {
        // In case it was still on its way, such as with a large value
        this.#patience = Math.min(2 * this.#patience, this.lease);
        reject(
          new DOMException(
            `Cannot use ${this.label} as its store must answer within ${
              Math.round(patience)
            } milliseconds: it has not`,
            "TimeoutError",
          ),
        );
      }, patience);
      end = () => reject(this.end.reason);
      this.#ends.add(end);
      (async () => await send())().then(resolve, reject);
    }).finally(() => {
      clearTimeout(timer);
      this.#ends.delete(end);
    });
  }
}
