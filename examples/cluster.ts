// Copyright 2026 the lazyinit authors. MIT license.
// deno-lint-ignore-file no-console

/**
 * Three processes of four workers each need one index of cities. One process computes
 * it, and is killed while it does; another takes over; all of them get its index, and
 * keep it in one shared memory for each process.
 *
 * ```sh
 * deno run --allow-all examples/cluster.ts
 * deno run --allow-all examples/cluster.ts --store etcd --endpoint http://127.0.0.1:2379
 * ```
 *
 * @module
 */

import { parseArgs } from "node:util";
import {
  CITY_LIMITS,
  type Engine,
  type Event,
  LEASE,
  loadCoordinates,
  type Task,
} from "./cluster_index.ts";

const PROCESSES = 3;
const WORKERS = 4;
const BYTES_PER_MEGABYTE = 1e6;

const USAGE = `\
Usage: deno run --allow-all examples/cluster.ts [options]

Options:
  --store NAME    sqlite (by default) or etcd, which must run
  --endpoint URL  where etcd listens; can be repeated; http://127.0.0.1:2379 by default
  -h, --help      show this and exit`;

const { values } = parseArgs({
  options: {
    store: { type: "string", default: "sqlite" },
    endpoint: {
      type: "string",
      multiple: true,
      default: ["http://127.0.0.1:2379"],
    },
    help: { type: "boolean", short: "h", default: false },
  },
});
if (values.help) {
  console.log(USAGE);
  Deno.exit(0);
}
if (values.store !== "sqlite" && values.store !== "etcd") {
  console.error(
    `error: --store must be sqlite or etcd: current value is "${values.store}"`,
  );
  Deno.exit(1);
}

const beginning = performance.now();

function tell(text: string): void {
  const seconds = (performance.now() - beginning) / 1_000;
  console.log(`${seconds.toFixed(2).padStart(7)} s  ${text}`);
}

/** A process of the cluster. */
class Process {
  readonly name: string;
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;

  constructor(name: string, task: Task) {
    this.name = name;
    this.#child = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--no-check",
        "--allow-all",
        new URL("cluster_process.ts", import.meta.url).pathname,
        JSON.stringify(task),
      ],
      cwd: new URL("../", import.meta.url),
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    this.#input = this.#child.stdin.getWriter();
  }

  async *events(): AsyncIterable<Event> {
    let rest = "";
    const text = this.#child.stdout.pipeThrough(new TextDecoderStream());
    for await (const chunk of text) {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop()!;
      for (const line of lines) yield JSON.parse(line);
    }
  }

  goOn(): void {
    this.#input.write(new TextEncoder().encode("\n")).catch(() => {});
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }

  async end(): Promise<void> {
    await this.#input.close().catch(() => {});
    await this.#child.status;
  }
}

const engine: Engine = values.store;
const folder = await Deno.makeTempDir();
const { length } = await loadCoordinates(CITY_LIMITS[engine]);
const task: Task = {
  engine,
  places: engine === "sqlite" ? [`${folder}/demo.db`] : values.endpoint,
  key: `cities ${crypto.randomUUID()}`,
  cityCount: length / 2,
  workers: WORKERS,
};
console.log(
  `${PROCESSES} processes of ${WORKERS} workers need one index of ${
    task.cityCount.toLocaleString("en")
  } cities, over ${engine}.`,
);

const processes = Array.from(
  { length: PROCESSES },
  (_, index) => new Process(`Process ${index + 1}`, task),
);
let killed = 0;
let killedAt = 0;
let built = 0;
let bytes = 0;
const answers = new Set<string>();
let served = 0;

await Promise.all(processes.map(async (process) => {
  for await (const event of process.events()) {
    switch (event.kind) {
      case "begins":
        tell(`${process.name} computes the index, with token ${event.token}`);
        if (killed === 0) {
          killed++;
          killedAt = performance.now();
          process.kill();
          tell(`${process.name} is killed (kill -9)`);
        } else {
          const seconds = (performance.now() - killedAt) / 1_000;
          tell(
            `${process.name} has taken over after ${
              seconds.toFixed(2)
            } s, as the lease is ${LEASE / 1_000} s`,
          );
          process.goOn();
        }
        break;
      case "has":
        if (event.built > 0) built = event.built;
        bytes = event.bytes;
        tell(
          `${process.name} has the index${
            event.built > 0
              ? `, which it has computed in ${event.built.toFixed(0)} ms`
              : " from the store"
          }`,
        );
        break;
      case "answers":
        for (const answer of event.answers) answers.add(answer);
        served += event.answers.length;
        tell(`${process.name}: ${WORKERS} workers answer from its one copy`);
        process.end();
    }
  }
}));
await Deno.remove(folder, { recursive: true });

const survivors = PROCESSES - killed;
if (answers.size !== 1 || served !== survivors * WORKERS) {
  console.error("error: the workers gave different answers");
  Deno.exit(1);
}
const megabytes = (count: number) =>
  `${(count * bytes / BYTES_PER_MEGABYTE).toFixed(1)} MB`;
const milliseconds = (count: number) => `${(count * built).toFixed(0)} ms`;
console.log(`
${"".padEnd(24)}${"This way".padStart(14)}${"One for each worker".padStart(24)}
${"Indexes computed".padEnd(24)}${"1".padStart(14)}${
  String(served).padStart(24)
}
${"Time to compute".padEnd(24)}${milliseconds(1).padStart(14)}${
  milliseconds(served).padStart(24)
}
${"Memory of indexes".padEnd(24)}${megabytes(survivors).padStart(14)}${
  megabytes(served).padStart(24)
}

Checked: one process computed the index that all ${served} workers use, and their answers are the same.`);
