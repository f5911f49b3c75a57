// Copyright 2026 the lazyinit authors. MIT license.

/*
 * Shows the results of `deno task bench:report`: as the Markdown of `RESULTS.md`
 * and of a part of `README.md`, and as charts. Equal results give equal texts.
 */

import { parse, View } from "vega";
import { compile, type TopLevelSpec } from "vega-lite";
import type { Figures } from "../_suite.ts";
import type {
  GroupResult,
  Results,
  Spread,
  SubjectResult,
  TableResult,
  TableRow,
} from "./results.ts";

/** A row of the design's table of numbers, and what became of it. */
export interface Target {
  readonly what: string;
  readonly reach: string;
  readonly measured: string;
  /** `undefined` if part of it was not measured, and none is missed. */
  readonly reached: boolean | undefined;
}

/** One of the numbers of a row. */
interface Criterion {
  /** What tells it from the others of its row. */
  readonly label: string;
  readonly limit: number;
  readonly unit: string;
  /** By default the limit is the most. */
  readonly isLeast?: boolean;
  /** Returns `undefined` if it was not measured. */
  measure(results: Results): number | undefined;
}

/** A bar, or a point of a line. */
interface Mark extends Spread {
  readonly name: string;
  readonly kind: string;
  /** Where a point is on the other axis. */
  readonly at?: number;
}

/** Bars, or lines if there is a title for the other axis. */
interface Chart {
  readonly file: string;
  readonly title: string;
  /** The title of the axis of times. */
  readonly unit: string;
  readonly scale: "linear" | "log";
  readonly at?: string;
  readonly marks: readonly Mark[];
}

type ChartSpec = Pick<
  Extract<TopLevelSpec, { layer: unknown }>,
  "encoding" | "height" | "layer" | "width"
>;

const INT32 = "read an initialized int32";
const RUST = "read an initialized i32 in Rust";
const WAKE = /^wake (\d+) blocked workers$/;
const SHARE = /^build an index/;
const FLAG = "Atomics.load + field";
const LAZY = "Lazy.get() of @std/async";
const EMPTY = "create, fail and reset an empty cell";
const CELLS = ["LazyInit.get()", "MutexLazyInit.get()"] as const;
const FRESH = "fresh keys in each of 4 workers";

/** How many times as fast a subject is as a baseline. */
function timesAsFast(
  results: Results,
  group: string,
  subject: string,
  baseline: string,
): number | undefined {
  return subjectOf(results, group, subject)?.timesAsFast[baseline]?.median;
}

/** The slowest of some subjects takes at most so many times as long as a baseline. */
function atMost(
  limit: number,
  group: string,
  subjects: readonly string[],
  baseline: string,
  label = "",
): Criterion {
  return {
    label,
    limit,
    unit: "×",
    measure(results) {
      const ratios = subjects.map((subject) =>
        timesAsFast(results, group, subject, baseline)
      );
      // Unless all were measured, none is known to be the slowest
      if (!ratios.every((ratio) => ratio !== undefined)) return undefined;
      return 1 / Math.min(...ratios);
    },
  };
}

/** A subject is at least so many times as fast as a baseline. */
function atLeast(
  limit: number,
  group: string,
  subject: string,
  baseline: string,
  label = "",
): Criterion {
  return {
    label,
    limit,
    unit: "×",
    isLeast: true,
    measure: (results) => timesAsFast(results, group, subject, baseline),
  };
}

/** An operation of a subject takes at most so many ns, shown in a unit of some of them. */
function within(
  limit: number,
  [nanoseconds, name]: readonly [number, string],
  group: string,
  subject: string,
  label = "",
): Criterion {
  return {
    label,
    limit,
    unit: ` ${name}`,
    measure(results) {
      const median = subjectOf(results, group, subject)?.nanoseconds.median;
      return median === undefined ? undefined : median / nanoseconds;
    },
  };
}

/** A figure of a subject. */
function figure(
  limit: number,
  unit: string,
  group: string,
  subject: string,
  name: string,
  label = "",
): Criterion {
  return {
    label,
    limit,
    unit,
    measure: (results) => subjectOf(results, group, subject)?.figures?.[name],
  };
}

/** How long the processes of a cluster wait for a value that is made. */
function wakeUp(limit: number, engine: string, label: string): Criterion {
  return {
    label,
    limit,
    unit: " ms",
    measure: ({ tables }) =>
      tables.filter(({ suite }) => suite === "cluster")
        .flatMap(({ rows }) => rows)
        .find(({ name }) => name.split(",")[0] === engine)
        ?.figures["initializer's end to the last of 8 processes, ms"],
  };
}

/** The one number that the README tells. */
const HEADLINE = atLeast(5, INT32, "LazyInit.get()", FLAG);

/** The design's table of numbers to reach, and one of its promises more. */
const TARGETS: readonly { what: string; criteria: readonly Criterion[] }[] = [
  {
    what: "`LazyInit.get()` against a plain field",
    criteria: [atMost(1.5, INT32, [CELLS[0]], "plain field")],
  },
  {
    what: "`MutexLazyInit.get()` against a `once()` closure and a plain field",
    criteria: [
      atMost(1.1, INT32, [CELLS[1]], "once() closure", "the closure"),
      atMost(2.3, INT32, [CELLS[1]], "plain field", "the field"),
    ],
  },
  {
    what: "`LazyInit.get()` against `Atomics.load` + field, times as fast",
    criteria: [HEADLINE],
  },
  {
    what: "`MutexLazyInit.getOrInit()` on a value, against `get()`",
    criteria: [
      atMost(1.15, INT32, ["MutexLazyInit.getOrInit()"], CELLS[1]),
    ],
  },
  {
    what:
      "uncontended `MutexLazyInit.getOrInit()` of an int32, against its compare-exchange and store",
    criteria: [
      atMost(
        4,
        "initialize an int32",
        ["MutexLazyInit.getOrInit()"],
        "compare-exchange + store",
      ),
    ],
  },
  {
    what: "`getOrInitAsync()` on a value, against `Lazy.get()` of `@std/async`",
    criteria: [
      atMost(
        1.3,
        "read an initialized int32 asynchronously",
        ["MutexLazyInit.getOrInitAsync()"],
        LAZY,
      ),
    ],
  },
  {
    what:
      "uncontended `getOrInitAsync()`, against `Lazy.get()` of `@std/async`",
    criteria: [
      atMost(
        4,
        "initialize an int32 asynchronously",
        ["MutexLazyInit.getOrInitAsync()"],
        LAZY,
      ),
    ],
  },
  {
    what:
      "place a cell in memory that exists, against its compare-exchange (the slower of both kinds)",
    criteria: [
      atMost(
        10,
        "place a cell in a buffer that exists",
        ["new LazyInit()", "new MutexLazyInit()"],
        "compare-exchange",
      ),
    ],
  },
  {
    what:
      "the last of 8 and 16 blocked workers, against a bare broadcast (the slower of both kinds)",
    criteria: [[8, 1.2], [16, 1.3]].map(([workers, limit]) =>
      atMost(
        limit!,
        `wake ${workers} blocked workers`,
        ["LazyInit.callOnce()", "MutexLazyInit.getOrInit()"],
        "Atomics.notify",
        `${workers} workers`,
      )
    ),
  },
  {
    what:
      "`LazyInitMap.get()` of a key once seen, against `Map.get()`; the first look-up of a key among a million",
    criteria: [
      atMost(
        2.5,
        "read the values of keys seen before",
        ["LazyInitMap.get()"],
        "Map.get()",
        "a key once seen",
      ),
      within(
        1,
        [1e3, "µs"],
        "look up keys among a million",
        "LazyInitMap.get() of a key not seen before",
        "the first look-up",
      ),
    ],
  },
  {
    what:
      "`LazyInitMap.getOrInit()` of fresh keys in 4 workers, against lmdb and `multithreading`, times as fast",
    criteria: [
      atLeast(10, `look up 10000 ${FRESH}`, "LazyInitMap", "lmdb", "lmdb"),
      atLeast(
        10,
        `look up 1000 ${FRESH}`,
        "LazyInitMap",
        "multithreading",
        "`multithreading`",
      ),
    ],
  },
  {
    what: "`ClusterLazyInit.get()` against `LazyInit.get()`",
    criteria: [
      atMost(
        1.5,
        "read an initialized value of the cluster",
        ["ClusterLazyInit.get()"],
        CELLS[0],
      ),
    ],
  },
  {
    what: "initializer's end to the last of 8 processes, median",
    criteria: [
      wakeUp(10, "sqlite", "SQLite"),
      wakeUp(15, "etcd", "etcd"),
      wakeUp(15, "postgres", "PostgreSQL"),
    ],
  },
  {
    what: "shared memory over the value, whatever the codec",
    criteria: [{
      label: "",
      limit: 24,
      unit: " bytes",
      measure: ({ cellOverheadBytes }) => cellOverheadBytes,
    }],
  },
  {
    what: "an empty bound of 1 GiB: create, fail and reset; resident memory",
    criteria: [
      within(1, [1e6, "ms"], EMPTY, "a bound of 1 GiB", "time"),
      figure(
        // What the engine keeps of a buffer, none of its bytes
        16,
        " KiB",
        EMPTY,
        "a bound of 1 GiB",
        "resident memory of an empty cell, KiB",
        "memory",
      ),
    ],
  },
  {
    what: "the longest hold of the event loop in `resetAsync()` of 512 MiB",
    criteria: [
      figure(
        20,
        " ms",
        "reset a value of 512 MiB",
        "resetAsync()",
        "longest hold of the event loop, ms",
      ),
    ],
  },
];

const UNITS: readonly (readonly [nanoseconds: number, name: string])[] = [
  [1e9, "s"],
  [1e6, "ms"],
  [1e3, "µs"],
  [1, "ns"],
];
/** What subjects are, by a part of their names; the last one is all others. */
const KINDS = [
  { kind: "this library", pattern: /LazyInit/, color: "#0969da" },
  {
    kind: "other packages",
    pattern: /^Mutex of | of @|^lmdb|^multithreading|^global-cache/,
    color: "#d4a72c",
  },
  { kind: "Rust, native", pattern: /::/, color: "#bc4c00" },
  { kind: "plain JavaScript", pattern: /^/, color: "#8c959f" },
] as const;
const LINE_COLORS = ["#0969da", "#bc4c00", "#1a7f37", "#6e7781", "#8250df"];

const LOG_TICKS = Array.from({ length: 15 }, (_, i) => i - 3).flatMap(
  (power) => [1, 2, 5].map((digit) => Number(`${digit}e${power}`)),
);

const CHART_CONFIG: NonNullable<TopLevelSpec["config"]> = {
  font: "sans-serif",
  // Like 0.5 and 1,000
  numberFormat: ",~r",
  axis: { labelFontSize: 12, titleFontSize: 13, labelLimit: 0 },
  legend: {
    labelFontSize: 12,
    labelLimit: 0,
    title: null,
    orient: "bottom",
    columns: 2,
  },
  text: { fontSize: 12 },
  view: { stroke: null },
  title: { fontSize: 16, subtitleFontSize: 13, anchor: "start", offset: 12 },
};

/** Returns the numbers of the design with what was measured. */
export function targetsOf(results: Results): Target[] {
  return TARGETS.map(({ what, criteria }) => {
    const all = criteria.map((it) => ({ ...it, found: it.measure(results) }));
    const show = (number: string, label: string) =>
      label === "" ? number : `${number} (${label})`;
    const verdicts = all.map(({ found, limit, isLeast }) => {
      if (found === undefined) return undefined;
      return isLeast === true ? found >= limit : found <= limit;
    });
    return {
      what,
      reach: all.map(({ isLeast, limit, unit, label }) =>
        show(`${isLeast === true ? "≥" : "≤"} ${limit}${unit}`, label)
      ).join(", "),
      measured: all.map(({ found, unit, label }) =>
        show(
          found === undefined ? "not measured" : `${significant(found)}${unit}`,
          label,
        )
      ).join(", "),
      reached: verdicts.includes(false)
        ? false
        : verdicts.includes(undefined)
        ? undefined
        : true,
    };
  });
}

function subjectOf(
  { groups }: Results,
  group: string,
  subject: string,
): SubjectResult | undefined {
  return groups.find(({ name }) => name === group)?.subjects
    .find(({ name }) => name === subject);
}

/**
 * Returns why targets are missed, by what they are, from Markdown in which each has a
 * heading of the third level.
 */
export function reasonsOf(markdown: string): Map<string, string> {
  const sections = markdown.split(/^### /m).slice(1);
  return new Map(sections.map((section) => {
    const end = section.indexOf("\n");
    return [section.slice(0, end), section.slice(end).trim()];
  }));
}

/**
 * Returns the Markdown of `RESULTS.md`. `notes` says why the numbers are as they are, and
 * `reasons` why a target is missed, which is shown if it is.
 */
export function renderReport(
  results: Results,
  notes: string,
  reasons: ReadonlyMap<string, string>,
): string {
  const { date, seconds, processes, machine, versions } = results;
  const { skipped, failed } = results;
  const charts = chartsOf(results);
  const suites = Map.groupBy(results.groups, ({ suite }) => suite);
  const sections = [
    "# Benchmark results",
    "Generated by `deno task bench:report`, not edited by hand.",
    list([
      `Date: ${date} UTC`,
      `Machine: ${machine.processor}, ${machine.cores} cores, ${
        significant(machine.memoryBytes / 2 ** 30)
      } GiB of memory, ${machine.system}`,
      `Versions: ${namesOf(versions)}`,
      `Duration: ${durationOf(seconds)}`,
      `Processes: each group was measured in ${processes}, one after the other`,
    ]),
    "## How to read this",
    "Numbers are medians over the samples of all processes, with their quartiles. " +
    "“× vs A” is how many times as long A takes: above 1, the subject is faster " +
    "than A. Both sides of each ratio are from the same round, so other work on the " +
    "machine distorts a ratio less than a time. For the same reason, a ratio need " +
    "not be the quotient of two medians. Compare ratios, never times of two runs. " +
    "For other measures, the report shows the largest of all processes.",
    "## Targets",
    targetTable(results),
    ...section("## Why some are missed", missedOf(results, reasons)),
    ...section("## Why the numbers are as they are", notes.trim()),
    ...section("## Charts", charts.map((it) => image(it, "./")).join("\n\n")),
    ...Array.from(suites, ([suite, groups]) => [
      `## ${capitalized(suite.replaceAll("_", " "))}`,
      ...groups.map(groupSection),
    ]).flat(),
    ...section(
      "## Servers and clusters",
      results.tables.map(tableSection).join("\n\n"),
    ),
    ...section("## What failed", list(failed)),
    "## What was skipped",
    skipped.length > 0 ? list(skipped) : "Nothing.",
  ];
  return sections.join("\n\n") + "\n";
}

/** Returns the Markdown of the part of `README.md` on how fast the cells are: one number. */
export function renderSummary(results: Results): string {
  const { date, processes, machine } = results;
  const ratio = HEADLINE.measure(results);
  const measured = ratio === undefined
    ? "not measured"
    : `${significant(ratio)} times as fast`;
  return [
    ...chartsOf(results).filter(({ file }) => file === "read_path.svg").map(
      (chart) => image(chart, "./bench/"),
    ),
    `\`LazyInit.get()\` of an initialized cell, against \`${FLAG}\`: ` +
    `**${measured}**. Medians of ${processes} processes on ` +
    `${machine.processor} with ${machine.cores} cores (${machine.system}), ` +
    `on ${date}; [all numbers](./bench/RESULTS.md) and how to measure them again.`,
  ].join("\n\n") + "\n";
}

/** Returns the Markdown of the part of `README.md` on cells by name. */
export function renderServer({ tables }: Results): string {
  const [one, each] = tables.find(({ suite }) => suite === "server")?.rows ??
    [];
  if (one === undefined || each === undefined) return "";
  const of = ({ figures }: TableRow, name: string) => decimal(figures[name]!);
  const rest = (row: TableRow) =>
    `${of(row, "Requests a second")} requests a second: 99 % of them within ` +
    `${of(row, "99 % of them within, ms")} ms, and the first one ` +
    `${of(row, "Start to first answer, ms")} ms after the start`;
  return (
    "Four workers of `deno serve --parallel` that share an index by its name " +
    `take **${of(one, "Resident memory, MB")} MB** of memory and answer ` +
    `${rest(one)} (\`deno task demo:server:load\`). With an index for each, ` +
    `they take ${of(each, "Resident memory, MB")} MB and answer ${
      rest(each)
    }.\n`
  );
}

/** Returns the charts that there are numbers for, as SVG, by their file names. */
export async function renderCharts(
  results: Results,
): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  for (const chart of chartsOf(results)) {
    const { file, title, at, marks } = chart;
    const { spec } = compile({
      config: CHART_CONFIG,
      background: "white",
      padding: 12,
      description: title,
      title: { text: title, subtitle: "Medians and quartiles; less is better" },
      data: { values: [...marks] },
      ...(at === undefined ? barsOf(chart) : linesOf(chart)),
    });
    const view = new View(parse(spec), { renderer: "none" });
    files.set(file, await view.toSVG() + "\n");
    view.finalize();
  }
  return files;
}

function targetTable(results: Results): string {
  return table(
    ["what", "target", "measured", "reached"],
    targetsOf(results).map(({ what, reach, measured, reached }) => [
      what,
      reach,
      measured,
      reached === undefined ? "—" : reached ? "yes" : "**no**",
    ]),
  );
}

/** Why the targets are missed that are. */
function missedOf(
  results: Results,
  reasons: ReadonlyMap<string, string>,
): string {
  return targetsOf(results).filter(({ reached }) => reached === false).map(
    ({ what }) => `### ${what}\n\n${reasons.get(what) ?? "It is not known."}`,
  ).join("\n\n");
}

function tableSection({ name, rows }: TableResult): string {
  const labels = labelsOf(rows.map(({ figures }) => figures));
  return `### ${capitalized(name)}\n\n${
    table(
      ["", ...labels],
      rows.map(({ name, figures }) => [name, ...cellsOf(labels, figures)]),
    )
  }`;
}

/** The names of all figures. */
function labelsOf(all: readonly (Figures | undefined)[]): string[] {
  return [...new Set(all.flatMap((figures) => Object.keys(figures ?? {})))];
}

function cellsOf(labels: readonly string[], figures: Figures = {}): string[] {
  return labels.map((label) => {
    const figure = figures[label];
    return figure === undefined ? "—" : decimal(figure);
  });
}

/** A number of things, or three significant digits of what is no whole number. */
function decimal(figure: number): string {
  return Number.isInteger(figure)
    ? figure.toLocaleString("en")
    : significant(figure);
}

function groupSection({ name, operation, subjects }: GroupResult): string {
  const baselines = subjects.map(({ name }) => name).filter((name) =>
    subjects.some(({ timesAsFast }) => timesAsFast[name] !== undefined)
  );
  const labels = labelsOf(subjects.map(({ figures }) => figures));
  const head = [
    "subject",
    `median per ${operation}`,
    "quartiles",
    ...baselines.map((name) => `× vs ${name}`),
    ...labels,
  ];
  const rows = subjects.map(({ name, nanoseconds, timesAsFast, figures }) => [
    name,
    timeOf(nanoseconds.median),
    quartilesOf(nanoseconds, unitOf(nanoseconds.median)[0]),
    ...baselines.map((baseline) => {
      if (name === baseline) return "1";
      const ratio = timesAsFast[baseline];
      if (ratio === undefined) return "—";
      return `${significant(ratio.median)} (${quartilesOf(ratio)})`;
    }),
    ...cellsOf(labels, figures),
  ]);
  return `### ${capitalized(name)}\n\n${table(head, rows)}`;
}

function table(
  head: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  return [head, head.map(() => "---"), ...rows].map((cells) =>
    `| ${cells.map((it) => it.replaceAll("|", "\\|")).join(" | ")} |`
  ).join("\n");
}

function section(title: string, text: string): string[] {
  return text === "" ? [] : [title, text];
}

function list(items: readonly string[]): string {
  return items.map((item) => `- ${item}`).join("\n");
}

function image({ title, file }: Chart, folder: string): string {
  return `![${title}](${folder}${file})`;
}

function capitalized(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function namesOf(versions: Results["versions"]): string {
  return Object.entries(versions).map((entry) => entry.join(" ")).join(", ");
}

function durationOf(seconds: number): string {
  return seconds < 600
    ? `${Math.round(seconds)} seconds`
    : `${Math.round(seconds / 60)} minutes`;
}

/** Three significant digits, without an exponent. */
function significant(value: number): string {
  return value.toLocaleString("en", {
    minimumSignificantDigits: 3,
    maximumSignificantDigits: 3,
  });
}

function quartilesOf({ lower, upper }: Spread, unit = 1): string {
  return `${significant(lower / unit)}–${significant(upper / unit)}`;
}

function unitOf(nanoseconds: number): readonly [number, string] {
  return UNITS.find(([unit]) => nanoseconds >= unit) ?? UNITS.at(-1)!;
}

function timeOf(nanoseconds: number): string {
  const [unit, name] = unitOf(nanoseconds);
  return `${significant(nanoseconds / unit)} ${name}`;
}

/** Returns the charts that there are numbers for. */
function chartsOf({ groups }: Results): Chart[] {
  const reads = groups.filter(({ name }) => name === INT32 || name === RUST);
  const wakes = groups.filter(({ name }) => WAKE.test(name));
  const scales = groups.filter(({ suite }) => suite === "scale");
  const shares = groups.filter(({ name }) => SHARE.test(name));
  const lookUps = groups.filter(({ name }) => name.endsWith(FRESH));
  const charts: Chart[] = [
    {
      file: "read_path.svg",
      title: "Time to read an initialized value",
      unit: "ns per read, logarithmic",
      scale: "log",
      marks: marksOf(reads, 1).toSorted((a, b) => a.median - b.median),
    },
    {
      file: "wake_up.svg",
      title: "Time until the last of the blocked workers runs again",
      unit: "µs, logarithmic",
      scale: "log",
      at: "blocked workers",
      marks: marksOf(wakes, 1e3, (subject, group) => ({
        name: subject,
        at: Number(WAKE.exec(group)![1]),
      })),
    },
    {
      file: "scale.svg",
      title: "Time per cell, by how many there are",
      unit: "ns per cell, logarithmic",
      scale: "log",
      at: "cells",
      marks: marksOf(scales, 1, (subject, group) => ({
        name: group,
        at: parseInt(subject.replaceAll(",", "")),
      })),
    },
    {
      file: "share.svg",
      title: `Time to ${shares[0]?.name}`,
      unit: "ms",
      scale: "linear",
      marks: marksOf(shares, 1e6),
    },
    {
      file: "map.svg",
      title: "Time to look up fresh keys in 4 workers",
      unit: "µs per look-up, logarithmic",
      scale: "log",
      marks: marksOf(lookUps, 1e3, (subject, group) => ({
        name: `${subject}, ${group.split(" ")[2]} keys`,
      })).toSorted((a, b) => a.median - b.median),
    },
  ];
  return charts.filter(({ marks }) => marks.length > 0);
}

/** Returns the times of all subjects, in a unit of so many nanoseconds. */
function marksOf(
  groups: readonly GroupResult[],
  unit: number,
  place?: (subject: string, group: string) => Pick<Mark, "name" | "at">,
): Mark[] {
  return groups.flatMap((group) =>
    group.subjects.map(({ name, nanoseconds }) => ({
      name,
      kind: kindOf(name),
      lower: nanoseconds.lower / unit,
      median: nanoseconds.median / unit,
      upper: nanoseconds.upper / unit,
      ...place?.(name, group.name),
    }))
  );
}

function barsOf(chart: Chart): ChartSpec {
  const kinds = KINDS.filter(({ kind }) =>
    chart.marks.some((it) => it.kind === kind)
  );
  const color = {
    domain: kinds.map(({ kind }) => kind),
    range: kinds.map(({ color }) => color),
  };
  return {
    width: 460,
    height: { step: 26 },
    encoding: {
      x: timeAxis(chart),
      y: { field: "name", type: "nominal", sort: null, title: null },
    },
    layer: [
      {
        mark: { type: "bar", height: { band: 0.7 } },
        encoding: {
          // What is stacked begins at zero, which a logarithmic axis lacks
          x: { field: "median", stack: null },
          color: { field: "kind", type: "nominal", scale: color },
        },
      },
      {
        mark: { type: "rule", strokeWidth: 1.5 },
        encoding: { x: { field: "lower" }, x2: { field: "upper" } },
      },
      {
        mark: { type: "text", align: "left", dx: 6 },
        encoding: {
          x: { field: "upper" },
          text: { field: "median", type: "quantitative", format: ",.3r" },
        },
      },
    ],
  };
}

/** A line for each name; those of the two cells at the same work differ in dashes. */
function linesOf(chart: Chart): ChartSpec {
  const works = [...new Set(chart.marks.map(({ name }) => workOf(name)))]
    .toSorted((a, b) => Number(isOurs(b)) - Number(isOurs(a)));
  const indexOf = (name: string) => works.indexOf(workOf(name));
  const names = [...new Set(chart.marks.map(({ name }) => name))]
    .toSorted((a, b) => indexOf(a) - indexOf(b));
  const colors = names.map((name) =>
    LINE_COLORS[indexOf(name) % LINE_COLORS.length]!
  );
  const dashes = names.map((name) => workOf(name) === name ? [1, 0] : [6, 3]);
  const line = {
    field: "name",
    type: "nominal",
    legend: { symbolType: "stroke", symbolSize: 500 },
  } as const;
  return {
    width: 560,
    height: 320,
    encoding: {
      x: {
        field: "at",
        type: "quantitative",
        title: chart.at!,
        scale: { type: "log", nice: false, padding: 20 },
        axis: { values: chart.marks.map(({ at }) => at!), grid: false },
      },
      y: timeAxis(chart),
      color: { ...line, scale: { domain: names, range: colors } },
    },
    layer: [
      {
        mark: { type: "line", point: true },
        encoding: {
          y: { field: "median" },
          strokeDash: { ...line, scale: { domain: names, range: dashes } },
        },
      },
      {
        mark: { type: "rule", opacity: 0.5 },
        encoding: { y: { field: "lower" }, y2: { field: "upper" } },
      },
    ],
  };
}

function isOurs(name: string): boolean {
  return kindOf(name) === KINDS[0].kind;
}

function kindOf(name: string): string {
  return KINDS.find(({ pattern }) => pattern.test(name))!.kind;
}

function workOf(name: string): string {
  return name.replace("MutexLazyInit", "LazyInit");
}

function timeAxis({ unit, scale, marks }: Chart) {
  // No bar may vanish, though a logarithmic axis has no zero
  const shortest = Math.min(...marks.map(({ lower }) => lower)) / 2;
  const longest = Math.max(...marks.map(({ upper }) => upper)) * 1.1;
  const axis = { type: "quantitative", title: unit } as const;
  if (scale === "linear") return { ...axis, scale: { domain: [0, longest] } };
  return {
    ...axis,
    scale: { type: scale, domain: [shortest, longest], nice: false },
    axis: {
      values: LOG_TICKS.filter((it) => shortest <= it && it <= longest),
    },
  };
}
