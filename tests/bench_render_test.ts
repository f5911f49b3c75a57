// Copyright 2026 the lazyinit authors. MIT license.

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { Figures } from "../bench/_suite.ts";
import {
  reasonsOf,
  renderCharts,
  renderReport,
  renderServer,
  renderSummary,
  targetsOf,
} from "../bench/report/render.ts";
import type {
  GroupResult,
  Results,
  Spread,
  SubjectResult,
  TableResult,
  TableRow,
} from "../bench/report/results.ts";

const none = new Map<string, string>();

const INT32 = "read an initialized int32";
const ASYNC = "read an initialized int32 asynchronously";
const FIRST = "initialize an int32";
const FIRST_ASYNC = "initialize an int32 asynchronously";
const PLACE = "place a cell in a buffer that exists";
const SHARE = "build an index of 6.6 MB for 4 workers";
const KEYS = "read the values of keys seen before";
const MILLION = "look up keys among a million";
const FRESH = "look up 10000 fresh keys in each of 4 workers";
const FRESH_PEER = "look up 1000 fresh keys in each of 4 workers";
const CLUSTER = "read an initialized value of the cluster";
const EMPTY = "create, fail and reset an empty cell";
const LARGE = "reset a value of 512 MiB";
const LAZY = "Lazy.get() of @std/async";
const FLAG = "Atomics.load + field";
const CAS = "compare-exchange + store";
const GET_OR_INIT = "MutexLazyInit.getOrInit()";
const GET_OR_INIT_ASYNC = "MutexLazyInit.getOrInitAsync()";
const WAKE_UP = "initializer's end to the last of 8 processes, ms";
const HOLD = "longest hold of the event loop, ms";
const RESIDENT = "resident memory of an empty cell, KiB";

/** Every number is what the design asks for, or a little better. */
const results = resultsOf([
  groupOf("read_path", INT32, {
    [FLAG]: 75,
    "once() closure": 20.85,
    "plain field": 10,
    "LazyInit.get()": 15,
    "MutexLazyInit.get()": 22.9,
    [GET_OR_INIT]: 26.3,
  }, [FLAG, "once() closure", "plain field", "MutexLazyInit.get()"]),
  groupOf("read_path", "read an initialized i32 in Rust", {
    "OnceLock::get()": 0.7,
  }, []),
  groupOf("read_path", ASYNC, { [LAZY]: 100, [GET_OR_INIT_ASYNC]: 130 }, [
    LAZY,
  ]),
  groupOf("first_use", FIRST, { [CAS]: 40, [GET_OR_INIT]: 160 }, [CAS]),
  groupOf("first_use", FIRST_ASYNC, {
    [LAZY]: 100,
    [GET_OR_INIT_ASYNC]: 400,
  }, [LAZY]),
  groupOf("first_use", PLACE, {
    "compare-exchange": 10,
    "new LazyInit()": 80,
    "new MutexLazyInit()": 100,
  }, ["compare-exchange"]),
  wakes(8, 120_000),
  wakes(16, 130_000),
  groupOf("across_threads", SHARE, {
    [GET_OR_INIT]: 92e6,
    "one built by each": 212e6,
  }, ["one built by each"]),
  groupOf("map", KEYS, { "Map.get()": 20, "LazyInitMap.get()": 50 }, [
    "Map.get()",
  ]),
  groupOf("map", MILLION, {
    "LazyInitMap.get() of a key not seen before": 1_000,
  }, []),
  groupOf("map", FRESH, { LazyInitMap: 1_000, lmdb: 10_000 }, ["lmdb"]),
  groupOf("map", FRESH_PEER, { LazyInitMap: 2_000, multithreading: 20_000 }, [
    "multithreading",
  ]),
  groupOf("cluster", CLUSTER, {
    "LazyInit.get()": 2,
    "ClusterLazyInit.get()": 3,
  }, ["LazyInit.get()"]),
  groupOf("scale", "read LazyInit cells in random order", {
    "1 cell": 2,
    "1,000 cells": 3,
    "1,000,000 cells": 98,
  }, ["1,000 cells"]),
  groupOf("sizes", EMPTY, { "a bound of 1 GiB": 1e6 }, [], {
    [RESIDENT]: 16,
  }),
  groupOf("sizes", LARGE, { "resetAsync()": 3e8 }, [], { [HOLD]: 20 }),
]);
const withoutGroups: Results = { ...resultsOf([]), tables: [] };
const ROWS = targetsOf(results).length;

function wakes(workers: number, slower: number): GroupResult {
  return groupOf("across_threads", `wake ${workers} blocked workers`, {
    "Atomics.notify": 100_000,
    "LazyInit.callOnce()": 110_000,
    [GET_OR_INIT]: slower,
  }, ["Atomics.notify"]);
}

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
    tables: [
      {
        suite: "server",
        name: "serve requests",
        rows: [
          serverRow("One index for all", 366.4, 5_464.2),
          serverRow("One index each", 1_056, 5_500),
        ],
      },
      {
        suite: "cluster",
        name: "initialize a value of the cluster",
        rows: [
          { name: "sqlite, beside a lock", figures: { [WAKE_UP]: 10 } },
          { name: "etcd, beside a lock", figures: { [WAKE_UP]: 15 } },
          {
            name: "postgres, beside a lock",
            figures: { [WAKE_UP]: 15, "processor time, %": 0 },
          },
        ],
      },
    ],
    cellOverheadBytes: 24,
    skipped: [],
    failed: [],
  };
}

function serverRow(
  name: string,
  megabytes: number,
  requests: number,
): TableRow {
  return {
    name,
    figures: {
      "Requests a second": requests,
      "99 % of them within, ms": 12,
      "Start to first answer, ms": 1_234.5,
      "Resident memory, MB": megabytes,
    },
  };
}

/** Makes a group of subjects that take so many nanoseconds. */
function groupOf(
  suite: string,
  name: string,
  times: Readonly<Record<string, number>>,
  baselines: readonly string[],
  figures?: Figures,
): GroupResult {
  const subjects = Object.entries(times).map(([name, time]) => ({
    name,
    nanoseconds: spread(time),
    samples: 150,
    timesAsFast: Object.fromEntries(
      baselines.map((baseline) => [baseline, spread(times[baseline]! / time)]),
    ),
    ...(figures === undefined ? {} : { figures }),
  }));
  return { suite, name, operation: "read", subjects };
}

function spread(median: number): Spread {
  return { lower: median * 0.9, median, upper: median * 1.2 };
}

/** Returns the results with one subject changed. */
function withSubject(
  group: string,
  subject: string,
  change: (subject: SubjectResult) => Partial<SubjectResult>,
): Results {
  const groups = results.groups.map((it) => {
    if (it.name !== group) return it;
    const subjects = it.subjects.map((it) =>
      it.name === subject ? { ...it, ...change(it) } : it
    );
    return { ...it, subjects };
  });
  return { ...results, groups };
}

/** Returns the results with a ratio of one subject that is so many times what it was. */
function withRatio(
  group: string,
  subject: string,
  baseline: string,
  factor: number,
): Results {
  return withSubject(group, subject, ({ timesAsFast }) => ({
    timesAsFast: {
      ...timesAsFast,
      [baseline]: spread(factor * timesAsFast[baseline]!.median),
    },
  }));
}

function withFigure(
  group: string,
  subject: string,
  figures: Figures,
): Results {
  return withSubject(group, subject, () => ({ figures }));
}

function withTime(group: string, subject: string, median: number): Results {
  return withSubject(group, subject, () => ({ nanoseconds: spread(median) }));
}

/** Returns the results with another wake-up of one engine. */
function withWakeUp(index: number, milliseconds: number): Results {
  const tables = structuredClone(results.tables) as TableResult[];
  const { figures } = tables[1]!.rows[index]!;
  (figures as Figures)[WAKE_UP] = milliseconds;
  return { ...results, tables };
}

function reachedOf(results: Results): (boolean | undefined)[] {
  return targetsOf(results).map(({ reached }) => reached);
}

Deno.test("targetsOf() says what is reached and what is not", () => {
  const all = Array(ROWS).fill(true);
  assertEquals(reachedOf(results), all);
  const ratios = [
    [0, INT32, "LazyInit.get()", "plain field"],
    [1, INT32, "MutexLazyInit.get()", "once() closure"],
    [1, INT32, "MutexLazyInit.get()", "plain field"],
    [2, INT32, "LazyInit.get()", FLAG],
    [3, INT32, GET_OR_INIT, "MutexLazyInit.get()"],
    [4, FIRST, GET_OR_INIT, CAS],
    [5, ASYNC, GET_OR_INIT_ASYNC, LAZY],
    [6, FIRST_ASYNC, GET_OR_INIT_ASYNC, LAZY],
    [7, PLACE, "new MutexLazyInit()", "compare-exchange"],
    [8, "wake 8 blocked workers", GET_OR_INIT, "Atomics.notify"],
    [8, "wake 16 blocked workers", GET_OR_INIT, "Atomics.notify"],
    [9, KEYS, "LazyInitMap.get()", "Map.get()"],
    [10, FRESH, "LazyInitMap", "lmdb"],
    [10, FRESH_PEER, "LazyInitMap", "multithreading"],
    [11, CLUSTER, "ClusterLazyInit.get()", "LazyInit.get()"],
  ] as const;
  for (const [row, group, subject, baseline] of ratios) {
    const faster = withRatio(group, subject, baseline, 1.01);
    assertEquals(reachedOf(faster), all);
    const slower = withRatio(group, subject, baseline, 0.99);
    assertEquals(reachedOf(slower), all.with(row, false));
  }
  const key = "LazyInitMap.get() of a key not seen before";
  const others: [number, Results][] = [
    [9, withTime(MILLION, key, 1_001)],
    [12, withWakeUp(0, 10.1)],
    [12, withWakeUp(1, 15.1)],
    [12, withWakeUp(2, 15.1)],
    [13, { ...results, cellOverheadBytes: 25 }],
    [14, withTime(EMPTY, "a bound of 1 GiB", 1.01e6)],
    [14, withFigure(EMPTY, "a bound of 1 GiB", { [RESIDENT]: 17 })],
    [15, withFigure(LARGE, "resetAsync()", { [HOLD]: 21 })],
  ];
  for (const [row, slower] of others) {
    assertEquals(reachedOf(slower), all.with(row, false));
  }
  assertEquals(ROWS, 16);
});

Deno.test("targetsOf() says what was wanted and what was measured", () => {
  const targets = targetsOf(results);
  assertEquals(
    targets.map(({ reach }) => reach),
    [
      "≤ 1.5×",
      "≤ 1.1× (the closure), ≤ 2.3× (the field)",
      "≥ 5×",
      "≤ 1.15×",
      "≤ 4×",
      "≤ 1.3×",
      "≤ 4×",
      "≤ 10×",
      "≤ 1.2× (8 workers), ≤ 1.3× (16 workers)",
      "≤ 2.5× (a key once seen), ≤ 1 µs (the first look-up)",
      "≥ 10× (lmdb), ≥ 10× (`multithreading`)",
      "≤ 1.5×",
      "≤ 10 ms (SQLite), ≤ 15 ms (etcd), ≤ 15 ms (PostgreSQL)",
      "≤ 24 bytes",
      "≤ 1 ms (time), ≤ 16 KiB (memory)",
      "≤ 20 ms",
    ],
  );
  assertEquals(targets[0]!.measured, "1.50×");
  assertEquals(
    targets[9]!.measured,
    "2.50× (a key once seen), 1.00 µs (the first look-up)",
  );
  assertEquals(targets[13]!.measured, "24.0 bytes");
});

Deno.test("targetsOf() takes the slower of both cells", () => {
  const notify = "Atomics.notify";
  const wake = "wake 8 blocked workers";
  const woken = withRatio(wake, "LazyInit.callOnce()", notify, 0.55);
  assertStringIncludes(targetsOf(woken)[8]!.measured, "2.00× (8 workers)");
});

Deno.test("targetsOf() says what was not measured", () => {
  const targets = targetsOf(withoutGroups);
  const unknown: (boolean | undefined)[] = Array(ROWS).fill(undefined);
  assertEquals(reachedOf(withoutGroups), unknown.with(13, true));
  assertEquals(targets[0]!.measured, "not measured");
  assertStringIncludes(targets[12]!.measured, "not measured (etcd)");
});

Deno.test("targetsOf() does not measure the slower of both cells by one", () => {
  const groups = [groupOf("across_threads", "wake 8 blocked workers", {
    "Atomics.notify": 1,
    [GET_OR_INIT]: 1,
  }, ["Atomics.notify"])];
  const [, , , , , , , , target] = targetsOf(resultsOf(groups));
  assertStringIncludes(target!.measured, "not measured (8 workers)");
  assertEquals(target!.reached, undefined);
});

Deno.test("targetsOf() misses a row of which one number is missed and one not measured", () => {
  const { tables, ...rest } = withWakeUp(0, 11);
  const rows = tables[1]!.rows.slice(0, 1);
  const without = { ...rest, tables: [{ ...tables[1]!, rows }] };
  assertEquals(reachedOf(without)[12], false);
});

Deno.test("renderReport() has a column for each baseline", () => {
  const report = renderReport(results, "", none);
  assertStringIncludes(
    report,
    `
### Read an initialized int32

| subject | median per read | quartiles | × vs Atomics.load + field | × vs once() closure | × vs plain field | × vs MutexLazyInit.get() |
| --- | --- | --- | --- | --- | --- | --- |
| Atomics.load + field | 75.0 ns | 67.5–90.0 | 1 | 0.278 (0.250–0.334) | 0.133 (0.120–0.160) | 0.305 (0.275–0.366) |
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
    renderReport(resultsOf([{ ...group!, subjects }]), "", none),
    "| LazyInit.get() | 15.0 ns | 13.5–18.0 | — | — | — | — |",
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
  const report = renderReport(resultsOf(groups), "", none);
  assertStringIncludes(report, "| a | 0.0123 ns | 0.0111–0.0148 |");
  assertStringIncludes(report, "| b | 999 ns | 899–1,200 |");
  assertStringIncludes(report, "| c | 1.23 µs | 1.11–1.48 |");
  assertStringIncludes(report, "| d | 56.8 ms | 51.1–68.1 |");
  assertStringIncludes(report, "| e | 1,230 s | 1,110–1,480 |");
});

Deno.test("renderReport() says how the numbers came about", () => {
  const report = renderReport(results, "", none);
  assertStringIncludes(report, "not edited by hand");
  assertStringIncludes(report, "2026-01-02 UTC");
  assertStringIncludes(report, "2 cores, 8.00 GiB of memory, Linux 6.1");
  assertStringIncludes(report, "deno 2.9.6, multithreading 0.3.52");
  assertStringIncludes(report, "12 minutes");
});

Deno.test("renderReport() shows only charts that there are", async () => {
  for (const file of (await renderCharts(results)).keys()) {
    assertStringIncludes(renderReport(results, "", none), `](./${file})`);
  }
  assert(!renderReport(withoutGroups, "", none).includes(".svg"));
});

Deno.test("renderReport() gives the notes after the targets", () => {
  const report = renderReport(results, "\nBecause.\n", none);
  const title = "## Why the numbers are as they are";
  assertStringIncludes(
    report,
    `| yes |\n\n${title}\n\nBecause.\n\n## Charts\n`,
  );
  assert(!renderReport(results, "", none).includes(title));
});

Deno.test("renderReport() says why a target is missed, if it is", () => {
  const reasons = reasonsOf(
    "# Why\n\nSome words.\n\n### shared memory over the value, whatever the codec\n\n" +
      "Because\nof it.\n\n### another\n\nFor another reason.\n",
  );
  assertEquals([...reasons.values()], [
    "Because\nof it.",
    "For another reason.",
  ]);
  const title = "## Why some are missed";
  assert(!renderReport(results, "", reasons).includes(title));
  assert(!renderReport(withoutGroups, "", reasons).includes(title));
  const missed = { ...withFigure(LARGE, "resetAsync()", { [HOLD]: 21 }) };
  assertStringIncludes(
    renderReport({ ...missed, cellOverheadBytes: 32 }, "", reasons),
    `\n\n${title}\n\n### shared memory over the value, whatever the codec\n\n` +
      "Because\nof it.\n\n### the longest hold of the event loop in `resetAsync()` of " +
      "512 MiB\n\nIt is not known.\n\n## Charts",
  );
});

Deno.test("renderReport() names what was skipped and what failed", () => {
  const skipped = ["Rust: there is no rustc"];
  assertStringIncludes(
    renderReport({ ...results, skipped }, "", none),
    "## What was skipped\n\n- Rust: there is no rustc\n",
  );
  const report = renderReport(results, "", none);
  assertStringIncludes(report, "skipped\n\nNothing.\n");
  assert(!report.includes("failed"));
  assertStringIncludes(
    renderReport({ ...results, failed: ["etcd: no answer"] }, "", none),
    "\n## What failed\n\n- etcd: no answer\n",
  );
});

Deno.test("renderReport() has tables, and columns for what else was measured", () => {
  const report = renderReport(results, "", none);
  assertStringIncludes(
    report,
    `
### Initialize a value of the cluster

|  | ${WAKE_UP} | processor time, % |
| --- | --- | --- |
| sqlite, beside a lock | 10 | — |
| etcd, beside a lock | 15 | — |
| postgres, beside a lock | 15 | 0 |
`,
  );
  assertStringIncludes(
    report,
    `
| subject | median per read | quartiles | ${HOLD} |
| --- | --- | --- | --- |
| resetAsync() | 300 ms | 270–360 | 20 |
`,
  );
});

Deno.test("renderSummary() has the chart, one number and the machine", () => {
  const summary = renderSummary(
    withRatio(INT32, "LazyInit.get()", FLAG, 0.4),
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

Deno.test("renderServer() compares both servers", () => {
  assertEquals(
    renderServer(results),
    "Four workers of `deno serve --parallel` that share an index by its name take " +
      "**366 MB** of memory and answer 5,460 requests a second: 99 % of them within 12 " +
      "ms, and the first one 1,230 ms after the start (`deno task demo:server:load`). With " +
      "an index for each, they take 1,056 MB and answer 5,500 requests a second: 99 % " +
      "of them within 12 ms, and the first one 1,230 ms after the start.\n",
  );
  assertEquals(renderServer(withoutGroups), "");
});

Deno.test("renderCharts() draws every subject that was measured", async () => {
  const charts = await renderCharts(results);
  const namesOf: Record<string, string[]> = {
    "read_path.svg": ["LazyInit.get()", "OnceLock::get()", "this library"],
    "wake_up.svg": ["Atomics.notify", "MutexLazyInit.getOrInit()"],
    "scale.svg": ["read LazyInit cells in random order", "1,000,000"],
    "share.svg": ["MutexLazyInit.getOrInit()", `Time to ${SHARE}`],
    "map.svg": [
      "LazyInitMap, 10000 keys",
      "lmdb, 10000 keys",
      "other packages",
    ],
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
