// Copyright 2026 the lazyinit authors. MIT license.

import { assert, assertEquals } from "@std/assert";
import type { Found } from "../../examples/server/cities.ts";
import type { Status } from "../../examples/server/respond.ts";
import { until } from "../_flag.ts";

const WORKERS = 4;

Deno.test("open() gives the workers of deno serve --parallel one cell, which dispose() lets end", async () => {
  const port = freePort();
  const address = `http://127.0.0.1:${port}`;
  const server = new Deno.Command(Deno.execPath(), {
    args: [
      "serve",
      "--quiet",
      "--no-check",
      "--parallel",
      "--host=127.0.0.1",
      `--port=${port}`,
      "--allow-read",
      "examples/server/main.ts",
    ],
    cwd: new URL("../../", import.meta.url),
    env: { DENO_JOBS: String(WORKERS) },
  }).spawn();

  /** A connection of its own each time, as any worker may take it. */
  async function get<T>(path: string): Promise<T> {
    const headers = { Connection: "close" };
    const response = await fetch(address + path, { headers });
    assert(response.ok);
    return await response.json();
  }

  /** Resolves with the worker that has built the index, when all workers have named it. */
  async function builder(): Promise<number> {
    const builders = new Map<number, number>();
    await until(async () => {
      const { worker, builder } = await get<Status>("/");
      builders.set(worker, builder);
      return builders.size === WORKERS;
    });
    assertEquals(new Set(builders.values()).size, 1);
    return [...builders.values()][0]!;
  }

  try {
    await until(async () => {
      try {
        const [nearest] = await get<Found[]>("/nearest?lat=48.86&lng=2.35");
        return nearest!.name.startsWith("Paris");
      } catch {
        return false;
      }
    });
    assert(await builder() > 0);
    const reloading = fetch(`${address}/reload`, { method: "POST" });
    const answers = await Promise.all(
      Array.from(
        { length: 50 },
        () => get<Found[]>("/nearest?lat=-1.29&lng=36.82"),
      ),
    );
    for (const [nearest] of answers) assertEquals(nearest!.name, "Nairobi");
    assertEquals((await reloading).status, 204);
    assert(await builder() > 0);
  } finally {
    server.kill("SIGTERM");
  }
  // At its own wish
  assertEquals((await server.status).signal, null);
});

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}
