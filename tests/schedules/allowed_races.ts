// Copyright 2026 the lazyinit authors. MIT license.

/*
 * The plain accesses that may race, by the names that the memory-model argument at
 * the top of `atomics.ts` gives them: what is allowed here must be argued for there.
 */

/** What a thread does while it reads or writes plainly, as far as it matters. */
export const ROLES = ["", "placing", "decoding"] as const;

export type Role = typeof ROLES[number];

/** Accesses that may race. The first entry that an access matches is the one that counts. */
export interface AllowedRace {
  readonly name: string;
  readonly access: "read" | "write";
  /** The words that are accessed, by name, `slot` for all of the slot; all words by default. */
  readonly words?: readonly string[];
  /** What the thread does meanwhile; whatever it does by default. */
  readonly role?: Role;
  /** Whether the thread must be the scenario's slow one. */
  readonly slow?: true;
  /**
   * The word that decides. What was read in a race must not be used, and this proves
   * it: the reader's next atomic operation on that word is a compare-exchange that
   * fails. By default it may be used.
   */
  readonly until?: string;
}

export const ALLOWED_RACES: readonly AllowedRace[] = [
  {
    name: "unclaimed",
    access: "read",
    role: "placing",
    until: "layout",
  },
  {
    // Read by an owner that was declared dead and lives, and so cannot publish
    name: "lost-owner",
    access: "read",
    words: ["slot", "length", "generation"],
    slow: true,
  },
  {
    name: "torn-decode",
    access: "read",
    words: ["slot", "length"],
    until: "state",
  },
  {
    name: "stale-state",
    access: "read",
    words: ["state"],
  },
  {
    // By an agent that was declared dead and lives
    name: "lost-owner",
    access: "write",
    slow: true,
  },
];
