// Copyright 2026 the lazyinit authors. MIT license.

import { startEtcd, startPostgres } from "./servers.ts";
import type { Engine, StoreAddress } from "./stores.ts";

/** An engine and what it takes to stop and start it. */
export interface RunningEngine extends AsyncDisposable {
  readonly address: StoreAddress;
  /** For engines with a server. */
  readonly restart?: () => Promise<void>;
  readonly kill?: () => Promise<void>;
}

async function startFile(engine: Engine): Promise<RunningEngine> {
  const folder = await Deno.makeTempDir();
  return {
    address: { engine, places: [`${folder}/store.db`] },
    async [Symbol.asyncDispose]() {
      await Deno.remove(folder, { recursive: true });
    },
  };
}

/** Starts an engine of its own for a test. */
export async function startEngine(engine: Engine): Promise<RunningEngine> {
  switch (engine) {
    case "sqlite":
    case "deno-kv":
      return await startFile(engine);
    case "etcd": {
      const cluster = await startEtcd(1);
      const [server] = cluster.members;
      return {
        address: { engine, places: cluster.endpoints },
        kill: server!.kill,
        restart: server!.restart,
        [Symbol.asyncDispose]: cluster[Symbol.asyncDispose],
      };
    }
    case "postgres": {
      const server = await startPostgres();
      return {
        address: { engine, places: ["127.0.0.1", String(server.port)] },
        kill: server.kill,
        restart: server.restart,
        [Symbol.asyncDispose]: server[Symbol.asyncDispose],
      };
    }
  }
}
