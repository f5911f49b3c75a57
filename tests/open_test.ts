// Copyright 2026 the lazyinit authors. MIT license.

import { assertEquals, assertRejects } from "@std/assert";
import {
  int32,
  LazyInit,
  type LazyInitOpenOptions,
  MutexLazyInit,
} from "../mod.ts";
import { run } from "./_commands.ts";
import { Flag, until } from "./_flag.ts";
import {
  countQuestions,
  openAndGet,
  rejection,
  SCENARIOS,
} from "./_open_scenarios.ts";
import { withOpeners } from "./_openers.ts";
import type { Task } from "./testdata/blocked_opener.ts";

for (const [name, scenario] of Object.entries(SCENARIOS)) {
  Deno.test(name, scenario);
}

Deno.test("open() waits for its signal while a web worker that was terminated and is blocked holds the name", () =>
  withOpeners(1, async (opener) => {
    const name = "blocked for ever";
    const url = new URL("./testdata/blocked_opener.ts", import.meta.url);
    const worker = new Worker(url, { type: "module" });
    const [entered, leave] = [new Flag(), new Flag()];
    const task: Task = { name, entered: entered.buffer, leave: leave.buffer };
    worker.postMessage(task);
    await entered.raised();
    worker.terminate();
    using questions = countQuestions(name);
    const opened = opener.do({ kind: "open", name });
    await until(() => questions.count >= 4);
    await opener.do({ kind: "abort", label: name });
    const { message } = await rejection(opened);
    assertEquals(message, "Aborted by the test");
    // It ends now
    leave.raise();
    assertEquals(await openAndGet(opener, name, 2), 2);
  }));

Deno.test("open() keeps nothing alive once the cell is disposed of, or its signal is aborted", async () => {
  const output = await run(Deno.execPath(), [
    "run",
    "--no-check",
    "--quiet",
    "--allow-read",
    "tests/testdata/brief_opener.ts",
  ]);
  assertEquals(output, "Aborted\n");
});

for (const kind of [LazyInit, MutexLazyInit]) {
  Deno.test(`${kind.name}.open() rejects bad arguments at once`, async () => {
    const cases: [unknown, unknown, unknown, string][] = [
      [
        1,
        int32,
        {},
        "Cannot open the cell as 'name' must be a string: current value is 1",
      ],
      [
        "name",
        {},
        {},
        "Cannot use the codec as 'codec' must have 'tag', 'byteLength', 'encode' and 'decode': current value is an object",
      ],
      [
        "name",
        int32,
        null,
        "Cannot use the options as 'options' must be an object: current value is null",
      ],
      [
        "name",
        int32,
        { signal: 1 },
        "Cannot wait as 'signal' must be an AbortSignal: current value is 1",
      ],
      [
        "name",
        int32,
        { timeout: 5 },
        "Cannot wait as 'timeout' is an option of the methods that block: use 'signal: AbortSignal.timeout(5)' instead",
      ],
    ];
    for (const [name, codec, options, message] of cases) {
      await assertRejects(
        () =>
          kind.open(
            name as string,
            codec as typeof int32,
            options as LazyInitOpenOptions,
          ),
        TypeError,
        message,
      );
    }
    const reason = new Error("Not any more");
    const signal = AbortSignal.abort(reason);
    const error = await assertRejects(() =>
      kind.open("name", int32, { signal })
    );
    assertEquals(error, reason);
  });
}

Deno.test("[Symbol.dispose]() does nothing to cells that were not opened by a name", () => {
  const cell = new MutexLazyInit(int32);
  cell[Symbol.dispose]();
  assertEquals(cell.init(() => 42), 42);
});
