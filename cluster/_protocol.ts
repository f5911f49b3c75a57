// Copyright 2026 the lazyinit authors. MIT license.

/*
 * What a cell knows about its key, and what it may write next. This module has no timers
 * and makes no requests: `cluster_lazy_init.ts` does, and holds the invariants C1 to C7.
 *
 *                    begin                       publish
 *   uninitialized ──────────▶ initializing ──────────────────▶ initialized
 *     ▲  ▲  ▲                   │  │  ▲ │ beat, or take over:        │
 *     │  │  └───────────────────┘  │  └─┘ generation + 1             │
 *     │  │   roll back             │                                 │
 *     │  └─────────────────────────┘                                 │
 *     │   reset after the lease: generation + 1                      │
 *     └──────────────────────────────────────────────────────────────┘
 *                   reset: generation + 1
 *
 * A missing entry counts as an uninitialized one.
 */

import { type EntryRecord, NO_VALUE } from "./_entry.ts";
import type { Encoded } from "./_scratch.ts";

/** What a cell has seen last of its key. */
export interface Seen {
  /** What the entry says; `undefined` if there is none, or none that can be used. */
  readonly record: EntryRecord | undefined;
  /** The version of the entry, 0 if there is none: what the next write replaces (C1). */
  readonly version: bigint;
  /** The generation of the entry, or of the next one if there is none. */
  readonly generation: number;
  /** When this very entry was seen first, by the clock of this process (C4). */
  readonly since: number;
  /** From 0 to 1, drawn at random, so that not all processes act at once. */
  readonly jitter: number;
  /** Why the entry cannot be used. */
  readonly failure?: unknown;
}

/** The part of a lease over which take-overs are spread. */
const TAKE_OVER_SPREAD = 0.1;
/** How long the others wait after a failed run, in ms; doubles with each failure in a row. */
const FIRST_BACKOFF = 10;
/** The maximum of that, as a part of a lease. */
const MAX_BACKOFF = 1 / 3;

/** What a cell has seen before it has looked. */
export const UNSEEN: Seen = {
  record: undefined,
  version: 0n,
  generation: 0,
  since: 0,
  jitter: 0,
};

/** The time from which a run may begin over what was seen; -Infinity if at once. */
export function dueAt(
  { record, since, jitter }: Seen,
): number {
  if (record?.phase === "initializing") {
    // C4: from the first sight of this very entry
    return since + record.lease * (1 + jitter * TAKE_OVER_SPREAD);
  }
  if (record === undefined || record.failures === 0) return -Infinity;
  const backoff = Math.min(
    FIRST_BACKOFF * 2 ** (record.failures - 1),
    record.lease * MAX_BACKOFF,
  );
  return since + backoff * (1 + jitter) / 2;
}

/** The first entry of a run, over one that is uninitialized or whose lease is over. */
export function begin(
  { record, generation }: Seen,
  run: Pick<EntryRecord, "owner" | "lease" | "tag" | "nonce">,
): EntryRecord {
  const takesOver = record?.phase === "initializing";
  return {
    phase: "initializing",
    generation: takesOver ? generation + 1 : generation,
    failures: (record?.failures ?? 0) + (takesOver ? 1 : 0),
    value: NO_VALUE,
    ...run,
  };
}

/** The same run, still alive: another nonce makes it another entry. */
export function beat(own: EntryRecord, nonce: bigint): EntryRecord {
  return { ...own, nonce };
}

/** The value of a run. */
export function publish(
  own: EntryRecord,
  value: Encoded,
  nonce: bigint,
): EntryRecord {
  return { ...own, phase: "initialized", failures: 0, value, nonce };
}

/** What a run leaves behind if it has failed, or was called off before it began. */
export function rollBack(
  own: EntryRecord,
  failed: boolean,
  nonce: bigint,
): EntryRecord {
  const failures = own.failures + (failed ? 1 : 0);
  return { ...own, phase: "uninitialized", failures, nonce };
}

/** Without a value, or without the owner whose lease is over. C7: it is not deleted. */
export function reset(record: EntryRecord, nonce: bigint): EntryRecord {
  const { phase, failures, generation } = record;
  return {
    ...record,
    phase: "uninitialized",
    generation: generation + 1,
    failures: phase === "initializing" ? failures + 1 : 0,
    value: NO_VALUE,
    nonce,
  };
}
