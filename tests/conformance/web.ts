// Copyright 2026 the lazyinit authors. MIT license.

import { Port } from "./port.ts";
import type { Peer } from "./suite.ts";

/** Starts a worker of the web, which imports the library from `library`. */
export function spawnWebWorker(
  url: URL,
  library: string,
  caseName: string,
  sleepers: SharedArrayBuffer,
): Peer {
  const worker = new Worker(url, { type: "module" });
  const port = new Port((message) => worker.postMessage(message));
  worker.onmessage = ({ data }) => port.receive(data);
  // Some cases mean errors that nobody catches; any other is an answer that never comes
  worker.onerror = (event) => event.preventDefault();
  worker.postMessage({ library, caseName, sleepers });
  const peer = { port, terminate: () => worker.terminate() };
  if (!("Bun" in globalThis)) return peer;
  // Only Bun has this event
  const ended = new Promise<void>((resolve) =>
    worker.addEventListener("close", () => resolve())
  );
  return { ...peer, ended };
}
