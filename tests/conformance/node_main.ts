// Copyright 2026 the lazyinit authors. MIT license.

/* Runs the suite in Node, and prints a line of JSON for each case: `node node_main.js LIBRARY`. */

import process from "node:process";
import { inspect } from "node:util";
import {
  isMainThread,
  parentPort,
  Worker,
  workerData,
} from "node:worker_threads";
import { FATES } from "./ends.ts";
import { Port } from "./port.ts";
import { type Library, type Peer, runSuite, servePeer } from "./suite.ts";

function spawn(
  library: string,
  caseName: string,
  sleepers: SharedArrayBuffer,
): Peer {
  const worker = new Worker(new URL(import.meta.url), {
    workerData: { library, caseName, sleepers },
  });
  const port = new Port((message) => worker.postMessage(message));
  worker.on("message", (message) => port.receive(message));
  // Some cases mean errors that nobody catches; any other is an answer that never comes
  worker.on("error", () => {});
  return {
    port,
    ended: new Promise((resolve) => worker.once("exit", () => resolve())),
    terminate: () => void worker.terminate(),
  };
}

const major = Number.parseInt(process.versions.node);

if (isMainThread) {
  const specifier = process.argv[2]!;
  const library: Library = await import(specifier);
  await runSuite({
    library,
    fates: FATES.Node,
    hasAsyncContext: true,
    ...(major < 24 ? { cannotOpen: "has no Web Locks" } : {}),
    inspect,
    spawn: (caseName, sleepers) => spawn(specifier, caseName, sleepers),
  }, (result) => process.stdout.write(`${JSON.stringify(result)}\n`));
  // What a case has left waiting would keep the process alive
  process.exit();
} else {
  const port = new Port((message) => parentPort!.postMessage(message));
  parentPort!.on("message", (message) => port.receive(message));
  const library: Library = await import(workerData.library);
  await servePeer(workerData.caseName, workerData.sleepers, {
    library,
    port,
    close: () => process.exit(),
  });
}
