// Copyright 2026 the lazyinit authors. MIT license.
/// <reference lib="deno.worker" />

/* A worker where workers are those of the web: in Deno, Bun and browsers. */

import { Port } from "./port.ts";
import { type Library, servePeer } from "./suite.ts";

const port = new Port((message) => self.postMessage(message));

self.onmessage = async ({ data }) => {
  self.onmessage = ({ data }) => port.receive(data);
  const library: Library = await import(data.library);
  await servePeer(data.caseName, data.sleepers, {
    library,
    port,
    close: () => self.close(),
  });
};
