// Copyright 2026 the lazyinit authors. MIT license.

import type { Codec } from "../codec.ts";
import { OwnerLostError } from "../errors.ts";
import type { InitResult } from "../mod.ts";
import {
  decodeRecord,
  encodeRecord,
  type EntryRecord,
  recordByteLength,
} from "./_entry.ts";
import { beat, begin, publish, rollBack, type Seen } from "./_protocol.ts";
import type { Requests } from "./_requests.ts";
import { decodeValue, encodeValue } from "./_scratch.ts";
import type { View } from "./_view.ts";
import { runWithin } from "./_within.ts";
import { PermanentStoreError } from "./store.ts";

/** The cell is to be judged again, as another process was faster. */
export const NOT_YET = Symbol("not yet");
/** Another process has taken over. */
export const LOST = Symbol("lost");
const STOPPED = Symbol("stopped");

const BEATS_PER_LEASE = 3;

interface Context {
  readonly signal: AbortSignal;
  readonly token: bigint;
}

type Initializer<T> = (context: Context) => T | PromiseLike<T>;

/** What an initializer has made: the entry to publish, or an error. */
type Made = { readonly ok: true; readonly record: EntryRecord } | Failed;

interface Failed {
  readonly ok: false;
  readonly error: unknown;
}

/** The error of a call whose run has lost the cell. */
export function ownerLost(label: string): OwnerLostError {
  return new OwnerLostError(
    `Cannot publish the value of ${label} as this process must own it: another has taken over`,
  );
}

/** A run of an initializer of this process: keeps invariants C2 and C3. */
export class Run<T> {
  readonly #requests: Requests;
  readonly #view: View<T>;
  readonly #codec: Codec<T>;
  /** The last entry that it has written, and its version (C2). */
  #record: EntryRecord;
  #version = 0n;
  /** When that was sent, which is not later than when it was written. */
  #sent: number;
  /** Why there is nothing to publish. */
  #failed: Failed | undefined = undefined;

  /** Prepares to begin over what was seen; `take` writes it. */
  constructor(requests: Requests, view: View<T>, codec: Codec<T>, seen: Seen) {
    const { clock, lease } = requests;
    this.#requests = requests;
    this.#view = view;
    this.#codec = codec;
    this.#record = begin(seen, {
      owner: clock.nonce(),
      lease,
      tag: codec.tag,
      nonce: clock.nonce(),
    });
    this.#sent = clock.now();
  }

  /** Takes the cell over what was seen, and runs the initializer unless `signal` is aborted. */
  async take(
    seen: Seen,
    initializer: Initializer<T>,
    signal: AbortSignal | undefined,
  ): Promise<InitResult<T> | typeof LOST | typeof NOT_YET> {
    // C1: over what was judged: uninitialized, or silent for its lease (C4)
    const version = await this.#view.write(this.#record, seen.version);
    if (typeof version !== "bigint") return NOT_YET;
    this.#version = version;
    if (!signal?.aborted) return await this.#own(initializer);
    await this.#rollBack(false);
    return NOT_YET;
  }

  /** After the disposal: rolls back the last of its entries that has landed. */
  async giveUp(): Promise<void> {
    const { owner } = this.#record;
    // If this fails, its lease has to pass
    await this.#requests.replace((bytes) => {
      const record = decodeRecord(bytes);
      if (record.phase !== "initializing" || record.owner !== owner) return;
      // C2: this run has written it
      return encodeRecord(rollBack(record, false, this.#nonce()));
    });
  }

  /** Runs the initializer while it owns the cell, and publishes or rolls back. */
  async #own(
    initializer: Initializer<T>,
  ): Promise<InitResult<T> | typeof LOST | typeof NOT_YET> {
    const { clock, lease, end, label } = this.#requests;
    const running = new AbortController();
    const stop = new AbortController();
    const token = this.#version;
    try {
      // Learning that it owns the cell may have taken so long that another has taken over
      if (clock.now() - this.#sent >= lease && !await this.#beat()) {
        return NOT_YET;
      }
      const beats = this.#beatUntil(stop.signal);
      const made = await this.#requests.during(
        Promise.race([
          this.#make(initializer, { signal: running.signal, token }),
          beats,
        ]),
        undefined,
      );
      stop.abort();
      if (typeof made === "object" && !made.ok) this.#failed = made;
      // The last beat is settled before this run writes anything over it (C5)
      if (made === LOST || made === STOPPED || await beats === LOST) {
        running.abort(ownerLost(label));
        return LOST;
      }
      return await this.#finish(made);
    } catch (error) {
      running.abort(error);
      if (this.#failed === undefined || end.aborted) throw error;
      // It could not be rolled back, so its lease has to pass
      return { ok: false, reason: "during-init", error: this.#failed.error };
    } finally {
      stop.abort();
    }
  }

  /** Runs the initializer and encodes its value. Never rejects. */
  async #make(initializer: Initializer<T>, context: Context): Promise<Made> {
    try {
      const { owner } = this.#record;
      const value = await runWithin(owner, () => initializer(context));
      const encoded = encodeValue(this.#codec, value);
      const record = publish(this.#record, encoded, this.#nonce());
      const { maxByteLength, label } = this.#requests;
      const byteLength = recordByteLength(record);
      if (byteLength > maxByteLength) {
        throw new RangeError(
          `Cannot publish the value of ${label} as its entry must take at most ${maxByteLength} bytes in this store: it takes ${byteLength}`,
        );
      }
      return { ok: true, record };
    } catch (error) {
      return { ok: false, error };
    }
  }

  /** Publishes what was made, or rolls back. */
  async #finish(made: Made): Promise<InitResult<T> | typeof LOST> {
    if (made.ok) {
      try {
        // C2: over its own last beat. C3: a beat is not an initialized entry
        if (!await this.#write(made.record)) return LOST;
        const { isInitialized, seen, value } = this.#view;
        return {
          ok: true,
          value: isInitialized && seen.version === this.#version
            ? value as Readonly<T>
            : decodeValue(this.#codec, made.record.value),
        };
      } catch (error) {
        if (!(error instanceof PermanentStoreError)) throw error;
        this.#failed = { ok: false, error };
        return await this.#finish(this.#failed);
      }
    }
    const { error } = made;
    return await this.#rollBack(true)
      ? { ok: false, reason: "during-init", error }
      : LOST;
  }

  /** Beats until it is told to stop, or the run has lost the cell. */
  async #beatUntil(
    stop: AbortSignal,
  ): Promise<typeof STOPPED | typeof LOST> {
    const { lease } = this.#requests;
    for (;;) {
      await this.#requests.sleep(this.#sent + lease / BEATS_PER_LEASE, stop);
      if (stop.aborted) return STOPPED;
      if (!await this.#beat()) return LOST;
    }
  }

  /** Tells the others that the run lives. Returns whether it still owns the cell. */
  async #beat(): Promise<boolean> {
    // C2: over its own last beat
    return await this.#write(beat(this.#record, this.#nonce()), true);
  }

  /** Gives the cell up. Returns whether it still owned it. */
  async #rollBack(failed: boolean): Promise<boolean> {
    // C2: over its own last beat
    return await this.#write(rollBack(this.#record, failed, this.#nonce()));
  }

  /** C2: writes over the last entry of the run, and returns whether that was still there. */
  async #write(record: EntryRecord, isUrgent = false): Promise<boolean> {
    const sent = this.#requests.clock.now();
    // A run with something to publish does not give up in an outage: the store is also
    // silent for all processes that could take over
    const isPatient = () => this.#failed === undefined;
    // All its earlier writes are settled, so a different entry is not its own (C5)
    const version = await this.#view.write(record, this.#version, {
      isUrgent,
      isPatient,
    });
    if (typeof version !== "bigint") return false;
    this.#record = record;
    this.#version = version;
    this.#sent = sent;
    return true;
  }

  #nonce(): bigint {
    return this.#requests.clock.nonce();
  }
}
