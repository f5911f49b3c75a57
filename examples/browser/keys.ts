// Copyright 2026 the lazyinit authors. MIT license.
/// <reference lib="dom" />

/**
 * A cell for each key: which worker makes which value of a map.
 *
 * @module
 */

import { bool, int32, LazyInit, LazyInitMap } from "../../mod.ts";
import { byId, element, onSubmit, startWorker, tell } from "./dom.ts";
import { type KeysJob, type KeysMessage, makerCodec } from "./messages.ts";

const WORKERS = [1, 2, 3, 4];
const KEYS = Array.from({ length: 48 }, (_, key) => key);

/** Wires up the section. */
export function startKeys(): void {
  show(new Map());
  const status = byId("keys-status", HTMLElement);
  onSubmit(byId("keys", HTMLFormElement), async () => {
    tell(status, "The workers start.");
    const map = new LazyInitMap(int32, makerCodec, { name: "makers" });
    let isFilled = false;
    function draw(): void {
      // No worker reports its keys: the page reads the memory that all of them share
      show(new Map(map));
      if (!isFilled) requestAnimationFrame(draw);
    }
    draw();
    const calls = await fill(map);
    isFilled = true;
    draw();
    tell(
      status,
      `${map.size} keys, ${calls} initializer calls. The other ${
        KEYS.length * WORKERS.length - calls
      } requests got the value of another worker.`,
    );
  });
}

/** Has the workers fill the map, and resolves with how many initializers were called. */
async function fill(map: LazyInitMap<number, number>): Promise<number> {
  const calls = new Int32Array(new SharedArrayBuffer(4));
  const start = new LazyInit(bool, { name: "start signal" });
  let readyCount = 0;
  await Promise.all(WORKERS.map((worker) =>
    new Promise<void>((resolve) => {
      const started = startWorker("keys_worker.js");
      started.onmessage = ({ data }: MessageEvent<KeysMessage>) => {
        if (data === "done") {
          started.terminate();
          resolve();
        } else if (++readyCount === WORKERS.length) start.initOnce(true);
      };
      const job: KeysJob = {
        worker,
        map: map.handle,
        keyCount: KEYS.length,
        calls,
        start: start.handle,
      };
      started.postMessage(job);
    })
  ));
  return calls[0]!;
}

function show(makers: ReadonlyMap<number, number>): void {
  byId("keys-list", HTMLElement).replaceChildren(
    ...KEYS.map((key) => {
      const maker = makers.get(key);
      return maker === undefined
        ? element("li", {}, "–")
        : element("li", { class: `maker-${maker}` }, String(maker));
    }),
  );
  byId("makers", HTMLElement).replaceChildren(...WORKERS.map((worker) => {
    const made = [...makers.values()].filter((maker) => maker === worker);
    return element(
      "li",
      {},
      element("span", {
        class: `swatch maker-${worker}`,
        "aria-hidden": "true",
      }),
      `Worker ${worker}: ${made.length}`,
    );
  }));
}
