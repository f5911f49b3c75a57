// Copyright 2026 the lazyinit authors. MIT license.

import { assert, assertEquals } from "@std/assert";
import { MutexLazyInit, typedArray } from "../mod.ts";
import { Flag, until } from "./_flag.ts";
import type { Order, Report } from "./testdata/weights_worker.ts";

/** 64 MB of weights. */
const WEIGHTS = 16_000_000;
const READERS = 4;
const RELOADS = 20;

/** An agent that reads weights. */
class Reader implements Disposable {
  readonly #worker = new Worker(
    new URL("./testdata/weights_worker.ts", import.meta.url),
    { type: "module" },
  );

  /** Gives an order, and resolves with what comes of it. */
  // deno-lint-ignore no-explicit-any
  do(order: Order): Promise<any> {
    return new Promise((resolve, reject) => {
      this.#worker.onmessage = ({ data }) => resolve(data);
      this.#worker.onerror = (event) => {
        event.preventDefault();
        reject(new Error(event.message));
      };
      this.#worker.postMessage(order);
    });
  }

  [Symbol.dispose](): void {
    this.#worker.terminate();
  }
}

function load(cell: MutexLazyInit<Float32Array>, model: number): void {
  cell.init((_slot, allocate) => allocate(WEIGHTS).fill(model));
}

Deno.test("MutexLazyInit.read() sees no torn weights while another agent reloads them", async () => {
  const cell = new MutexLazyInit(typedArray(Float32Array));
  const { handle } = cell;
  load(cell, 1);
  const stop = new Flag();
  const seen = Array.from(
    { length: READERS },
    () => new SharedArrayBuffer(4),
  );
  using stack = new DisposableStack();
  const reports = seen.map((word): Promise<Report> =>
    stack.use(new Reader())
      .do({ kind: "read", handle, seen: word, stop: stop.buffer })
  );
  const failed = Promise.all(reports);
  for (let model = 2; model <= RELOADS + 1; model++) {
    // All have seen the last one
    await Promise.race([
      failed,
      until(() =>
        seen.every((word) =>
          Atomics.load(new Int32Array(word), 0) === model - 1
        )
      ),
    ]);
    // In both ways
    if (model % 2 === 0) cell.reset();
    else await cell.resetAsync();
    load(cell, model);
  }
  stop.raise();
  for (const { reads, torn } of await Promise.all(reports)) {
    assertEquals(torn, 0);
    assert(reads >= RELOADS);
  }
});

Deno.test("MutexLazyInit.read() calls its reader again where a held view shows two models", async () => {
  const cell = new MutexLazyInit(typedArray(Float32Array));
  const models: Record<string, number> = {};
  using reader = new Reader();
  for (const by of ["read()", "a held view"] as const) {
    load(cell, 1);
    const [half, reloaded] = [new Flag(), new Flag()];
    const model = reader.do({
      kind: "pause",
      handle: cell.handle,
      by,
      half: half.buffer,
      reloaded: reloaded.buffer,
    });
    await half.raised();
    cell.reset();
    load(cell, 2);
    reloaded.raise();
    models[by] = await model;
    cell.reset();
  }
  // -1 is what the weights of several models are
  assertEquals(models, { "read()": 2, "a held view": -1 });
});
