// Copyright 2026 the lazyinit authors. MIT license.
// deno-lint-ignore-file no-console

/**
 * Loads the server and prints what it does, with one index for all workers and with an
 * index for each, in turn.
 *
 * ```sh
 * deno task demo:server:load --seconds 10 --connections 32
 * ```
 *
 * @module
 */

import autocannon from "autocannon";
import { parseArgs } from "node:util";
import type { Found } from "./cities.ts";
import type { Status } from "./respond.ts";

const WORKERS = 4;
/** How long a server may take to answer first, in ms. */
const PATIENCE = 60_000;

const WAYS = [
  { title: "One index for all", module: "main.ts" },
  { title: "One index each", module: "each.ts" },
];

const PLACES = [[48.86, 2.35], [-1.29, 36.82], [-36.85, 174.76], [0, -160]];

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "5" },
    connections: { type: "string", default: "16" },
  },
});
const [seconds, connections] = [values.seconds, values.connections].map(Number);

/** What came of one way. */
interface Outcome {
  readonly startMilliseconds: number;
  readonly requestsPerSecond: number;
  readonly p50: number;
  readonly p99: number;
  readonly residentBytes: number;
  readonly builders: number;
  readonly answers: string;
}

class Server implements AsyncDisposable {
  readonly address: string;
  readonly #process: Deno.ChildProcess;

  constructor(module: string) {
    const port = freePort();
    this.address = `http://127.0.0.1:${port}`;
    this.#process = new Deno.Command(Deno.execPath(), {
      args: [
        "serve",
        "--quiet",
        "--no-check",
        "--parallel",
        "--host=127.0.0.1",
        `--port=${port}`,
        "--allow-read",
        new URL(import.meta.resolve(`./${module}`)).pathname,
      ],
      env: { DENO_JOBS: String(WORKERS) },
    }).spawn();
  }

  async get<T>(path: string): Promise<T> {
    // A connection of its own each time, as any worker may take it
    const response = await fetch(this.address + path, {
      headers: { Connection: "close" },
    });
    if (!response.ok) throw new Error(`${path}: ${await response.text()}`);
    return await response.json();
  }

  /** Resolves with the first answer. */
  async firstAnswer(): Promise<Found[]> {
    const deadline = performance.now() + PATIENCE;
    for (;;) {
      try {
        return await this.get(nearest(PLACES[0]!));
      } catch (error) {
        if (performance.now() > deadline) throw error;
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    }
  }

  /** Resolves with what each worker says, when all of them have answered. */
  async allWorkers(): Promise<Status[]> {
    const statuses = new Map<number, Status>();
    const deadline = performance.now() + PATIENCE;
    while (statuses.size < WORKERS) {
      if (performance.now() > deadline) {
        throw new Error(`${statuses.size} of ${WORKERS} workers have answered`);
      }
      const status = await this.get<Status>("/");
      statuses.set(status.worker, status);
    }
    return [...statuses.values()];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill("SIGTERM");
    await this.#process.status;
  }
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

function nearest([latitude, longitude]: readonly number[]): string {
  return `/nearest?lat=${latitude}&lng=${longitude}`;
}

/** Sends requests for a while; throws if one of them fails. */
async function load(
  server: Server,
  duration: number,
): Promise<autocannon.Result> {
  const result = await autocannon({
    url: server.address,
    connections: connections!,
    duration,
    requests: PLACES.map((place) => ({ path: nearest(place) })),
  });
  const { errors, timeouts, non2xx } = result;
  if (errors + timeouts + non2xx === 0) return result;
  throw new Error(
    `${errors} errors, ${timeouts} timeouts and ${non2xx} answers other than 2xx`,
  );
}

async function measure(module: string): Promise<Outcome> {
  const start = performance.now();
  await using server = new Server(module);
  await server.firstAnswer();
  const startMilliseconds = performance.now() - start;
  // All of them must be warm
  await server.allWorkers();
  await load(server, 2);
  const { requests, latency } = await load(server, seconds!);
  const statuses = await server.allWorkers();
  // A reload beside requests, none of which may fail
  const loaded = load(server, 3);
  const reloaded = await fetch(`${server.address}/reload`, { method: "POST" });
  if (!reloaded.ok) throw new Error(await reloaded.text());
  await loaded;
  const answers = await Promise.all(
    PLACES.map((place) => server.get<Found[]>(nearest(place))),
  );
  return {
    startMilliseconds,
    requestsPerSecond: requests.average,
    p50: latency.p50,
    p99: latency.p99,
    residentBytes: statuses.at(-1)!.residentBytes,
    builders: new Set(statuses.map(({ builder }) => builder)).size,
    answers: JSON.stringify(answers),
  };
}

const outcomes: Outcome[] = [];
for (const { title, module } of WAYS) {
  console.error(`Loading: ${title.toLowerCase()}`);
  outcomes.push(await measure(module));
}
if (new Set(outcomes.map(({ answers }) => answers)).size !== 1) {
  throw new Error("The servers gave different answers to the same requests");
}

function row(label: string, cells: readonly string[]): void {
  console.log(
    label.padEnd(30) + cells.map((cell) => cell.padStart(20)).join(""),
  );
}
const decimal = (value: number) =>
  value.toLocaleString("en", { maximumFractionDigits: 0 });
console.log(`
${WORKERS} workers, ${connections} connections, ${seconds} seconds
`);
row("", WAYS.map(({ title }) => title));
const rows: [string, (outcome: Outcome) => string][] = [
  ["Requests a second", (it) => decimal(it.requestsPerSecond)],
  ["Half of them within", (it) => `${it.p50} ms`],
  ["99 % of them within", (it) => `${it.p99} ms`],
  ["Start to first answer", (it) => `${decimal(it.startMilliseconds)} ms`],
  ["Resident memory", (it) => `${decimal(it.residentBytes / 1e6)} MB`],
  ["Workers that built an index", (it) => String(it.builders)],
];
for (const [label, cellOf] of rows) row(label, outcomes.map(cellOf));
console.log(`
Checked: no request failed, during a reload either, and all answers are the same.`);
