// Copyright 2026 the lazyinit authors. MIT license.

/**
 * What a worker can be doing, as rows, legend and log tell it.
 *
 * @module
 */

export type State =
  | "starting"
  | "initializing"
  | "waiting"
  | "late"
  | "done"
  | "failed"
  | "ending"
  | "ended";

interface Wording {
  /** Follows the name of a worker. */
  readonly one: string;
  /** Follows the number of workers. */
  readonly many: string;
  /** Whether nothing more is to come of it. */
  readonly settled: boolean;
}

export const WORDINGS: Readonly<Record<State, Wording>> = {
  starting: { one: "starts", many: "start", settled: false },
  initializing: { one: "initializes", many: "initialize", settled: false },
  waiting: { one: "waits", many: "wait", settled: false },
  late: {
    one: "is told it is late",
    many: "were told they are late",
    settled: false,
  },
  done: { one: "has the value", many: "have the value", settled: true },
  failed: { one: "failed", many: "failed", settled: true },
  ending: {
    one: "is being terminated",
    many: "are being terminated",
    settled: false,
  },
  ended: { one: "has ended", many: "have ended", settled: true },
};

export const STATES = Object.keys(WORDINGS) as State[];
