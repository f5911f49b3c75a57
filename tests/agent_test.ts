// Copyright 2026 the lazyinit authors. MIT license.

import { assert, assertEquals, assertNotEquals } from "@std/assert";
import vm from "node:vm";
import { Worker as NodeWorker } from "node:worker_threads";
import { agentId, announceAgent, canBlock } from "../mod.ts";
import { drawNonce, isAnnounced, watchAgent } from "../_agent.ts";
import { now, startTimer, stopTimer } from "../_clock.ts";
import { sharedByThread } from "../_thread.ts";
import type { Outcome as Copies } from "./testdata/agent_copies.ts";
import { agentScript, type Copy } from "./testdata/agent_script.ts";
import type { Remains } from "./testdata/agent_without_globals.ts";
import type { Answer, Order } from "./testdata/announcing_worker.ts";
import { execute } from "./_commands.ts";
import { until } from "./_flag.ts";
import { isWatched, lockName, locks } from "./_locks.ts";
import type { Draws } from "./testdata/seeded_agents.ts";

/** An agent of its own, that announces itself as it is told. */
class Announcer implements Disposable {
  readonly #worker: Worker | NodeWorker;
  readonly #tell: (order: Order) => void;
  #hear!: (answer: Answer) => void;
  readonly id!: number;

  private constructor(isWeb: boolean) {
    const url = new URL("./testdata/announcing_worker.ts", import.meta.url);
    if (isWeb) {
      const worker = new Worker(url, { type: "module" });
      worker.onmessage = ({ data }) => this.#hear(data);
      this.#tell = (order) => worker.postMessage(order);
      this.#worker = worker;
    } else {
      const worker = new NodeWorker(url);
      worker.on("message", (answer) => this.#hear(answer));
      this.#tell = (order) => worker.postMessage(order);
      this.#worker = worker;
    }
  }

  static async start(isWeb = true): Promise<Announcer> {
    const announcer = new Announcer(isWeb);
    const { id } = await announcer.#heard();
    return Object.assign(announcer, { id });
  }

  async tell(order: Order): Promise<Answer> {
    const heard = this.#heard();
    this.#tell(order);
    return await heard;
  }

  #heard(): Promise<Answer> {
    return new Promise((resolve) => this.#hear = resolve);
  }

  close(): void {
    this.#tell("close");
  }

  async terminate(): Promise<void> {
    await this.#worker.terminate();
  }

  [Symbol.dispose](): void {
    this.#worker.terminate();
  }
}

/** Runs a fixture in a process of its own, and returns what it prints. */
async function runFixture(flags: string[], ...args: string[]): Promise<string> {
  // Deno itself fails at its end if `globalThis` is not extensible
  const { output, messages } = await execute(Deno.execPath(), [
    "run",
    "--no-config",
    "--allow-read",
    ...flags,
    ...args,
  ]);
  if (output === "") throw new Error(messages);
  return output;
}

Deno.test("agentId() is an integer from 1 to 2^28 - 1 that stays the same", () => {
  const id = agentId();
  assert(Number.isInteger(id) && id >= 1 && id < 2 ** 28, `${id}`);
  assertEquals(agentId(), id);
});

Deno.test("agentId() and drawNonce() differ between workers whose random numbers are alike", async () => {
  const agents: Draws[] = JSON.parse(
    await runFixture(["--seed=1"], "tests/testdata/seeded_agents.ts"),
  );
  assertEquals(new Set(agents.slice(1).map(({ random }) => random)).size, 1);
  assertEquals(new Set(agents.map(({ id }) => id)).size, agents.length);
  for (const { id } of agents) assert(id >= 1 && id < 2 ** 28, `${id}`);
  // One in common would be a coincidence; all in a row may not be
  const firsts = agents.map(({ nonces }) => nonces[0]);
  assertEquals(new Set(firsts).size, agents.length);
  const steps = agents.map(({ nonces }) => nonces[1]! - nonces[0]! | 0);
  assertEquals(new Set(steps).size, agents.length);
});

Deno.test("drawNonce() returns each number once, and never 0", () => {
  const nonces = new Set(Array.from({ length: 100_000 }, drawNonce));
  assertEquals(nonces.size, 100_000);
  assert(!nonces.has(0));
  for (const nonce of nonces) assertEquals(nonce, nonce | 0);
});

Deno.test("drawNonce() passes 0 over, and steps so that it comes to each number", () => {
  const registry = new Map<string, unknown>([
    ["agent", { id: 1, salt: -1, factor: 1 }],
    ["nonces", { drawn: 0 }],
  ]);
  const realm = vm.createContext({
    [Symbol.for("@lazyinit/lazyinit")]: registry,
  });
  const { drawNonce }: Copy = vm.runInContext(agentScript(), realm);
  const nonce = drawNonce();
  assertNotEquals(nonce, 0);
  assertNotEquals(drawNonce(), nonce);
  assertEquals(registry.get("nonces"), { drawn: 3 });

  const { factor } = sharedByThread("agent", () => ({ factor: 0 }));
  assertEquals(factor & 1, 1);
});

Deno.test("agentId() is the same in all copies and realms of a thread that can reach each other", async () => {
  const { ids, strangeId, nonces, ends }: Copies = JSON.parse(
    await runFixture([], "tests/testdata/agent_copies.ts"),
  );
  assertEquals(new Set(ids).size, 1);
  assertNotEquals(strangeId, ids[0]);
  assertEquals(new Set(nonces).size, nonces.length);
  // Deno's ids are not those of threads
  assertEquals(ends, []);
});

for (
  const [what, globals, expected] of [
    ["in a worklet", [
      ...["crypto", "performance", "navigator", "process", "setTimeout"],
      ...[
        "clearTimeout",
        "SharedArrayBuffer",
        "TextEncoder",
        "AbortController",
      ],
    ], {
      canBlock: false,
      timer:
        "TypeError: Cannot wait with a timer as setTimeout is not defined in this agent",
    }],
    ["without Node's modules and Web Locks", ["process", "navigator"], {}],
    ["where globalThis is not extensible", ["extensible"], {}],
    ["where globalThis is not extensible and nothing else serves", [
      ...["process", "extensible"],
    ], {}],
  ] as const satisfies [string, string[], Partial<Remains>][]
) {
  Deno.test(`agentId() works ${what}`, async () => {
    const { ids, ...remains }: Remains = JSON.parse(
      await runFixture(
        [],
        "tests/testdata/agent_without_globals.ts",
        globals.join(),
      ),
    );
    assert(ids[0]! >= 1);
    assertEquals(ids[0], ids[1]);
    assertEquals(remains, {
      canBlock: true,
      isAnnounced: false,
      isTimeKnown: true,
      timer: "none",
      ...expected,
    });
  });
}

Deno.test("canBlock() tells whether Atomics.wait is allowed", () => {
  assertEquals(canBlock(), true);
});

Deno.test("now() and startTimer() use what was there when the module was loaded", async () => {
  const { performance, setTimeout, clearTimeout } = globalThis;
  const { now: originalNow } = performance;
  const stop = () => {
    throw new Error("Replaced");
  };
  performance.now = () => 0;
  globalThis.setTimeout = stop as unknown as typeof setTimeout;
  globalThis.clearTimeout = stop;
  try {
    assert(now() > 0);
    const stopped = startTimer(stop, 0);
    stopTimer(stopped);
    await new Promise<void>((resolve) => startTimer(resolve, 0));
  } finally {
    performance.now = originalNow;
    Object.assign(globalThis, { setTimeout, clearTimeout });
  }
});

Deno.test("announceAgent() resolves and announces nothing on the main thread of Deno", async () => {
  await announceAgent();
  assertEquals(isAnnounced(), false);
  const { held } = await locks.query();
  assert(!held.some(({ name }) => name === lockName({ id: agentId() })));
});

for (const isWeb of [true, false]) {
  const kind = isWeb ? "web worker" : "worker of Node's kind";

  for (const way of ["terminate", "close"] as const) {
    Deno.test(`watchAgent() tells of the end of an announced agent, and of no sooner (${kind}, ${way})`, async () => {
      using announcer = await Announcer.start(isWeb);
      const both = await announcer.tell("announce");
      assertEquals(both.isAnnounced, [true, true]);
      assertEquals(both.holdsLock, true);
      let ended: number | undefined;
      const stop = watchAgent(announcer.id, (id) => ended = id);
      await until(() => isWatched(announcer));
      // It still answers, and so it lives
      await announcer.tell("hold");
      assertEquals(ended, undefined);
      await announcer[way]();
      await until(() => ended !== undefined);
      assertEquals(ended, announcer.id);
      stop();
    });
  }
}

Deno.test("watchAgent() stops when it is told to", async () => {
  using announcer = await Announcer.start();
  await announcer.tell("announce");
  let ended = 0;
  const stop = watchAgent(announcer.id, () => ended++);
  const last = new Promise((resolve) => watchAgent(announcer.id, resolve));
  await until(() => isWatched(announcer));
  stop();
  await announcer.terminate();
  await last;
  assertEquals(ended, 0);
});

Deno.test("holdAgentLock() holds one lock for all copies until the last lets go", async () => {
  using announcer = await Announcer.start();
  const none = [false, false];
  assertEquals((await announcer.tell("hold")).holdsLock, true);
  let isReleased = false;
  watchAgent(announcer.id, () => isReleased = true);
  await until(() => isWatched(announcer));
  const { holdsLock, isAnnounced } = await announcer.tell("let go");
  assertEquals([holdsLock, isAnnounced], [true, none]);
  assertEquals(isReleased, false);
  await announcer.tell("let go");
  await until(() => isReleased);
  // It can be had again
  assertEquals((await announcer.tell("hold")).holdsLock, true);
});

Deno.test("announceAgent() keeps the lock that initializers let go", async () => {
  using announcer = await Announcer.start();
  await announcer.tell("hold");
  await announcer.tell("announce");
  await announcer.tell("let go");
  const { holdsLock, isAnnounced } = await announcer.tell("let go");
  assertEquals(holdsLock, true);
  assertEquals(isAnnounced, [true, true]);
});

/* Browsers, as far as contexts of node:vm can stand for their realms. */

type Request = Parameters<typeof locks.request>;

/** The Web Locks of a partition, which grant nothing and know what is asked for. */
class Partition {
  readonly asked: string[] = [];

  request(name: string, { signal }: Request[1]): Promise<unknown> {
    this.asked.push(name);
    return new Promise((_, reject) => {
      signal?.addEventListener("abort", () => reject(signal.reason));
    });
  }

  query(): Promise<{ held: { name: string }[] }> {
    const held = this.asked.map((name) => ({ name }));
    return Promise.resolve({ held });
  }
}

const FIRST_PARTY = "@lazyinit/lazyinit first party";

/** A realm of a browser. */
class Realm {
  readonly partition: Partition;
  readonly scope: object;
  readonly #context: vm.Context;
  readonly #listeners: Record<string, (event: object) => void> = {};

  constructor(partition: Partition, globals: object) {
    this.partition = partition;
    this.#context = vm.createContext({
      navigator: { locks: partition },
      crossOriginIsolated: true,
      AbortController,
      addEventListener: (name: string, listener: () => void) => {
        this.#listeners[name] = listener;
      },
      ...globals,
    });
    this.scope = vm.runInContext("globalThis", this.#context);
  }

  static worker(partition: Partition): Realm {
    return new Realm(partition, { WorkerGlobalScope: true });
  }

  /** A window; without a parent, a top-level one. */
  static window(partition: Partition, parent?: object): Realm {
    const realm = new Realm(partition, { document: {}, parent });
    if (parent === undefined) {
      Object.assign(realm.scope, { parent: realm.scope });
    }
    return realm;
  }

  load(): Copy {
    return vm.runInContext(agentScript(), this.#context);
  }

  dispatch(name: string, event: object): void {
    this.#listeners[name]?.(event);
  }
}

/** How a window of another origin looks. */
function foreign(window: { parent?: object }): object {
  return new Proxy(window, {
    get(target, name, receiver) {
      if (name === "parent") {
        return target.parent === target ? receiver : foreign(target.parent!);
      }
      throw new DOMException("Blocked a frame", "SecurityError");
    },
    defineProperty() {
      throw new DOMException("Blocked a frame", "SecurityError");
    },
  });
}

/** The lock names that an agent asks for when it watches another one. */
async function askedToWatch(
  agent: Copy,
  partition: Partition,
): Promise<number> {
  const stop = agent.watchAgent(7, () => {});
  // Longer than it takes to find out whether the partition is the right one
  await new Promise((resolve) => startTimer(resolve as () => void, 0));
  stop();
  return partition.asked.filter((name) => name === lockName({ id: 7 })).length;
}

Deno.test("agentId() is that of the top-level page in frames of its origin", () => {
  const partition = new Partition();
  const page = Realm.window(partition);
  const frame = Realm.window(partition, page.scope);
  const inner = Realm.window(partition, frame.scope);
  const id = inner.load().agentId();
  assertEquals(page.load().agentId(), id);
  assertEquals(frame.load().agentId(), id);
  // Two windows have two
  assertNotEquals(Realm.window(partition).load().agentId(), id);
});

Deno.test("agentId() is that of the outermost reachable frame below a foreign page", () => {
  const page = Realm.window(new Partition());
  const partition = new Partition();
  const frame = Realm.window(partition, foreign(page.scope));
  const inner = Realm.window(partition, frame.scope);
  assertEquals(inner.load().agentId(), frame.load().agentId());
  assertNotEquals(inner.load().agentId(), page.load().agentId());
});

Deno.test("watchAgent() in a frame within a foreign one asks in the partition of the top-level page", async () => {
  const [partition, inner] = [new Partition(), new Partition()];
  const page = Realm.window(partition);
  const middle = Realm.window(new Partition(), foreign(page.scope));
  const frame = Realm.window(inner, foreign(middle.scope));
  // As the top-level page is of the same origin
  Object.assign(frame.scope, {
    parent: new Proxy(middle.scope, {
      get(_, name) {
        if (name === "parent") return page.scope;
        throw new DOMException("Blocked a frame", "SecurityError");
      },
    }),
  });
  const agent = frame.load();
  assertEquals(agent.agentId(), page.load().agentId());
  assertEquals(await askedToWatch(agent, partition), 1);
  assertEquals(inner.asked, []);
});

Deno.test("watchAgent() asks for nothing below a foreign page", async () => {
  const page = Realm.window(new Partition());
  const partition = new Partition();
  const frame = Realm.window(partition, foreign(page.scope));
  assertEquals(await askedToWatch(frame.load(), partition), 0);
  assertEquals(partition.asked, []);
});

Deno.test("announceAgent() and watchAgent() trust a browser's worker in the partition of a top-level page alone", async () => {
  const partition = new Partition();
  const worker = Realm.worker(partition);
  const agent = worker.load();
  await agent.announceAgent();
  agent.holdAgentLock(() => {});
  assertEquals(await askedToWatch(agent, partition), 0);
  assertEquals([partition.asked, agent.isAnnounced()], [[], false]);

  Realm.window(partition).load();
  assertEquals(partition.asked, [FIRST_PARTY]);
  assertEquals(await askedToWatch(agent, partition), 1);
  agent.announceAgent();
  await until(() =>
    partition.asked.includes(lockName({ id: agent.agentId() }))
  );
});

Deno.test("announceAgent() does nothing in a page", async () => {
  const partition = new Partition();
  const agent = Realm.window(partition).load();
  await agent.announceAgent();
  let isHeld = false;
  agent.holdAgentLock(() => isHeld = true)();
  assertEquals([agent.isAnnounced(), isHeld], [false, false]);
  assertEquals(partition.asked, [FIRST_PARTY]);
});

Deno.test("announceAgent() rejects if the platform refuses, and asks again", async () => {
  const partition = new Partition();
  Realm.window(partition).load();
  const agent = Realm.worker(partition).load();
  const { request } = partition;
  const refusal = new DOMException("The origin is opaque", "SecurityError");
  partition.request = () => Promise.reject(refusal);
  // An initializer wants the lock all the while
  agent.holdAgentLock(() => {});
  const error = await agent.announceAgent().catch((error) => error);
  assertEquals([error, agent.isAnnounced()], [refusal, false]);
  partition.request = request;
  agent.announceAgent();
  await until(() =>
    partition.asked.includes(lockName({ id: agent.agentId() }))
  );
});

Deno.test("whenFrameEnds() tells a frame of its end, not of a pause, and a page of nothing", () => {
  const partition = new Partition();
  const page = Realm.window(partition);
  const frame = Realm.window(partition, page.scope);
  let ends = 0;
  for (const realm of [page, frame]) realm.load().whenFrameEnds(() => ends++);
  for (const realm of [page, frame]) {
    realm.dispatch("pagehide", { persisted: true });
  }
  assertEquals(ends, 0);
  page.dispatch("pagehide", { persisted: false });
  assertEquals(ends, 0);
  frame.dispatch("pagehide", { persisted: false });
  assertEquals(ends, 1);
});
