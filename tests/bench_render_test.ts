// Copyright 2026 the lazyinit authors. MIT license.

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import {
  renderCharts,
  renderReport,
  renderSummary,
  targetsOf,
} from "../bench/report/render.ts";
import type { GroupResult, Results, Spread } from "../bench/report/results.ts";

const INT32 = "read an initialized int32";
const WAKE = "wake 8 blocked workers";
const SHARE = "build an index of 6.6 MB for 4 workers";

/** Every ratio is just what the design asks for. */
const results = resultsOf([
  groupOf("read_path", INT32, {
    "Atomics.load + field": 35,
    "once() closure": 14,
    "plain field": 4,
    "LazyInit.get()": 10,
    "MutexLazyInit.get()": 14,
    "Mutex of multithreading": 1_400,
  }, [
    "Atomics.load + field",
    "once() closure",
    "plain field",
    "Mutex of multithreading",
  ]),
  groupOf("read_path", "read an initialized i32 in Rust", {
    "OnceLock::get()": 0.7,
  }, []),
  groupOf("first_use", "initialize an int32", {
    "compare-exchange + store": 40,
    "LazyInit.initOnce()": 100,
  }, ["compare-exchange + store"]),
  groupOf("across_threads", WAKE, {
    "Atomics.notify": 100_000,
    "LazyInit.callOnce()": 120_000,
    "MutexLazyInit.getOrInit()": 130_000,
  }, ["Atomics.notify"]),
  groupOf("across_threads", SHARE, {
    "MutexLazyInit.getOrInit()": 92e6,
    "one built by each": 212e6,
  }, ["one built by each"]),
  groupOf("scale", "read LazyInit cells in random order", {
    "1 cell": 2,
    "1,000 cells": 3,
    "1,000,000 cells": 98,
  }, ["1,000 cells"]),
]);
const withoutGroups = resultsOf([]);

function resultsOf(groups: readonly GroupResult[]): Results {
  return {
    date: "2026-01-02",
    seconds: 731,
    machine: {
      processor: "Some Processor",
      cores: 2,
      memoryBytes: 8 * 2 ** 30,
      system: "Linux 6.1",
    },
    versions: { deno: "2.9.6", multithreading: "0.3.52" },
    processes: 5,
    groups,
    cellOverheadBytes: 16,
    skipped: [],
  };
}

/** Makes a group of subjects that take so many nanoseconds. */
function groupOf(
  suite: string,
  name: string,
  times: Readonly<Record<string, number>>,
  baselines: readonly string[],
): GroupResult {
  const subjects = Object.entries(times).map(([name, time]) => ({
    name,
    nanoseconds: spread(time),
    samples: 150,
    timesAsFast: Object.fromEntries(
      baselines.map((baseline) => [baseline, spread(times[baseline]! / time)]),
    ),
  }));
  return { suite, name, operation: "read", subjects };
}

function spread(median: number): Spread {
  return { lower: median * 0.9, median, upper: median * 1.2 };
}

/** Returns the results with another ratio of one subject. */
function withRatio(
  group: string,
  subject: string,
  baseline: string,
  ratio: number,
): Results {
  const groups = results.groups.map((it) => ({
    ...it,
    subjects: it.subjects.map((it) => ({ ...it })),
  }));
  const changed = groups.find(({ name }) => name === group)!.subjects
    .find(({ name }) => name === subject)!;
  changed.timesAsFast = { ...changed.timesAsFast, [baseline]: spread(ratio) };
  return { ...results, groups };
}

function reachedOf(results: Results): (boolean | undefined)[] {
  return targetsOf(results).map(({ reached }) => reached);
}

Deno.test("targetsOf() says what is reached and what is not", () => {
  assertEquals(reachedOf(results), Array(8).fill(true));
  const cases = [
    [INT32, "LazyInit.get()", "Atomics.load + field", 3.5],
    [INT32, "LazyInit.get()", "once() closure", 1],
    [INT32, "LazyInit.get()", "plain field", 1 / 2.5],
    [INT32, "MutexLazyInit.get()", "Atomics.load + field", 2.5],
    [INT32, "MutexLazyInit.get()", "Mutex of multithreading", 100],
    [
      "initialize an int32",
      "LazyInit.initOnce()",
      "compare-exchange + store",
      1 / 2.5,
    ],
    [WAKE, "MutexLazyInit.getOrInit()", "Atomics.notify", 1 / 1.3],
  ] as const;
  cases.forEach(([group, subject, baseline, limit], i) => {
    const above = withRatio(group, subject, baseline, limit * 1.01);
    assertEquals(reachedOf(above), Array(8).fill(true));
    const below = withRatio(group, subject, baseline, limit * 0.99);
    assertEquals(reachedOf(below), Array(8).fill(true).with(i, false));
  });
  assertEquals(
    reachedOf({ ...results, cellOverheadBytes: 17 }),
    Array(8).fill(true).with(7, false),
  );
});

Deno.test("targetsOf() says what was measured", () => {
  assertEquals(targetsOf(results).map(({ measured }) => measured), [
    "3.50 times as fast",
    "1.40 times as fast",
    "2.50 times as long",
    "2.50 times as fast",
    "100 times as fast",
    "2.50 times as long",
    "1.30 times as long",
    "16 bytes",
  ]);
});

Deno.test("targetsOf() takes the slower of both cells", () => {
  const mutex = "Mutex of multithreading";
  const read = withRatio(INT32, "LazyInit.get()", mutex, 99);
  assertEquals(targetsOf(read)[4]!.measured, "99.0 times as fast");
  const woken = withRatio(WAKE, "LazyInit.callOnce()", "Atomics.notify", 0.5);
  assertEquals(targetsOf(woken)[6]!.measured, "2.00 times as long");
});

Deno.test("targetsOf() says what was not measured", () => {
  const targets = targetsOf(withoutGroups);
  assertEquals(
    targets.map(({ measured }) => measured),
    [...Array(7).fill("not measured"), "16 bytes"],
  );
  assertEquals(reachedOf(withoutGroups), [...Array(7).fill(undefined), true]);
});

Deno.test("targetsOf() does not measure the slower of both cells by one", () => {
  const groups = [groupOf("across_threads", WAKE, {
    "Atomics.notify": 1,
    "LazyInit.initOnce()": 1,
  }, ["Atomics.notify"])];
  assertEquals(targetsOf(resultsOf(groups))[6]!.measured, "not measured");
});

Deno.test("renderReport() has a column for each baseline", () => {
  const report = renderReport(results, "");
  assertStringIncludes(
    report,
    `
### Read an initialized int32

| subject | median per read | quartiles | × vs Atomics.load + field | × vs once() closure | × vs plain field | × vs Mutex of multithreading |
| --- | --- | --- | --- | --- | --- | --- |
| Atomics.load + field | 35.0 ns | 31.5–42.0 | 1 | 0.400 (0.360–0.480) | 0.114 (0.103–0.137) | 40.0 (36.0–48.0) |
`,
  );
  assertStringIncludes(
    report,
    `
| subject | median per read | quartiles |
| --- | --- | --- |
| OnceLock::get() | 0.700 ns | 0.630–0.840 |
`,
  );
});

Deno.test("renderReport() leaves out a ratio that was not measured", () => {
  const [group] = results.groups;
  const subjects = group!.subjects.map((it) =>
    it.name === "LazyInit.get()" ? { ...it, timesAsFast: {} } : it
  );
  assertStringIncludes(
    renderReport(resultsOf([{ ...group!, subjects }]), ""),
    "| LazyInit.get() | 10.0 ns | 9.00–12.0 | — | — | — | — |",
  );
});

Deno.test("renderReport() chooses a unit that suits", () => {
  const groups = [groupOf("scale", "some times", {
    a: 0.01234,
    b: 999,
    c: 1_234,
    d: 56_789_000,
    e: 1_234e9,
  }, [])];
  const report = renderReport(resultsOf(groups), "");
  assertStringIncludes(report, "| a | 0.0123 ns | 0.0111–0.0148 |");
  assertStringIncludes(report, "| b | 999 ns | 899–1,200 |");
  assertStringIncludes(report, "| c | 1.23 µs | 1.11–1.48 |");
  assertStringIncludes(report, "| d | 56.8 ms | 51.1–68.1 |");
  assertStringIncludes(report, "| e | 1,230 s | 1,110–1,480 |");
});

Deno.test("renderReport() says how the numbers came about", () => {
  const report = renderReport(results, "");
  assertStringIncludes(report, "not edited by hand");
  assertStringIncludes(report, "2026-01-02 UTC");
  assertStringIncludes(report, "2 cores, 8.00 GiB of memory, Linux 6.1");
  assertStringIncludes(report, "deno 2.9.6, multithreading 0.3.52");
  assertStringIncludes(report, "12 minutes");
});

Deno.test("renderReport() shows only charts that there are", async () => {
  for (const file of (await renderCharts(results)).keys()) {
    assertStringIncludes(renderReport(results, ""), `](./${file})`);
  }
  assert(!renderReport(withoutGroups, "").includes(".svg"));
});

Deno.test("renderReport() gives the notes after the numbers to reach", () => {
  const report = renderReport(results, "\nBecause.\n");
  assertStringIncludes(report, "| yes |\n\n## Why\n\nBecause.\n\n## Charts\n");
  assert(!renderReport(results, "").includes("## Why"));
});

Deno.test("renderReport() names what was skipped", () => {
  const skipped = ["Rust: there is no rustc"];
  assertStringIncludes(
    renderReport({ ...results, skipped }, ""),
    "## What was skipped\n\n- Rust: there is no rustc\n",
  );
  assertStringIncludes(renderReport(results, ""), "skipped\n\nNothing.\n");
});

Deno.test("renderSummary() has the chart, one number and the machine", () => {
  const summary = renderSummary(
    withRatio(INT32, "LazyInit.get()", "Atomics.load + field", 2),
  );
  assertStringIncludes(summary, "](./bench/read_path.svg)\n");
  assertStringIncludes(
    summary,
    "against `Atomics.load + field`: **2.00 times as fast**. ",
  );
  assertStringIncludes(
    summary,
    "Medians of 5 processes on Some Processor with 2 cores (Linux 6.1), on 2026-01-02; ",
  );
});

Deno.test("renderSummary() says what was not measured", () => {
  const summary = renderSummary(withoutGroups);
  assert(!summary.includes(".svg"));
  assertStringIncludes(summary, ": **not measured**. ");
});

Deno.test("renderCharts() draws every subject that was measured", async () => {
  const charts = await renderCharts(results);
  const namesOf: Record<string, string[]> = {
    "read_path.svg": ["LazyInit.get()", "OnceLock::get()", "this library"],
    "wake_up.svg": ["Atomics.notify", "MutexLazyInit.getOrInit()"],
    "scale.svg": ["read LazyInit cells in random order", "1,000,000"],
    "share.svg": ["MutexLazyInit.getOrInit()", `Time to ${SHARE}`],
  };
  assertEquals([...charts.keys()], Object.keys(namesOf));
  for (const [file, svg] of charts) {
    assert(svg.startsWith("<svg "), file);
    assert(!svg.includes("NaN"), file);
    namesOf[file]!.forEach((name) => assertStringIncludes(svg, `>${name}<`));
  }
});

Deno.test("renderCharts() omits what was not measured", async () => {
  assertEquals((await renderCharts(withoutGroups)).size, 0);
});

Deno.test("renderCharts() draws equal results equally", async () => {
  assertEquals(
    await renderCharts(results),
    await renderCharts(structuredClone(results)),
  );
});
