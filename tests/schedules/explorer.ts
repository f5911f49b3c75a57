// Copyright 2026 the lazyinit authors. MIT license.

/*
 * Runs the threads of a scenario in every order that makes a difference.
 *
 * Each thread is a real worker that runs the real modules. It asks before each
 * operation on the scenario's memory, and the explorer lets one of them go on at a
 * time: it carries out the operation, hands over the result, and the thread runs to
 * its next one. Waiting and waking are the explorer's own: it keeps who sleeps on
 * which word, and a thread that sleeps is not let go on until it is notified or, if
 * the scenario allows for that many, its timeout is chosen.
 *
 * A schedule is the list of choices among those who can go on. They are searched
 * depth first: run to the end, go back to the last choice that has an alternative,
 * run again from the beginning with that. What a thread does depends on nothing but
 * what it has been told so far. So a state is what each thread was told, where it
 * stands, and what is in the memory; two schedules that come to the same state have
 * the same futures, and the second one is not followed any further. Orders of
 * operations that do not touch each other meet again in this way, after a few steps.
 *
 * Plain accesses are steps as well: the modules and the test codecs see the memory
 * through views that ask before each word. So what is run is every order that
 * sequentially consistent memory allows, at the granularity of atomic operations and of
 * words that are read or written plainly. In each, `races.ts` looks for data races, and
 * one that `allowed_races.ts` does not name fails the schedule. That makes it a
 * statement about ECMAScript's memory, by ECMAScript's own theorem that programs without
 * data races are sequentially consistent; of what the allowed races may do, it says
 * nothing, for which there is the argument at the top of `atomics.ts`.
 *
 * What happens before what is part of the state, as it decides which races there will
 * be: not the clocks themselves, but which of the accesses that may still race are known
 * to whom. With a bound on preemptions, all those schedules are run in which a thread
 * that could go on is left that many times at the most.
 */

import {
  Channel,
  GRANTED,
  NOT_EQUAL,
  OK,
  type Operation,
  PENDING,
  type Request,
  TIMED_OUT,
} from "./channel.ts";
import { ROLES } from "./allowed_races.ts";
import { Races } from "./races.ts";
import type { Thread } from "./thread.ts";
import type { Start } from "./thread_worker.ts";

/** Threads over one memory, and what must hold of them. */
export interface Scenario {
  readonly name: string;
  /** How many threads there are. */
  readonly threads: number;
  /** How often at the most a thread that could go on is left; without a bound by default. */
  readonly preemptions?: number;
  /** How many timeouts may pass in one schedule; 0 by default. */
  readonly timeouts?: number;
  /** A thread that may die at any point; none by default. */
  readonly mortal?: number;
  /**
   * A thread that lives though others may declare it dead; none by default. Nothing can
   * stop what it writes plainly after it has looked whether it may: so a write comes in
   * one step with the look before it, and with the plain accesses in between.
   */
  readonly slow?: number;
  /** Whether there are Web Locks, by which agents may announce themselves; not by default. */
  readonly locks?: boolean;
  /** How the slow thread looks whether it owns the slot. */
  readonly looks?: Looks;
  /** How many bytes a slice of a reset zeroes; more than there are by default. */
  readonly sliceBytes?: number;
  /** The size of the memory, in 32-bit words, and what they are called. */
  readonly words: readonly string[];
  /** Tells what a word is called now, where that depends on the rest of the memory. */
  naming?(memory: Int32Array): (word: number) => string;
  /**
   * In the thread: returns what the thread does. Cells that are made here are made
   * without asking, and before everything else.
   */
  prepare(thread: Thread): () => unknown;
  /** Returns what is wrong with the memory when all threads have ended. */
  end?(memory: Int32Array, ledger: Int32Array): string | undefined;
}

/** Operations that tell a thread whether it owns the slot. */
export interface Looks {
  readonly operations: readonly Operation[];
  readonly words: readonly number[];
}

/** What came of exploring a scenario. */
export interface Exploration {
  /** How many schedules were run to their end. */
  readonly schedules: number;
  /** How many were given up because they had come to a state seen before. */
  readonly pruned: number;
  /** How many states there are. */
  readonly states: number;
  readonly failure: Failure | undefined;
}

/** A schedule that has come to a bad end. */
export interface Failure {
  readonly message: string;
  /** Replays the schedule. */
  readonly seed: string;
  /** A line a step. */
  readonly trace: readonly string[];
}

/** One thing that can happen next. */
interface Choice {
  readonly thread: number;
  readonly kind: "step" | "wake" | "timeout" | "resume" | "lock" | "die";
}

/** A point at which something was chosen. */
interface Node {
  /** Who asked for what, to see that a schedule replays. */
  readonly asked: string;
  readonly count: number;
  chosen: number;
}

/** A thread, as far as the explorer knows it. */
class Agent {
  readonly thread: number;
  readonly channel: Channel;
  request!: Request;
  /** It sleeps in `wait`, on `request.word`. */
  asleep = false;
  /** It was notified, and has not been told yet. */
  notified = false;
  dead = false;
  /** The asynchronous waits that were notified, in that order. */
  settled: number[] = [];
  /** The requests for locks that were granted, in that order. */
  granted: number[] = [];
  /** How many asynchronous waits it has begun. */
  waits = 0;
  /** How many locks it has asked for. */
  requests = 0;
  /** A hash of all that it was told. */
  told = 0;
  /** It is slow, has looked whether it owns the slot, and only made plain accesses since. */
  hasLooked = false;
  /** How many steps it has made. */
  steps = 0;
  /** How many steps the others had made when it last waited for a value that the word did not have. */
  refused = -1;

  constructor(thread: number) {
    this.thread = thread;
    this.channel = new Channel();
  }

  get ended(): boolean {
    return this.dead || this.request.operation === "done";
  }

  reset(): void {
    this.asleep =
      this.notified =
      this.dead =
      this.hasLooked =
        false;
    this.settled = [];
    this.granted = [];
    this.waits =
      this.requests =
      this.told =
      this.steps =
        0;
    this.refused = -1;
  }
}

/** Somebody who sleeps on a word: an agent, or one of its asynchronous waits. */
interface Sleeper {
  readonly thread: number;
  readonly word: number;
  /** Which asynchronous wait; -1 for the agent itself. */
  readonly wait: number;
}

/** A request for a Web Lock. */
interface LockRequest {
  readonly lock: number;
  readonly thread: number;
  readonly request: number;
  readonly shared: boolean;
  granted: boolean;
}

const LEDGER_WORDS = 64;
/** A schedule that is longer has no end. */
const MAX_STEPS = 2_000;

export class Explorer implements Disposable {
  readonly #scenario: Scenario;
  readonly #agents: Agent[];
  readonly #workers: Worker[];
  readonly #memory: Int32Array<SharedArrayBuffer>;
  readonly #ledger: Int32Array<SharedArrayBuffer>;
  readonly #races: Races;
  readonly #nameOf: (word: number) => string;

  // Of the schedule that is run
  #sleepers: Sleeper[] = [];
  /** In the order in which they were made. */
  #lockRequests: LockRequest[] = [];
  #timeouts = 0;
  #preemptions = 0;
  #last = -1;
  #trace: string[] = [];
  /** A thread that has waited in vain twice, while all others stood still. */
  #spinning: number | undefined;

  private constructor(
    scenario: Scenario,
    workers: Worker[],
    agents: Agent[],
    memory: SharedArrayBuffer,
    ledger: SharedArrayBuffer,
  ) {
    this.#scenario = scenario;
    this.#workers = workers;
    this.#agents = agents;
    this.#memory = new Int32Array(memory);
    this.#ledger = new Int32Array(ledger);
    const { words, naming } = scenario;
    this.#nameOf = naming?.(this.#memory) ??
      ((word) => words[word] ?? `word ${word}`);
    this.#races = new Races(scenario, this.#nameOf);
  }

  /** Starts the threads of a scenario, which `module` exports in its `scenarios`. */
  static async start(scenario: Scenario, module: string): Promise<Explorer> {
    const memory = new SharedArrayBuffer(scenario.words.length * 4);
    const ledger = new SharedArrayBuffer(LEDGER_WORDS * 4);
    const agents = Array.from(
      { length: scenario.threads },
      (_, thread) => new Agent(thread),
    );
    const workers = await Promise.all(agents.map(({ channel }, index) => {
      const url = new URL("./thread_worker.ts", import.meta.url);
      const worker = new Worker(url, { type: "module" });
      const start: Start = {
        index,
        scenario: scenario.name,
        module,
        locks: scenario.locks === true,
        sliceBytes: scenario.sliceBytes,
        channel: channel.buffer,
        memory,
        ledger,
      };
      worker.postMessage(start);
      return new Promise<Worker>((resolve, reject) => {
        worker.onmessage = () => resolve(worker);
        worker.onerror = (event) => {
          event.preventDefault();
          reject(new Error(event.message));
        };
      });
    }));
    // Each asks for its first step
    for (const { channel } of agents) channel.awaitRequest();
    return new Explorer(scenario, workers, agents, memory, ledger);
  }

  /** Runs all schedules, until one fails. */
  explore(): Exploration {
    const path: Node[] = [];
    const seen = new Set<string>();
    let schedules = 0;
    let pruned = 0;
    for (;;) {
      const outcome = this.#run(path, seen);
      if (outcome === "pruned") pruned++;
      else schedules++;
      const failure = typeof outcome === "object"
        ? { ...outcome, seed: this.#seedOf(path) }
        : undefined;
      while (path.length > 0 && path.at(-1)!.chosen + 1 >= path.at(-1)!.count) {
        path.pop();
      }
      const node = path.at(-1);
      if (failure !== undefined || node === undefined) {
        return { schedules, pruned, states: seen.size, failure };
      }
      node.chosen++;
    }
  }

  /** Runs one schedule again, and returns its trace. */
  replay(seed: string): { trace: readonly string[]; message: string } {
    const choices = seed.slice(seed.indexOf(":") + 1);
    const path = [...choices].map((choice) => ({
      asked: "",
      count: Infinity,
      chosen: parseInt(choice, 36),
    }));
    const outcome = this.#run(path, undefined);
    return typeof outcome === "object"
      ? outcome
      : { trace: this.#trace, message: "Nothing is wrong" };
  }

  [Symbol.dispose](): void {
    for (const { channel } of this.#agents) channel.release();
    for (const worker of this.#workers) worker.terminate();
  }

  #seedOf(path: Node[]): string {
    const choices = path.map(({ chosen }) => chosen.toString(36)).join("");
    // Whoever replays chooses the first from there on
    return `${this.#scenario.name}:${choices.replace(/0+$/, "")}`;
  }

  /** Runs a schedule that begins with `path`, which it extends. */
  #run(
    path: Node[],
    seen: Set<string> | undefined,
  ): "ended" | "pruned" | { message: string; trace: readonly string[] } {
    this.#begin();
    let outcome: "ended" | "pruned" | string | undefined;
    for (let depth = 0; outcome === undefined; depth++) {
      outcome = this.#wrong();
      if (outcome !== undefined) break;
      const choices = this.#choices();
      if (choices.length === 0) {
        outcome = this.#end();
        break;
      }
      let node = path[depth];
      if (node === undefined) {
        if (seen !== undefined) {
          const key = this.#key();
          if (seen.has(key)) {
            outcome = "pruned";
            break;
          }
          seen.add(key);
        }
        node = { asked: this.#asked(), count: choices.length, chosen: 0 };
        path.push(node);
      } else if (node.asked !== "" && node.asked !== this.#asked()) {
        throw new Error(
          `The threads of ${this.#scenario.name} do not always do the same: ${node.asked}, then ${this.#asked()}`,
        );
      }
      this.#perform(choices[node.chosen]!);
    }
    this.#abandon();
    return outcome === "ended" || outcome === "pruned"
      ? outcome
      : { message: outcome, trace: this.#trace };
  }

  /** What has gone wrong so far. */
  #wrong(): string | undefined {
    if (this.#races.found !== undefined) return this.#races.found;
    const failed = this.#agents.find(({ request }) =>
      request.operation === "fail"
    );
    if (failed !== undefined) return failed.channel.message;
    if (this.#spinning !== undefined) {
      return `Thread ${this.#spinning} spins: it waits for a value that the word does not have, again and again`;
    }
    return this.#trace.length > MAX_STEPS
      ? `There is no end after ${MAX_STEPS} steps`
      : undefined;
  }

  #begin(): void {
    this.#races.reset();
    this.#spinning = undefined;
    this.#memory.fill(0);
    this.#ledger.fill(0);
    this.#sleepers = [];
    this.#lockRequests = [];
    this.#timeouts = this.#preemptions = 0;
    this.#last = -1;
    this.#trace = [];
    for (const agent of this.#agents) {
      agent.reset();
      // It makes its cells, and runs to its first operation
      this.#grant(agent, 0);
    }
  }

  #abandon(): void {
    for (const { channel } of this.#agents) {
      while (channel.request.operation !== "done") channel.abandon();
    }
  }

  #grant(agent: Agent, result: number): void {
    const { looks } = this.#scenario;
    const { operation, word } = agent.channel.request;
    agent.hasLooked = agent.thread === this.#scenario.slow && (
      agent.hasLooked && this.#isUnstoppable(agent.channel.request) ||
      looks?.operations.includes(operation) === true &&
        looks.words.includes(word)
    );
    agent.told = hash(agent.told, result);
    agent.channel.grant(result);
    agent.request = agent.channel.request;
    if (agent.hasLooked && this.#isUnstoppable(agent.request)) {
      this.#step(agent);
    }
  }

  /** Whether it is an access that the slow thread makes in one step with a look before it. */
  #isUnstoppable({ operation, word, a }: Request): boolean {
    if (operation === "write") return true;
    // What it reads for the sake of what it writes
    return operation === "read" && ROLES[a] !== "decoding" &&
      this.#scenario.looks?.words.includes(word) === false;
  }

  /** What can happen next, with the thread that went on last first. */
  #choices(): Choice[] {
    const { preemptions = Infinity, timeouts = 0, mortal } = this.#scenario;
    const choices: Choice[] = [];
    for (const [thread, agent] of this.#agents.entries()) {
      const { operation, a, b } = agent.request;
      if (agent.ended) continue;
      if (agent.asleep) {
        if (agent.notified) choices.push({ thread, kind: "wake" });
        else if (b === 1 && this.#timeouts < timeouts) {
          choices.push({ thread, kind: "timeout" });
        }
      } else if (operation === "await") {
        if (this.#agents[a]!.ended) choices.push({ thread, kind: "step" });
      } else if (operation !== "idle") choices.push({ thread, kind: "step" });
      else {
        // Nobody knows which of them the event loop comes to first
        if (agent.settled.length > 0) choices.push({ thread, kind: "resume" });
        if (agent.granted.length > 0) choices.push({ thread, kind: "lock" });
        if (
          agent.settled.length === 0 && this.#timeouts < timeouts &&
          this.#sleepers.some((sleeper) => sleeper.thread === thread)
        ) choices.push({ thread, kind: "timeout" });
      }
      if (thread === mortal) choices.push({ thread, kind: "die" });
    }
    const going = choices.findIndex(({ thread, kind }) =>
      thread === this.#last && kind !== "timeout" && kind !== "die"
    );
    if (going === -1) return choices;
    const [first] = choices.splice(going, 1);
    return this.#preemptions < preemptions ? [first!, ...choices] : [first!];
  }

  #perform({ thread, kind }: Choice): void {
    const agent = this.#agents[thread]!;
    const last = this.#agents[this.#last];
    if (
      last !== undefined && last !== agent &&
      this.#choices()[0]!.thread === this.#last
    ) this.#preemptions++;
    this.#last = thread;
    const { request } = agent;
    switch (kind) {
      case "step":
        return this.#step(agent);
      case "wake":
        agent.asleep = agent.notified = false;
        this.#races.wake(thread);
        this.#log(thread, `wakes on ${this.#nameOf(request.word)}`);
        return this.#grant(agent, OK);
      case "resume": {
        const wait = agent.settled.shift()!;
        this.#log(thread, `goes on after asynchronous wait ${wait}`);
        return this.#grant(agent, wait << 2 | OK);
      }
      case "lock": {
        const request = agent.granted.shift()!;
        this.#log(thread, `is granted request ${request}`);
        this.#learnGrant(thread, request);
        return this.#grant(agent, request << 2 | GRANTED);
      }
      case "die":
        agent.dead = true;
        this.#races.die(thread);
        this.#sleepers = this.#sleepers.filter((sleeper) =>
          sleeper.thread !== thread
        );
        this.#log(thread, "dies");
        return this.#unlock((request) => request.thread === thread);
      case "timeout": {
        this.#timeouts++;
        const index = this.#sleepers.findIndex((sleeper) =>
          sleeper.thread === thread
        );
        const [{ word, wait }] = this.#sleepers.splice(index, 1) as [Sleeper];
        this.#log(thread, `times out on ${this.#nameOf(word)}`);
        agent.asleep = false;
        return this.#grant(agent, wait < 0 ? TIMED_OUT : wait << 2 | TIMED_OUT);
      }
    }
  }

  /** Carries out what the thread asks for. */
  #step(agent: Agent): void {
    const { thread } = agent;
    const memory = this.#memory;
    const races = this.#races;
    const step = this.#trace.length + 1;
    const { operation, word, a, b } = agent.request;
    const name = this.#nameOf(word);
    const before = memory[word];
    let result: number;
    switch (operation) {
      case "yield":
        this.#log(thread, "yields");
        return this.#grant(agent, 0);
      case "read":
        races.read(thread, word, step, ROLES[a]!);
        this.#log(thread, `reads ${name}: ${before}`);
        return this.#grant(agent, before!);
      case "write":
        races.write(thread, word, step, ROLES[a]!);
        this.#log(thread, `writes ${name}, which is ${before}`);
        return this.#grant(agent, 0);
      case "lock": {
        const request = agent.requests++;
        const shared = b === 1;
        this.#log(
          thread,
          `asks for the lock of agent ${a} by request ${request}${
            shared ? ", shared" : ""
          }`,
        );
        this.#lockRequests.push({
          lock: a,
          thread,
          request,
          shared,
          granted: false,
        });
        this.#grantLocks();
        return this.#grant(agent, request);
      }
      case "unlock":
        this.#log(thread, `ends request ${a}`);
        this.#unlock((request) =>
          request.thread === thread && request.request === a
        );
        return this.#grant(agent, 0);
      case "await":
        races.learnEnd(thread, a);
        this.#log(thread, `sees that thread ${a} has ended`);
        return this.#grant(agent, 0);
      case "wait":
      case "waitAsync": {
        races.load(thread, word, step);
        races.decide(thread, word, false);
        if (before !== a) {
          const others = this.#trace.length - agent.steps;
          if (operation === "wait" && agent.refused === others) {
            this.#spinning = thread;
          }
          agent.refused = others;
          this.#log(thread, `${operation} ${name}: ${before}, not ${a}`);
          return this.#grant(agent, NOT_EQUAL);
        }
        this.#log(thread, `${operation} ${name}: sleeps on ${a}`);
        if (operation === "wait") {
          agent.asleep = true;
          this.#sleepers.push({ thread, word, wait: -1 });
          return;
        }
        const wait = agent.waits++;
        this.#sleepers.push({ thread, word, wait });
        return this.#grant(agent, PENDING + wait);
      }
      case "notify": {
        const woken = this.#sleepers.filter((sleeper) => sleeper.word === word)
          .slice(0, a);
        this.#sleepers = this.#sleepers.filter((sleeper) =>
          !woken.includes(sleeper)
        );
        for (const sleeper of woken) {
          const other = this.#agents[sleeper.thread]!;
          if (sleeper.wait < 0) {
            other.notified = true;
            races.notify(thread, sleeper.thread);
          } else other.settled.push(sleeper.wait);
        }
        this.#log(
          thread,
          `notify ${name}: wakes ${
            woken.map((sleeper) => `thread ${sleeper.thread}`).join(", ") ||
            "nobody"
          }`,
        );
        return this.#grant(agent, woken.length);
      }
      case "compareExchange":
        if (before === a) races.modify(thread, word, step);
        else races.load(thread, word, step);
        races.decide(thread, word, before !== a);
        result = Atomics.compareExchange(memory, word, a, b);
        break;
      case "load":
        races.load(thread, word, step);
        races.decide(thread, word, false);
        result = Atomics.load(memory, word);
        break;
      case "store":
        races.store(thread, word, step);
        races.decide(thread, word, false);
        result = Atomics.store(memory, word, a);
        break;
      case "exchange":
      case "add":
      case "sub":
      case "or":
      case "and":
        races.modify(thread, word, step);
        races.decide(thread, word, false);
        result = Atomics[operation](memory, word, a);
        break;
      default:
        throw new Error(`A thread cannot ask for ${operation} here`);
    }
    const after = memory[word]!;
    this.#log(
      thread,
      `${operation} ${name}: ${before}${after === before ? "" : ` → ${after}`}${
        operation === "compareExchange" && before !== a ? `, not ${a}` : ""
      }`,
    );
    this.#grant(agent, result);
  }

  /** Takes requests for locks off the list, be they granted or not. */
  #unlock(isOver: (request: LockRequest) => boolean): void {
    this.#lockRequests = this.#lockRequests.filter((request) =>
      !isOver(request)
    );
    this.#grantLocks();
  }

  /** Grants all locks that can be, in the order in which they were asked for. */
  #grantLocks(): void {
    for (const [index, request] of this.#lockRequests.entries()) {
      const isInTheWay = ({ lock, shared }: LockRequest) =>
        lock === request.lock && !(shared && request.shared);
      if (
        request.granted || this.#lockRequests.slice(0, index).some(isInTheWay)
      ) continue;
      request.granted = true;
      this.#agents[request.thread]!.granted.push(request.request);
    }
  }

  /** The lock of an agent that has died tells that it has; no other one orders anything. */
  #learnGrant(thread: number, request: number): void {
    this.#log(thread, `is granted request ${request}`);
    const { lock } =
      this.#lockRequests.find((granted) =>
        granted.thread === thread && granted.request === request
      ) ?? {};
    if (lock === undefined) return;
    if (this.#agents[lock - 1]?.dead) this.#races.learnEnd(thread, lock - 1);
  }

  /** Nobody can go on: all have ended, or somebody sleeps for ever. */
  #end(): "ended" | string {
    this.#races.end();
    if (this.#races.found !== undefined) return this.#races.found;
    const sleeping = this.#agents.flatMap((agent, thread) =>
      agent.ended ? [] : [`thread ${thread}`]
    );
    if (sleeping.length > 0) {
      return `Lost wake-up: ${sleeping.join(", ")} would sleep for ever`;
    }
    return this.#scenario.end?.(this.#memory, this.#ledger) ?? "ended";
  }

  #key(): string {
    const { preemptions } = this.#scenario;
    return [
      ...this.#memory,
      ...this.#ledger,
      ...this.#agents.map((agent) =>
        `${agent.told} ${agent.asleep} ${agent.notified} ${agent.dead} ${agent.settled} ${agent.granted}`
      ),
      ...this.#sleepers.map(({ thread, word, wait }) =>
        `${thread} ${word} ${wait}`
      ),
      ...this.#lockRequests.map(({ lock, thread, request, shared, granted }) =>
        `${lock} ${thread} ${request} ${shared} ${granted}`
      ),
      this.#timeouts,
      this.#races.key((thread) => !this.#agents[thread]!.ended),
      ...(preemptions === undefined ? [] : [this.#last, this.#preemptions]),
    ].join();
  }

  #asked(): string {
    return this.#agents.map(({ request, told }) =>
      `${request.operation} ${request.word} ${request.a} ${request.b} after ${told}`
    ).join("; ");
  }

  #log(thread: number, text: string): void {
    this.#agents[thread]!.steps++;
    this.#trace.push(
      `${`${this.#trace.length + 1}`.padStart(3)}  thread ${thread}  ${text}`,
    );
  }
}

/** Mixes a number into a hash of 53 bits. */
function hash(seed: number, value: number): number {
  let low = Math.imul(seed ^ value, 0x9e3779b1) + 0x7f4a7c15;
  low ^= low >>> 15;
  let high = Math.imul(seed / 2 ** 32 ^ value ^ low, 0x85ebca6b) + 1;
  high ^= high >>> 13;
  return (high >>> 11) * 2 ** 32 + (low >>> 0);
}
