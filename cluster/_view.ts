// Copyright 2026 the lazyinit authors. MIT license.

import { invalid, show } from "../_checks.ts";
import type { Codec } from "../codec.ts";
import { LayoutMismatchError } from "../errors.ts";
import {
  decodeRecord,
  encodeRecord,
  type EntryRecord,
  NO_VALUE,
} from "./_entry.ts";
import { type Seen, UNSEEN } from "./_protocol.ts";
import type { Requests } from "./_requests.ts";
import { decodeValue } from "./_scratch.ts";
import { type Entry, PermanentStoreError } from "./store.ts";

/** The outcome of a write: its version, that it was refused, or that it cannot be known. */
export type Outcome = bigint | "refused" | "unknown";

/** How long a write may take. */
interface WriteOptions {
  /** Whether it has to be there before a lease is over. */
  readonly isUrgent?: boolean;
  /** Whether it goes on although the store has been silent for long. */
  readonly isPatient?: () => boolean;
}

/**
 * What a cell sees of its key, by its own requests and by the watch, and the outcome of its
 * writes: keeps invariants C4 to C7.
 */
export class View<T> {
  /** The value of what was seen last, if that is initialized. */
  value: Readonly<T> | undefined = undefined;
  seen: Seen = UNSEEN;
  /** The highest version that was seen (C6). */
  #highest = 0n;
  readonly #requests: Requests;
  readonly #codec: Codec<T>;
  /** Wakes the calls that wait until something is seen, or until their turn comes. */
  readonly #sleepers = new Set<() => void>();
  #watching = false;
  /** The look that has begun, and the next one, for all calls that are made meanwhile. */
  #look: Promise<void> | undefined = undefined;
  #nextLook: Promise<void> | undefined = undefined;

  constructor(requests: Requests, codec: Codec<T>) {
    this.#requests = requests;
    this.#codec = codec;
  }

  get isInitialized(): boolean {
    return this.seen.record?.phase === "initialized";
  }

  /** Throws the reason if the entry that was seen last cannot be used. */
  assertUsable(): void {
    if (this.seen.failure !== undefined) throw this.seen.failure;
  }

  /**
   * C1: writes `record` over the entry of version `expected`, and settles the outcome (C5).
   * Goes on after a long silence as long as `isPatient` says so.
   */
  async write(
    record: EntryRecord,
    expected: bigint,
    { isUrgent = false, isPatient }: WriteOptions = {},
  ): Promise<Outcome> {
    const bytes = encodeRecord(record);
    const hasLanded = () => this.seen.record?.nonce === record.nonce;
    let sent = false;
    return await this.#requests.persist(async () => {
      const again = sent;
      if (again) {
        if (!hasLanded()) await this.lookNow();
        if (hasLanded()) return this.seen.version;
        if (this.seen.version !== expected) return "unknown";
      }
      sent = true;
      const version = await this.#requests.set(bytes, expected, isUrgent);
      if (version !== null) {
        assertVersion(version, expected + 1n);
        this.#observe({ value: bytes, version }, expected);
        return version;
      }
      // This one may have landed, and its repetition by the network been refused; or the
      // one before, after the look
      await this.lookNow();
      if (hasLanded()) return this.seen.version;
      if (this.seen.version === expected) {
        throw new PermanentStoreError(
          `Cannot use the answer of the store as 'set' must replace the entry of version ${
            show(expected)
          }: it has refused, and 'get' still tells of that version`,
        );
      }
      return again ? "unknown" : "refused";
    }, isPatient);
  }

  /**
   * Asks the store what is under the key now. The request begins after the call, as the
   * answer to an earlier one may be of an earlier moment.
   */
  lookNow(): Promise<void> {
    return this.#nextLook ??= (this.#look ?? Promise.resolve())
      .catch(() => {})
      .then(() => {
        this.#nextLook = undefined;
        return this.#look = this.#requests.persist(async () => {
          const highest = this.#highest;
          const entry = await this.#requests.get();
          if (entry !== null) assertEntry(entry, highest);
          this.#observe(entry, highest);
        }).finally(() => this.#look = undefined);
      });
  }

  /** Follows the changes that the store reports until the cell is disposed. */
  async watch(): Promise<void> {
    if (this.#watching) return;
    this.#watching = true;
    const { end } = this.#requests;
    for (let failures = 0; !end.aborted; failures++) {
      let events = 0;
      try {
        for await (const entry of this.#requests.watch()) {
          if (end.aborted) return;
          // The first comes with the watch: only a second shows that the watch works
          if (++events > 1) failures = 0;
          // C6: a report of no entry, or of an unknown one, only makes it look
          if (entry === null) {
            this.lookNow().catch((error) => this.#doubt(error));
          } else {
            assertEntry(entry, 0n);
            this.#observe(entry, this.#highest);
          }
        }
      } catch (error) {
        if (this.#doubt(error)) break;
      }
      await this.#requests.pause(failures).catch(() => {});
    }
    // The next call finds out why, and begins again
    this.#watching = false;
  }

  /** When a waiter looks itself, whatever its watch says: at least once in two leases. */
  nextLookAt(): number {
    const { clock: { now, random }, lease } = this.#requests;
    return now() + lease * (1 + random());
  }

  /** Sleeps until something is seen, or it is over; or, if neither is until `due`, looks. */
  async sleepOrLook(
    due: number,
    signal: AbortSignal | undefined,
    isOver: () => boolean = () => false,
  ): Promise<void> {
    const { seen } = this;
    while (this.seen === seen && !isOver()) {
      // C4: a look before it is due, which may well succeed, makes nothing due
      const isDue = this.#requests.clock.now() >= due;
      if (isDue || this.#requests.refused) {
        await this.#requests.during(this.lookNow(), signal);
        if (isDue) return;
      } else await this.sleep(due, signal);
    }
  }

  /** Sleeps until something is seen, the turn of another call comes, or it is `due`. */
  sleep(due: number, signal: AbortSignal | undefined): Promise<void> {
    let wake!: () => void;
    const woken = new Promise<void>((resolve) => wake = resolve);
    this.#sleepers.add(wake);
    const timer = this.#requests.timer(wake, due);
    return this.#requests.during(woken, signal).finally(() => {
      this.#sleepers.delete(wake);
      this.#requests.clock.clearTimeout(timer);
    });
  }

  /** Lets all sleeping calls judge again. */
  wake(): void {
    for (const wake of this.#sleepers) wake();
  }

  /** Learns what is under the key from a request that began when `highest` was the highest version. */
  #observe(entry: Entry | null, highest: bigint): void {
    if (entry === null) {
      // C6: only if nothing was seen since. A second absence is nothing new
      if (highest !== this.#highest) return;
      if (this.seen.version === 0n && this.seen !== UNSEEN) return;
      const { generation, version } = this.seen;
      this.#accept({
        record: undefined,
        version: 0n,
        // C7: an operator has deleted it
        generation: version === 0n ? generation : generation + 1,
      });
      return;
    }
    const { version } = entry;
    // C6
    if (version <= this.#highest) return;
    this.#highest = version;
    try {
      const record = decodeRecord(entry.value);
      if (record.tag !== this.#codec.tag) {
        throw new LayoutMismatchError(
          `Cannot use ${this.#requests.label} as its codec must be ${record.tag}: current value is ${this.#codec.tag}`,
        );
      }
      const { generation, phase, value } = record;
      this.#accept(
        { record: withoutValue(record), version, generation },
        phase === "initialized" ? decodeValue(this.#codec, value) : undefined,
      );
    } catch (failure) {
      const { generation } = this.seen;
      this.#accept({ record: undefined, version, generation, failure });
    }
  }

  #accept(
    seen: Omit<Seen, "since" | "jitter">,
    value: Readonly<T> | undefined = undefined,
  ): void {
    const { now, random } = this.#requests.clock;
    this.seen = { ...seen, since: now(), jitter: random() };
    this.value = value;
    this.wake();
  }

  /** Makes the waiters look, and so get the error, if the store refuses permanently. */
  #doubt(error: unknown): boolean {
    if (!(error instanceof PermanentStoreError)) return false;
    this.#requests.refused = true;
    this.wake();
    return true;
  }
}

/** What is remembered of an entry: the value is kept decoded. */
function withoutValue(record: EntryRecord): EntryRecord {
  return { ...record, value: NO_VALUE };
}

/** Throws unless a store may answer with `version` after it has reported `least`. */
function assertVersion(
  version: unknown,
  least: bigint,
): asserts version is bigint {
  if (typeof version === "bigint" && version > 0n && version >= least) return;
  throw new PermanentStoreError(
    `Cannot use the answer of the store as 'version' must be a bigint above 0 that never decreases: current value is ${
      show(version)
    }${least > 0n ? ` after ${show(least)}` : ""}`,
  );
}

function assertEntry(entry: unknown, least: bigint): asserts entry is Entry {
  const { value, version } = Object(entry);
  if (!ArrayBuffer.isView(value) || Object(value).BYTES_PER_ELEMENT !== 1) {
    throw new PermanentStoreError(
      invalid("use the answer of the store", "value", "be a Uint8Array", value),
    );
  }
  assertVersion(version, least);
}
