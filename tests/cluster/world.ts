// Copyright 2026 the lazyinit authors. MIT license.

/*
 * A cluster in one thread, whose time, network, store and chance are chosen: real cells
 * run in it, each with the clock and the store of its process. Every write and
 * every answer of a cell is checked.
 */

import { type Clock, useClock } from "../../cluster/_clock.ts";
import { decodeRecord, type EntryRecord } from "../../cluster/_entry.ts";
import {
  type ClusterInitializerContext,
  ClusterLazyInit,
  type Entry,
  PermanentStoreError,
  type Store,
} from "../../cluster/mod.ts";
import { int32 } from "../../codec.ts";
import { AlreadyInitializedError, OwnerLostError } from "../../errors.ts";

/** The lease of all cells, in ms of the world. */
export const LEASE = 1_000;
const KEY = "key";
/** So many microtasks in a row are more than any of the modules' chains needs. */
const TURNS = 40;
/** After the last fault everything must have settled in this time, in ms. */
const PATIENCE = 60 * LEASE;
const MAX_STEPS = 20_000;
/** Of times that are added up, in ms. */
const ROUNDING = 0.001;

/** Decides what happens next. */
export interface Chooser {
  /** Returns the index of one of the weights. The first is what a fair world would do. */
  choose(weights: readonly number[]): number;
  /** A number from 0 to 1, without 1, that decides nothing but times. */
  random(): number;
}

/** What a process is made to call, one after the other or at once. */
export type CallKind =
  | "getOrInit"
  | "init"
  | "tryInit"
  | "wait"
  | "reset"
  | "refresh"
  | "dispose"
  | "leave";

export interface Call {
  readonly kind: CallKind;
  /** How long the initializer takes, in leases. */
  readonly duration?: number;
  readonly fails?: boolean;
}

export interface Scenario {
  readonly name: string;
  /** The calls of each process. */
  readonly scripts: readonly (readonly Call[])[];
  /** How many of the steps may be faults. */
  readonly faults: number;
  /** After so many steps nothing fails any more. */
  readonly horizon: number;
  /** Whether the watches tell of nothing at all. */
  readonly deaf?: boolean;
}

/** Tells that a property does not hold. */
export class Violation extends Error {
  override readonly name = "Violation";
}

interface Published {
  readonly value: number;
  readonly version: bigint;
  /** With which version it was reset. */
  reset?: bigint;
}

interface Message {
  readonly kind: "request" | "reply" | "event";
  readonly to: Process;
  readonly label: string;
  deliver(): void;
}

interface Timer {
  readonly at: number;
  readonly order: number;
  readonly of: Process;
  readonly callback: () => void;
}

interface Action {
  readonly label: string;
  readonly weight: number;
  run(): void;
}

class Process {
  readonly name: string;
  readonly script: Call[];
  cell!: ClusterLazyInit<number>;
  alive = true;
  disposed = false;
  paused = false;
  /** Calls that have not settled. */
  readonly pending = new Set<string>();
  /** The run of an initializer that has not ended, and has not been told to. */
  running: AbortSignal | undefined;
  /** The version of the newest value that it has read, or knows to be reset. */
  known = 0n;
  /** Whether a request of it has failed, or has taken long. */
  troubled = false;
  push: ((entry: Entry | null) => void) | undefined;
  fail: ((error: Error) => void) | undefined;

  constructor(name: string, script: readonly Call[]) {
    this.name = name;
    this.script = [...script];
  }

  get active(): boolean {
    return this.alive && !this.paused;
  }
}

export class World {
  readonly #scenario: Scenario;
  readonly #chooser: Chooser;
  readonly #processes: Process[];
  readonly #messages: Message[] = [];
  readonly #timers = new Set<Timer>();
  readonly trace: string[] = [];
  steps = 0;
  #time = 0;
  #order = 0;
  #nonce = 0n;
  #faults: number;
  #outage = false;
  #settled = false;
  #violation: unknown;
  // The store
  #entry: Entry | null = null;
  #record: EntryRecord | undefined;
  #version = 0n;
  /** When the entry was written. */
  #written = 0;
  /** The version of the last reset. */
  #lastReset = 0n;
  #resets = 0;
  readonly #published = new Map<number, Published>();
  readonly #generations = new Set<number>();
  readonly #owners = new Map<bigint, Process>();
  /** The runs, by their tokens. */
  readonly #runs = new Map<bigint, bigint>();
  /** The runs that have lost the cell, or whose value was reset. */
  readonly #lost = new Set<bigint>();

  constructor(scenario: Scenario, chooser: Chooser) {
    this.#scenario = scenario;
    this.#chooser = chooser;
    this.#faults = scenario.faults;
    this.#processes = scenario.scripts.map((script, index) => {
      const process = new Process(`p${index}`, script);
      useClock(this.#clockOf(process, index));
      process.cell = new ClusterLazyInit(this.#storeOf(process), KEY, int32, {
        lease: LEASE,
      });
      return process;
    });
  }

  /** Runs to the end, and throws if a property does not hold. */
  async run(): Promise<void> {
    while (this.steps < this.#scenario.horizon) {
      const actions = this.#actions(true);
      if (actions.length === 0) break;
      const chosen = this.#chooser.choose(
        actions.map(({ weight }) => weight),
      );
      await this.#step(actions[chosen]!);
    }
    await this.#settle();
  }

  /** The network heals, paused processes wake, and every call must end. */
  async #settle(): Promise<void> {
    this.#settled = true;
    this.#outage = false;
    for (const process of this.#processes) process.paused = false;
    const deadline = this.#time + PATIENCE;
    await this.#finish(deadline, (label) => !label.startsWith("wait"));
    // One makes a value, which the others must come to see without a call of their own
    const users = this.#processes.filter(({ alive, disposed }) =>
      alive && !disposed
    );
    for (const process of users) {
      // First, as it may not have been told of a reset
      this.#call(process, { kind: "refresh" });
      await this.#finish(
        deadline + PATIENCE,
        (call) => call.includes("refresh"),
      );
      this.#call(process, { kind: "getOrInit" });
      await this.#finish(deadline + PATIENCE, () => true);
    }
  }

  async #finish(
    deadline: number,
    concerns: (label: string) => boolean,
  ): Promise<void> {
    for (;;) {
      await this.#drain();
      const waiting = this.#processes.flatMap((process) =>
        process.alive
          ? [...process.pending].filter(concerns).map((call) =>
            `${process.name} ${call}`
          )
          : []
      );
      const unstarted = this.#processes.some(({ alive, script }) =>
        alive && script.length > 0
      );
      if (waiting.length === 0 && !unstarted) return;
      const action = this.#actions(false)[0];
      if (
        action === undefined || this.#time > deadline || this.steps > MAX_STEPS
      ) throw new Violation(`These calls never end: ${waiting}`);
      await this.#step(action);
    }
  }

  async #step(action: Action): Promise<void> {
    this.steps++;
    this.trace.push(`${this.#time.toFixed(0).padStart(6)} ${action.label}`);
    action.run();
    await this.#drain();
    for (const process of this.#processes) {
      if (process.alive) this.#checkGet(process);
    }
  }

  async #drain(): Promise<void> {
    for (let turn = 0; turn < TURNS; turn++) await null;
    if (this.#violation !== undefined) throw this.#violation;
  }

  /** What may happen now; first what would happen in a fair world. */
  #actions(faulty: boolean): Action[] {
    const actions: Action[] = [];
    for (const process of this.#processes) {
      const { script, name } = process;
      if (process.active && script.length > 0) {
        actions.push({
          label: `${name} calls ${script[0]!.kind}`,
          weight: 2,
          run: () => this.#call(process, script.shift()!),
        });
      }
    }
    for (const message of this.#messages) {
      if (message.kind !== "request" && !message.to.active) continue;
      actions.push({
        label: message.label,
        weight: 4,
        run: () => {
          this.#take(message);
          message.deliver();
        },
      });
    }
    const timer = [...this.#timers]
      .filter(({ of }) => of.active)
      .sort((a, b) => a.at - b.at || a.order - b.order)[0];
    if (timer !== undefined) {
      actions.push({
        label: `${timer.of.name} timer`,
        weight: 4,
        run: () => {
          this.#advance(timer.at);
          this.#timers.delete(timer);
          timer.callback();
        },
      });
    }
    if (faulty) {
      for (const process of this.#processes) {
        if (process.alive && process.paused) {
          actions.push({
            label: `${process.name} wakes`,
            weight: 1,
            run: () => process.paused = false,
          });
        }
      }
      if (this.#outage) {
        actions.push({
          label: "the outage ends",
          weight: 1,
          run: () => this.#outage = false,
        });
      }
      if (this.#faults > 0) actions.push(...this.#faultsNow());
    }
    return actions;
  }

  #faultsNow(): Action[] {
    const faults: Action[] = [];
    const add = (label: string, weight: number, run: () => void) =>
      faults.push({
        label,
        weight,
        run: () => {
          this.#faults--;
          run();
        },
      });
    for (const message of this.#messages) {
      const { kind, label, to } = message;
      if (kind === "event") {
        add(`lost: ${label}`, 0.3, () => this.#take(message));
        add(`twice: ${label}`, 0.2, () => message.deliver());
        continue;
      }
      add(`lost: ${label}`, 0.3, () => {
        to.troubled = true;
        this.#take(message);
      });
      if (kind === "request") {
        add(`twice: ${label}`, 0.3, () => message.deliver());
      }
    }
    const alive = this.#processes.filter((process) => process.alive);
    for (const process of alive) {
      const { name } = process;
      if (!process.paused) {
        add(`${name} pauses`, 0.3, () => {
          process.paused = true;
          process.troubled = true;
        });
      }
      if (alive.length > 1) {
        add(`${name} crashes`, 0.1, () => {
          process.alive = false;
          for (const timer of this.#timers) {
            if (timer.of === process) this.#timers.delete(timer);
          }
        });
      }
      if (process.fail !== undefined) {
        add(
          `${name} loses its watch`,
          0.1,
          () => process.fail?.(new Error("No connection")),
        );
        add(
          `${name} is refused its watch`,
          0.1,
          () => process.fail?.(new PermanentStoreError("Refused")),
        );
      }
      if (process.push !== undefined) {
        add(`${name} is told of nothing`, 0.1, () => process.push?.(null));
      }
    }
    if (this.#messages.length > 0 && !this.#outage) {
      add("an outage begins", 0.1, () => this.#outage = true);
    }
    add(
      "a lease passes",
      0.2,
      () => this.#advance(this.#time + LEASE * 1.05),
    );
    return faults;
  }

  #advance(time: number): void {
    if (time <= this.#time) return;
    this.#time = time;
    for (const { kind, to } of this.#messages) {
      if (kind !== "event") to.troubled = true;
    }
  }

  #take(message: Message): void {
    this.#messages.splice(this.#messages.indexOf(message), 1);
  }

  #clockOf(process: Process, index: number): Clock {
    return {
      // Each from its own beginning, as those of machines
      now: () => this.#time + index * 1e6,
      setTimeout: (callback, milliseconds) => {
        const timer = {
          at: this.#time + milliseconds,
          order: this.#order++,
          of: process,
          callback,
        };
        if (process.alive) this.#timers.add(timer);
        return timer;
      },
      clearTimeout: (timer) => void this.#timers.delete(timer as Timer),
      random: () => this.#chooser.random(),
      nonce: () => ++this.#nonce,
    };
  }

  #storeOf(process: Process): Store {
    const request = <R>(label: string, apply: () => R) =>
      new Promise<R>((resolve, reject) => {
        if (!process.alive) return;
        if (this.#outage) {
          process.troubled = true;
          // Some see that there is no connection, and some nothing at all
          if (this.#chooser.random() < 0.5) reject(new Error("No connection"));
          return;
        }
        this.#messages.push({
          kind: "request",
          to: process,
          label: `${process.name} ${label}`,
          deliver: () => {
            if (this.#outage) return void (process.troubled = true);
            const answer = apply();
            this.#messages.push({
              kind: "reply",
              to: process,
              label: `${process.name} ${label} is answered`,
              deliver: () => resolve(answer),
            });
          },
        });
      });
    return {
      get: () => request("get", () => this.#entry),
      set: (_key, value, expected) =>
        request(
          `set ${decodeRecord(value).phase} over ${expected}`,
          () => this.#set(process, value, expected),
        ),
      watch: (_key, signal) => this.#watch(process, signal),
    };
  }

  #watch(process: Process, signal: AbortSignal): AsyncIterable<Entry | null> {
    const queue: (Entry | null)[] = [];
    let failure: Error | undefined;
    let wake = () => {};
    process.push = (entry) => {
      queue.push(entry);
      wake();
    };
    process.fail = (error) => {
      failure = error;
      process.push = process.fail = undefined;
      wake();
    };
    signal.addEventListener("abort", () => wake());
    this.#tell(process);
    return (async function* () {
      while (!signal.aborted) {
        while (queue.length > 0) yield queue.shift()!;
        if (failure !== undefined) throw failure;
        await new Promise<void>((resolve) => wake = resolve);
      }
    })();
  }

  /** Sends what is under the key to the watch of a process. */
  #tell(process: Process): void {
    if (process.push === undefined || this.#scenario.deaf) return;
    const entry = this.#entry;
    this.#messages.push({
      kind: "event",
      to: process,
      label: `${process.name} is told of ${entry?.version ?? null}`,
      deliver: () => process.push?.(entry),
    });
  }

  #set(process: Process, value: Uint8Array, expected: bigint): bigint | null {
    if ((this.#entry?.version ?? 0n) !== expected) return null;
    const record = decodeRecord(value);
    this.#version++;
    this.#checkWrite(process, record);
    this.#entry = { value, version: this.#version };
    this.#record = record;
    this.#written = this.#time;
    for (const other of this.#processes) {
      if (other.alive) this.#tell(other);
    }
    return this.#version;
  }

  /** C1 to C4, C7: whether a process may write this over what is there. */
  #checkWrite(process: Process, record: EntryRecord): void {
    const from = this.#record;
    const edge = `${from?.phase ?? "nothing"} → ${record.phase}`;
    const { generation = 0, owner, lease = 0 } = from ?? {};
    const silent = this.#time - this.#written > lease - ROUNDING;
    const same = record.generation === generation;
    const next = record.generation === generation + 1;
    const own = record.owner === owner && this.#owners.get(owner) === process;
    let legal: boolean;
    switch (edge) {
      case "nothing → initializing":
      case "uninitialized → initializing":
        legal = same && !this.#owners.has(record.owner);
        this.#owners.set(record.owner, process);
        break;
      case "initializing → initializing":
        legal = own && same ||
          next && silent && !this.#owners.has(record.owner);
        if (record.owner !== owner) this.#owners.set(record.owner, process);
        break;
      case "initializing → initialized":
        legal = own && same && !this.#generations.has(generation);
        break;
      case "initializing → uninitialized":
        legal = own && same || next && silent;
        break;
      case "initialized → uninitialized":
        legal = next;
        break;
      default:
        legal = false;
    }
    if (this.#owners.size > this.#runs.size) {
      this.#runs.set(this.#version, record.owner);
    }
    if (owner !== undefined && (next || record.owner !== owner)) {
      this.#lost.add(owner);
    }
    if (!legal) this.#violate(`${process.name} must not write ${edge}`);
    if (record.phase === "initialized") {
      const number = new DataView(new ArrayBuffer(4));
      record.value.bytes.forEach((byte, index) => number.setUint8(index, byte));
      const value = number.getInt32(0, true);
      this.#generations.add(record.generation);
      this.#published.set(value, { value, version: this.#version });
    } else if (from?.phase === "initialized") {
      this.#lastReset = this.#version;
      this.#resets++;
      for (const published of this.#published.values()) {
        published.reset ??= this.#version;
      }
    }
  }

  #violate(message: string): void {
    this.#violation ??= new Violation(message);
  }

  /** Whether `value` may be read by a process, after that with version `floor`. */
  #checkValue(
    process: Process,
    call: string,
    value: number,
    floor: bigint,
  ): void {
    const published = this.#published.get(value);
    if (published === undefined) {
      return this.#violate(
        `${process.name} ${call} reads what nobody published`,
      );
    }
    if (published.version < floor) {
      this.#violate(
        `${process.name} ${call} reads a value that was reset before`,
      );
    }
    if (published.version > process.known) process.known = published.version;
  }

  #checkGet(process: Process): void {
    const value = process.cell.get();
    if (value !== undefined) {
      this.#checkValue(process, "get", value, process.known);
      return;
    }
    for (const { version, reset } of this.#published.values()) {
      if (version === process.known && reset === undefined) {
        this.#violate(`${process.name} has lost a value that was not reset`);
      }
    }
  }

  /** Makes a process call. What comes of it is checked when it comes. */
  #call(process: Process, call: Call): void {
    const { kind } = call;
    const label = `${kind} #${this.#order++}`;
    const settled = this.#settled;
    const known = process.known;
    const reset = this.#lastReset;
    const resets = this.#resets;
    const before = this.#record;
    const versionBefore = this.#entry?.version;
    const made: number[] = [];
    const tokens: bigint[] = [];
    const { cell } = process;
    const initializer = (context: ClusterInitializerContext) =>
      this.#initialize(process, call, context, made, tokens);

    const check: { [kind in CallKind]: () => Promise<void> } = {
      getOrInit: async () => {
        const value = await cell.getOrInit(initializer);
        if (process.alive) this.#checkValue(process, label, value, known);
      },
      leave: async () => {
        const controller = new AbortController();
        const value = cell.getOrInit(initializer, controller);
        this.#timers.add({
          at: this.#time + this.#chooser.random() * LEASE,
          order: this.#order++,
          of: process,
          callback: () => controller.abort(new Error("Left")),
        });
        this.#checkValue(process, label, await value, known);
      },
      init: async () => {
        const value = await cell.init(initializer);
        if (!made.includes(value)) {
          this.#violate(`${process.name} ${label} tells of a value of others`);
        }
        this.#checkValue(process, label, value, known);
      },
      tryInit: async () => {
        const result = await cell.tryInit(initializer);
        if (result.ok || result.reason === "already-init") {
          this.#checkValue(
            process,
            label,
            result.value,
            result.ok ? 0n : reset,
          );
          if (result.ok !== made.includes(result.value)) {
            this.#violate(`${process.name} ${label} tells the wrong maker`);
          }
        } else throw result.error;
      },
      wait: async () => {
        this.#checkValue(process, label, await cell.wait(), known);
      },
      refresh: async () => {
        const value = await cell.refresh();
        if (!process.alive) return;
        if (value !== undefined) {
          this.#checkValue(process, label, value, reset);
          if (reset > process.known) process.known = reset;
        } else if (
          before?.phase === "initialized" &&
          this.#entry?.version === versionBefore
        ) this.#violate(`${process.name} ${label} has not found the value`);
        if (reset > process.known) process.known = reset;
      },
      reset: async () => {
        const was = await cell.reset();
        if (was && this.#resets === resets) {
          this.#violate(`${process.name} ${label} has reset nothing`);
        }
        if (
          !was && before?.phase === "initialized" &&
          this.#entry?.version === versionBefore
        ) this.#violate(`${process.name} ${label} has left the value`);
      },
      dispose: async () => {
        process.disposed = true;
        process.script.length = 0;
        await cell[Symbol.asyncDispose]();
      },
    };

    process.pending.add(label);
    check[kind]().catch((error) => {
      if (
        !process.alive ||
        this.#isExpected(process, kind, error, made, tokens, settled)
      ) return;
      this.#violate(`${process.name} ${label} fails: ${error.stack}`);
    }).finally(() => process.pending.delete(label));
  }

  #isExpected(
    process: Process,
    kind: CallKind,
    error: Error,
    made: readonly number[],
    tokens: readonly bigint[],
    settled: boolean,
  ): boolean {
    const { message } = error;
    if (message === "Left") return true;
    // That a store is silent is seen only where something has failed
    const maySeeSilence = process.troubled && !settled;
    if (message === "Failed") {
      const { phase, owner } = this.#record!;
      return phase !== "initializing" ||
        owner !== this.#runs.get(tokens.at(-1)!) || maySeeSilence;
    }
    if (error instanceof AlreadyInitializedError) return true;
    if (error.name === "InvalidStateError") return process.disposed;
    if (error instanceof OwnerLostError) {
      if (kind !== "init" && kind !== "tryInit") return false;
      // Unless it is not known, and was reset since
      return this.#haveLost(tokens) && made.every((value) => {
        const published = this.#published.get(value);
        return published === undefined || published.reset !== undefined;
      });
    }
    // A run that has made a value publishes it when the store is back
    return (message === "No connection" || error.name === "TimeoutError") &&
      maySeeSilence && (made.length === 0 || this.#haveLost(tokens));
  }

  #haveLost(tokens: readonly bigint[]): boolean {
    return tokens.every((token) => this.#lost.has(this.#runs.get(token)!));
  }

  async #initialize(
    process: Process,
    { duration = 0, fails = false }: Call,
    { signal, token }: ClusterInitializerContext,
    made: number[],
    tokens: bigint[],
  ): Promise<number> {
    if (process.alive && !this.#haveLost(tokens)) {
      this.#violate(
        `${process.name} runs an initializer again that has not lost`,
      );
    }
    tokens.push(token);
    if (process.running !== undefined && !process.running.aborted) {
      this.#violate(`${process.name} runs two initializers`);
    }
    process.running = signal;
    try {
      if (duration > 0) {
        await new Promise<void>((resolve) =>
          this.#timers.add({
            at: this.#time + duration * LEASE,
            order: this.#order++,
            of: process,
            callback: resolve,
          })
        );
      }
    } finally {
      if (process.running === signal) process.running = undefined;
    }
    if (fails) throw new Error("Failed");
    const value = this.#order++ + 1;
    made.push(value);
    return value;
  }
}
