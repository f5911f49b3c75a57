// Copyright 2026 the lazyinit authors. MIT license.

/*
 * Shows the results of `deno task bench:report`: as the Markdown of `RESULTS.md`
 * and of a part of `README.md`, and as charts. Equal results give equal texts.
 */

import { parse, View } from "vega";
import { compile, type TopLevelSpec } from "vega-lite";
import type { GroupResult, Results, Spread } from "./results.ts";

/** A number of the design, and what became of it. */
export interface Target {
  readonly what: string;
  readonly reach: string;
  readonly measured: string;
  /** `undefined` if it was not measured. */
  readonly reached: boolean | undefined;
}

/** How fast the slowest of some subjects must be, compared with a baseline. */
interface RatioTarget extends Pick<Target, "what" | "reach"> {
  readonly group: string;
  readonly subjects: readonly string[];
  readonly baseline: string;
  /** How many times as fast; below 1, it may take longer. */
  readonly ratio: number;
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
const MAX_OVERHEAD_BYTES = 16;

/** The one number that the README tells. */
const HEADLINE: RatioTarget = {
  what: "`LazyInit.get()`, initialized",
  reach: "at least 3.5 times as fast as `Atomics.load` + field",
  group: INT32,
  subjects: ["LazyInit.get()"],
  baseline: FLAG,
  ratio: 3.5,
};

const RATIO_TARGETS: readonly RatioTarget[] = [
  HEADLINE,
  {
    what: "`LazyInit.get()`, initialized",
    reach: "no slower than a `once()` closure",
    group: INT32,
    subjects: ["LazyInit.get()"],
    baseline: "once() closure",
    ratio: 1,
  },
  {
    what: "`LazyInit.get()`, initialized",
    reach: "at most 2.5 times as long as a plain field",
    group: INT32,
    subjects: ["LazyInit.get()"],
    baseline: "plain field",
    ratio: 1 / 2.5,
  },
  {
    what: "`MutexLazyInit.get()`, initialized",
    reach: "at least 2.5 times as fast as `Atomics.load` + field",
    group: INT32,
    subjects: ["MutexLazyInit.get()"],
    baseline: FLAG,
    ratio: 2.5,
  },
  {
    what: "`get()` of the slower cell, initialized",
    reach:
      "at least 100 times as fast as to lock, read and unlock a `Mutex` of multithreading",
    group: INT32,
    subjects: ["LazyInit.get()", "MutexLazyInit.get()"],
    baseline: "Mutex of multithreading",
    ratio: 100,
  },
  {
    what: "`LazyInit.initOnce()` of an int32, uncontended",
    reach: "at most 2.5 times as long as its compare-exchange + store",
    group: "initialize an int32",
    subjects: ["LazyInit.initOnce()"],
    baseline: "compare-exchange + store",
    ratio: 1 / 2.5,
  },
  {
    what:
      "publication by the slower cell, until the last of 8 blocked workers runs",
    reach: "at most 1.3 times as long as a bare `Atomics.notify`",
    group: "wake 8 blocked workers",
    subjects: ["LazyInit.callOnce()", "MutexLazyInit.getOrInit()"],
    baseline: "Atomics.notify",
    ratio: 1 / 1.3,
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
  { kind: "this library", pattern: /LazyInit\b/, color: "#0969da" },
  { kind: "other packages", pattern: /^Mutex of | of @/, color: "#d4a72c" },
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
  const { cellOverheadBytes } = results;
  return [
    ...RATIO_TARGETS.map((target) => ratioTargetOf(results, target)),
    {
      what: "shared memory of a cell, over its value rounded up to 8 bytes",
      reach: `at most ${MAX_OVERHEAD_BYTES} bytes`,
      measured: `${cellOverheadBytes} bytes`,
      reached: cellOverheadBytes <= MAX_OVERHEAD_BYTES,
    },
  ];
}

function ratioTargetOf(results: Results, target: RatioTarget): Target {
  const { what, reach, group, subjects, baseline } = target;
  const measured = groupOf(results, group)?.subjects ?? [];
  const ratios = subjects.map((name) =>
    measured.find((it) => it.name === name)?.timesAsFast[baseline]?.median
  );
  // Unless all were measured, none is known to be the slowest
  if (!ratios.every((ratio) => ratio !== undefined)) {
    return { what, reach, measured: "not measured", reached: undefined };
  }
  const ratio = Math.min(...ratios);
  return {
    what,
    reach,
    measured: target.ratio < 1
      ? `${significant(1 / ratio)} times as long`
      : `${significant(ratio)} times as fast`,
    reached: ratio >= target.ratio,
  };
}

function groupOf({ groups }: Results, name: string): GroupResult | undefined {
  return groups.find((it) => it.name === name);
}

/** Returns the Markdown of `RESULTS.md`; `notes` says why the numbers are as they are. */
export function renderReport(results: Results, notes: string): string {
  const { date, seconds, processes, machine, versions, skipped } = results;
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
    "Numbers are medians over the samples of all processes, and the quartiles " +
    "around them. “× vs A” is how many times as long A takes: above 1, the subject " +
    "is faster than A. Both sides of each ratio are of the same round, so a ratio " +
    "suffers less than a time from what else the machine does, and need not be the " +
    "quotient of two medians. Compare ratios, never times of two runs.",
    "## The numbers to reach",
    targetTable(results),
    ...section("## Why", notes.trim()),
    ...section("## Charts", charts.map((it) => image(it, "./")).join("\n\n")),
    ...Array.from(suites, ([suite, groups]) => [
      `## ${capitalized(suite.replaceAll("_", " "))}`,
      ...groups.map(groupSection),
    ]).flat(),
    "## What was skipped",
    skipped.length > 0 ? list(skipped) : "Nothing.",
  ];
  return sections.join("\n\n") + "\n";
}

/** Returns the Markdown of the part of `README.md` on how fast the cells are: one number. */
export function renderSummary(results: Results): string {
  const { date, processes, machine } = results;
  const { measured } = ratioTargetOf(results, HEADLINE);
  return [
    ...chartsOf(results).filter(({ file }) => file === "read_path.svg").map(
      (chart) => image(chart, "./bench/"),
    ),
    `\`LazyInit.get()\` of an initialized cell, against \`${HEADLINE.baseline}\`: ` +
    `**${measured}**. Medians of ${processes} processes on ` +
    `${machine.processor} with ${machine.cores} cores (${machine.system}), ` +
    `on ${date}; [all numbers](./bench/RESULTS.md) and how to measure them again.`,
  ].join("\n\n") + "\n";
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
    ["what", "reach", "measured", "reached"],
    targetsOf(results).map(({ what, reach, measured, reached }) => [
      what,
      reach,
      measured,
      reached === undefined ? "—" : reached ? "yes" : "**no**",
    ]),
  );
}

function groupSection({ name, operation, subjects }: GroupResult): string {
  const baselines = subjects.map(({ name }) => name).filter((name) =>
    subjects.some(({ timesAsFast }) => timesAsFast[name] !== undefined)
  );
  const head = [
    "subject",
    `median per ${operation}`,
    "quartiles",
    ...baselines.map((name) => `× vs ${name}`),
  ];
  const rows = subjects.map(({ name, nanoseconds, timesAsFast }) => [
    name,
    timeOf(nanoseconds.median),
    quartilesOf(nanoseconds, unitOf(nanoseconds.median)[0]),
    ...baselines.map((baseline) => {
      if (name === baseline) return "1";
      const ratio = timesAsFast[baseline];
      if (ratio === undefined) return "—";
      return `${significant(ratio.median)} (${quartilesOf(ratio)})`;
    }),
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
