// Copyright 2026 the lazyinit authors. MIT license.
// deno-lint-ignore-file no-console

/**
 * Loads the server and prints what it does, with one index for all workers and with an
 * index for each, in turn; with `--json`, for `deno task bench:report`.
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
/** How long it may take over one request, in ms. */
const REQUEST_PATIENCE = 30_000;
/** How long it may take to end, in ms. */
const END_PATIENCE = 5_000;
/** How often each server is started. */
const STARTS = 3;

const WAYS = [
  { title: "One index for all", module: "main.ts" },
  { title: "One index each", module: "each.ts" },
];

const PLACES = [[48.86, 2.35], [-1.29, 36.82], [-36.85, 174.76], [0, -160]];

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "5" },
    connections: { type: "string", default: "16" },
    json: { type: "boolean", default: false },
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
  readonly #endWithProgram = () => {
    this.#process.kill("SIGKILL");
    Deno.exit(1);
  };

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
    Deno.addSignalListener("SIGTERM", this.#endWithProgram);
  }

  async get<T>(path: string): Promise<T> {
    // A connection of its own each time, as any worker may take it
    const response = await fetch(this.address + path, {
      headers: { Connection: "close" },
      // One that a worker has taken which then ended is never answered
      signal: AbortSignal.timeout(REQUEST_PATIENCE),
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
    Deno.removeSignalListener("SIGTERM", this.#endWithProgram);
    this.#process.kill("SIGTERM");
    // A worker that starts just then would hold its name
    const timer = setTimeout(() => this.#process.kill("SIGKILL"), END_PATIENCE);
    await this.#process.status;
    clearTimeout(timer);
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

/** How long it takes until a server that starts has answered first, in ms. */
async function measureStart(module: string): Promise<number> {
  const start = performance.now();
  await using server = new Server(module);
  await server.firstAnswer();
  return performance.now() - start;
}

async function measure(
  module: string,
  startMilliseconds: number,
): Promise<Outcome> {
  await using server = new Server(module);
  await server.firstAnswer();
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

const starts = WAYS.map(() => [] as number[]);
for (let i = 0; i < STARTS; i++) {
  for (const [way, { title, module }] of WAYS.entries()) {
    console.error(`Starting: ${title.toLowerCase()}`);
    starts[way]!.push(await measureStart(module));
  }
}
const outcomes: Outcome[] = [];
for (const [way, { title, module }] of WAYS.entries()) {
  console.error(`Loading: ${title.toLowerCase()}`);
  // The first one finds nothing in the caches of the file system
  outcomes.push(await measure(module, Math.min(...starts[way]!)));
}
if (new Set(outcomes.map(({ answers }) => answers)).size !== 1) {
  throw new Error("The servers gave different answers to the same requests");
}

/** What is printed of an outcome, in which unit. */
const ROWS: [string, string, (outcome: Outcome) => number][] = [
  ["Requests a second", "", (it) => it.requestsPerSecond],
  ["Half of them within", "ms", (it) => it.p50],
  ["99 % of them within", "ms", (it) => it.p99],
  ["Start to first answer", "ms", (it) => it.startMilliseconds],
  ["Resident memory", "MB", (it) => it.residentBytes / 1e6],
  ["Workers that built an index", "", (it) => it.builders],
];

function printTable(): void {
  const line = (label: string, cells: readonly string[]) =>
    console.log(
      label.padEnd(30) + cells.map((cell) => cell.padStart(20)).join(""),
    );
  console.log(
    `\n${WORKERS} workers, ${connections} connections, ${seconds} seconds\n`,
  );
  line("", WAYS.map(({ title }) => title));
  for (const [label, unit, of] of ROWS) {
    const decimals = outcomes.map((outcome) =>
      of(outcome).toLocaleString("en", { maximumFractionDigits: 0 })
    );
    line(label, decimals.map((decimal) => `${decimal} ${unit}`.trim()));
  }
  console.log(
    "\nChecked: no request failed, during a reload either, and all answers are the same.",
  );
}

function printJson(): void {
  const rows = outcomes.map((outcome, way) => ({
    name: WAYS[way]!.title,
    figures: Object.fromEntries(
      ROWS.map(([label, unit, of]) => [
        unit === "" ? label : `${label}, ${unit}`,
        of(outcome),
      ]),
    ),
  }));
  console.log(JSON.stringify(rows));
}

if (values.json) printJson();
else printTable();
