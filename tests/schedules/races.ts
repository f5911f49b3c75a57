// Copyright 2026 the lazyinit authors. MIT license.

/*
 * Finds data races in a schedule: two accesses to one word by different threads, at
 * least one of which is plain and at least one of which writes, that nothing orders.
 *
 * What orders them is happens-before as ECMAScript defines it, kept as vector clocks.
 * A thread's operations are ordered as it makes them, and all of them come after what
 * `prepare` has written. An atomic read is ordered after the atomic write that it
 * reads from: a word keeps the clock of that write, and forgets it at a plain write,
 * from which nobody learns anything. A compare-exchange that fails is a read. Who was
 * asleep and was notified comes after the notification, as both enter the critical
 * section of the word's waiters; an asynchronous waiter is told by a job instead,
 * from which it learns nothing here. Who has seen that a thread ended comes after
 * all that it did.
 *
 * ECMAScript calls a read and a write a race only if the one reads from the other.
 * This does not ask: in another order it would.
 *
 * The words are 32 bits wide, and accesses to different bytes of a word count as
 * accesses to one place.
 */

import { ALLOWED_RACES, type AllowedRace, type Role } from "./allowed_races.ts";
import { Clock } from "./clocks.ts";

/** How a word is accessed; from {@linkcode UNDECIDED} on, one for each allowed race with `until`. */
const KINDS = ["plain read", "plain write", "atomic read", "atomic write"];
const PLAIN_READ = 0;
const PLAIN_WRITE = 1;
const ATOMIC_READ = 2;
const ATOMIC_WRITE = 3;
const UNDECIDED = 4;

/** Reads that may have raced, if what they have read is not used. */
const undecided = ALLOWED_RACES.filter(({ until }) => until !== undefined);
const KIND_COUNT = UNDECIDED + undecided.length;
const READS = [PLAIN_READ, ...undecided.map((_, i) => UNDECIDED + i)];

/** The kinds that conflict with a kind. */
function conflictsOf(kind: number): readonly number[] {
  switch (kind) {
    case PLAIN_WRITE:
      return [...READS, PLAIN_WRITE, ATOMIC_READ, ATOMIC_WRITE];
    case ATOMIC_READ:
      return [PLAIN_WRITE];
    case ATOMIC_WRITE:
      return [...READS, PLAIN_WRITE];
    default:
      return [PLAIN_WRITE, ATOMIC_WRITE];
  }
}

const conflicts = Array.from({ length: KIND_COUNT }, (_, i) => conflictsOf(i));

/** What races depend on in a scenario. */
export interface RacingThreads {
  readonly threads: number;
  readonly words: readonly string[];
  readonly slow?: number;
}

/** The data races of one schedule after the other. */
export class Races {
  readonly #threads: number;
  readonly #words: readonly string[];
  readonly #nameOf: (word: number) => string;
  readonly #slow: number | undefined;
  /** What each thread knows. */
  readonly #clocks: readonly Clock[];
  /** What is learnt from each word by who reads it. */
  readonly #released: readonly Clock[];
  /** What each thread learns when it wakes. */
  readonly #notified: readonly Clock[];
  /** The last access of each kind to each word by each thread, by its number in that thread. */
  readonly #accesses: Int32Array;
  /** In which step of the schedule that was. */
  readonly #steps: Int32Array;
  /** Races that are none if what was read is not used, of each thread and undecided kind. */
  readonly #pending: (string | undefined)[];
  #found: string | undefined;

  constructor(
    { threads, words, slow }: RacingThreads,
    nameOf: (word: number) => string,
  ) {
    this.#nameOf = nameOf;
    this.#threads = threads;
    this.#words = words;
    this.#slow = slow;
    const clocks = (length: number) =>
      Array.from({ length }, () => new Clock(threads));
    this.#clocks = clocks(threads);
    this.#released = clocks(words.length);
    this.#notified = clocks(threads);
    this.#accesses = new Int32Array(words.length * KIND_COUNT * threads);
    this.#steps = new Int32Array(this.#accesses.length);
    this.#pending = new Array(KIND_COUNT * threads);
  }

  /** The first race of the schedule, if there is one. */
  get found(): string | undefined {
    return this.#found;
  }

  /** Begins another schedule. */
  reset(): void {
    for (const clock of this.#clocks) clock.clear();
    for (const clock of this.#released) clock.clear();
    for (const clock of this.#notified) clock.clear();
    this.#accesses.fill(0);
    this.#pending.fill(undefined);
    this.#found = undefined;
  }

  /** A thread reads a word plainly. */
  read(thread: number, word: number, step: number, role: Role): void {
    const allowed = this.#allowed("read", thread, word, role);
    if (allowed === undefined) {
      this.#access(PLAIN_READ, thread, word, step);
    } else if (allowed.until !== undefined) {
      const kind = UNDECIDED + undecided.indexOf(allowed);
      this.#access(kind, thread, word, step);
    }
  }

  /** A thread writes to a word plainly. */
  write(thread: number, word: number, step: number, role: Role): void {
    if (this.#allowed("write", thread, word, role) === undefined) {
      this.#access(PLAIN_WRITE, thread, word, step);
    }
    this.#released[word]!.clear();
  }

  /** A thread loads a word atomically, or its compare-exchange fails. */
  load(thread: number, word: number, step: number): void {
    this.#clocks[thread]!.join(this.#released[word]!);
    this.#access(ATOMIC_READ, thread, word, step);
  }

  /** A thread stores a word atomically. */
  store(thread: number, word: number, step: number): void {
    this.#access(ATOMIC_WRITE, thread, word, step);
    this.#released[word]!.assign(this.#clocks[thread]!);
  }

  /** A thread reads and replaces a word in one operation. */
  modify(thread: number, word: number, step: number): void {
    this.#clocks[thread]!.join(this.#released[word]!);
    this.store(thread, word, step);
  }

  /** A thread has made an atomic operation on a word, which may decide on what it has read. */
  decide(thread: number, word: number, discards: boolean): void {
    for (const [index, { name, until }] of undecided.entries()) {
      if (this.#nameOf(word) !== until) continue;
      const kind = UNDECIDED + index;
      const pending = this.#pending[kind * this.#threads + thread];
      if (!discards && pending !== undefined) {
        this.#found ??= `${pending} (${name}: the value may be used)`;
      }
      this.#settle(kind, thread, discards);
    }
  }

  /** A thread notifies another one, which sleeps. */
  notify(thread: number, sleeper: number): void {
    this.#notified[sleeper]!.assign(this.#clocks[thread]!);
  }

  /** A thread that was notified goes on. */
  wake(thread: number): void {
    this.#clocks[thread]!.join(this.#notified[thread]!);
    this.#notified[thread]!.clear();
  }

  /** A thread learns that another one has ended. */
  learnEnd(thread: number, ended: number): void {
    this.#clocks[thread]!.join(this.#clocks[ended]!);
  }

  /** A thread has died, and uses nothing of what it has read. */
  die(thread: number): void {
    for (const index of undecided.keys()) {
      this.#settle(UNDECIDED + index, thread, true);
    }
  }

  /** The schedule has ended: what was not discarded by then may be used. */
  end(): void {
    this.#found ??= this.#pending.find((pending) => pending !== undefined);
  }

  /**
   * All that future races depend on. A number in a clock means nothing by itself: what
   * counts is who knows of which access. And an access that all threads know of, or all
   * that still go on, races with nobody any more.
   */
  key(isOngoing: (thread: number) => boolean): string {
    const sources = [...this.#released, ...this.#notified];
    let key = "";
    for (const [index, access] of this.#accesses.entries()) {
      if (access === 0) continue;
      const author = index % this.#threads;
      let unknown = false;
      let knowing = "";
      for (const [thread, clock] of this.#clocks.entries()) {
        const knows = clock.of(author) >= access;
        unknown ||= !knows && isOngoing(thread);
        knowing += knows ? "1" : "0";
      }
      if (!unknown) continue;
      for (const source of sources) {
        knowing += source.of(author) >= access ? "1" : "0";
      }
      key += `${index}:${parseInt(knowing, 2).toString(36)};`;
    }
    for (const [index, pending] of this.#pending.entries()) {
      if (pending !== undefined) key += `${index}!`;
    }
    return key;
  }

  #allowed(
    access: "read" | "write",
    thread: number,
    word: number,
    role: Role,
  ): AllowedRace | undefined {
    const name = this.#nameOf(word).replace(/\[.*/, "");
    return ALLOWED_RACES.find((allowed) =>
      allowed.access === access &&
      (allowed.words?.includes(name) ?? true) &&
      (allowed.role === undefined || allowed.role === role) &&
      (allowed.slow === undefined || thread === this.#slow) &&
      // Where there is no such word nothing can decide
      (allowed.until === undefined || this.#words.includes(allowed.until))
    );
  }

  #access(kind: number, thread: number, word: number, step: number): void {
    const clock = this.#clocks[thread]!;
    for (const other of conflicts[kind]!) {
      for (let author = 0; author < this.#threads; author++) {
        if (author === thread) continue;
        const access = this.#accesses[this.#at(word, other, author)]!;
        if (access <= clock.of(author)) continue;
        this.#race(word, [kind, thread, step], [
          other,
          author,
          this.#steps[this.#at(word, other, author)]!,
        ]);
      }
    }
    const at = this.#at(word, kind, thread);
    this.#accesses[at] = clock.tick(thread);
    this.#steps[at] = step;
  }

  #at(word: number, kind: number, thread: number): number {
    return (word * KIND_COUNT + kind) * this.#threads + thread;
  }

  /** Two accesses are not ordered, the later one given first. */
  #race(
    word: number,
    later: readonly [kind: number, thread: number, step: number],
    earlier: readonly [kind: number, thread: number, step: number],
  ): void {
    const [text, other] = [earlier, later].map(([kind, thread, step]) =>
      `the ${KINDS[kind] ?? "plain read"} by thread ${thread} in step ${step}`
    );
    const message = `Data race on ${
      this.#nameOf(word)
    }: nothing orders ${text} and ${other}`;
    const reads = [earlier, later].find(([kind]) => kind >= UNDECIDED);
    if (reads === undefined) this.#found ??= message;
    else this.#pending[reads[0] * this.#threads + reads[1]] ??= message;
  }

  /** What a thread has read counts for nothing, or is read from now on. */
  #settle(kind: number, thread: number, discards: boolean): void {
    this.#pending[kind * this.#threads + thread] = undefined;
    for (let word = 0; word < this.#words.length; word++) {
      const at = this.#at(word, kind, thread);
      if (this.#accesses[at] === 0) continue;
      if (!discards) {
        const read = this.#at(word, PLAIN_READ, thread);
        this.#accesses[read] = this.#accesses[at]!;
        this.#steps[read] = this.#steps[at]!;
      }
      this.#accesses[at] = 0;
    }
  }
}
