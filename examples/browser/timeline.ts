// Copyright 2026 the lazyinit authors. MIT license.
/// <reference lib="dom" />

/**
 * Rows that show what each worker does, drawn as it happens, and the same in words.
 *
 * @module
 */

import { atMostEvery, element, tell } from "./dom.ts";
import { now, type Report } from "./messages.ts";
import { type State, STATES, WORDINGS } from "./states.ts";

/** How much time the rows show, in s: the first that is enough. */
const SPANS = [0.5, 1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60, 120, 300, 600];
const ROOM = 1.2;
const TICKS = 4;
/** Segments that take less of a row than this are drawn over the others. */
const BRIEF_PERCENT = 1;
/** A screen reader must be able to keep up. */
const SUMMARY_MILLISECONDS = 600;
/** How often rows grow for users who do not want to see motion. */
const CALM_MILLISECONDS = 1_000;

interface Segment {
  readonly state: State;
  readonly start: number;
  readonly box: HTMLElement;
}

interface Row {
  readonly bar: HTMLElement;
  readonly current: HTMLElement;
  readonly segments: Segment[];
}

/** Something that happened to the cell rather than to one worker. */
interface Mark {
  readonly at: number;
  readonly lines: readonly HTMLElement[];
}

export class Timeline {
  readonly #rowList = element("ol", { class: "rows" });
  readonly #axis = element("div", { class: "axis", "aria-hidden": "true" });
  readonly #summary = element("p", { class: "summary", role: "status" });
  readonly #log = element("ol", { class: "log", tabindex: "0" });
  readonly #summarize = atMostEvery(SUMMARY_MILLISECONDS, () => {
    tell(this.#summary, this.#summaryText());
  });
  #rows: Row[] = [];
  #marks: Mark[] = [];
  #start = 0;
  #drawing = false;
  /** Whether the rows are full, and nothing more is to come. */
  #drawn = false;

  constructor(root: HTMLElement, logLabel: string) {
    this.#log.setAttribute("aria-label", logLabel);
    const ruled = element("div", { class: "ruled" }, this.#axis, this.#rowList);
    root.append(this.#summary, ruled, this.#log);
  }

  /** Starts over, with all workers starting. */
  begin(workers: number): void {
    this.#start = now();
    this.#marks = [];
    this.#axis.replaceChildren();
    delete this.#axis.dataset.span;
    this.#log.replaceChildren();
    this.#rows = Array.from({ length: workers }, () => ({
      bar: element("div", { class: "bar", "aria-hidden": "true" }),
      current: element("span", { class: "current" }),
      segments: [],
    }));
    this.#rowList.replaceChildren(
      ...this.#rows.map(({ bar, current }, i) =>
        element(
          "li",
          {},
          element("span", { class: "name" }, `Worker ${i + 1}`),
          bar,
          current,
        )
      ),
    );
    for (let worker = 1; worker <= workers; worker++) {
      this.report(worker, { state: "starting", at: this.#start, detail: "" });
    }
  }

  report(worker: number, { state, at, detail }: Report): void {
    const { bar, current, segments } = this.#rows[worker - 1]!;
    const { one } = WORDINGS[state];
    const box = element(
      "div",
      { class: `segment ${state}` },
      element("span", {}, one),
    );
    bar.append(box);
    segments.push({ state, start: at, box });
    const text = one + detail;
    current.className = `current ${state}`;
    current.textContent = text;
    if (state !== "starting") this.#note(at, `Worker ${worker} ${text}`);
    this.#summarize();
    this.#draw();
    this.#keepDrawing();
  }

  /** Notes what happened to the cell, and draws a line through all rows if it has a label. */
  mark(text: string, { label = "", at = now() } = {}): void {
    this.#note(at, text);
    if (label === "") return;
    const lines = [this.#axis, ...this.#rows.map(({ bar }) => bar)].map(
      (parent) => {
        const line = element("div", { class: "mark" });
        if (parent === this.#axis) line.textContent = label;
        parent.append(line);
        return line;
      },
    );
    this.#marks.push({ at, lines });
    this.#draw();
  }

  /** Reports of several workers do not always come in order. */
  #note(at: number, text: string): void {
    const seconds = Math.max(0, (at - this.#start) / 1_000).toFixed(3);
    const entry = element(
      "li",
      { "data-at": String(at) },
      element("span", { class: "time" }, `${seconds} s`),
      ` ${text}`,
    );
    let before = this.#log.lastElementChild as HTMLElement | null;
    while (before && Number(before.dataset.at) > at) {
      before = before.previousElementSibling as HTMLElement | null;
    }
    if (before) before.after(entry);
    else this.#log.prepend(entry);
    this.#log.scrollTop = this.#log.scrollHeight;
  }

  #summaryText(): string {
    const counts = STATES.map((state) => {
      const workers = this.#rows.flatMap(({ segments }, i) =>
        segments.at(-1)?.state === state ? [i + 1] : []
      );
      const { one, many } = WORDINGS[state];
      if (workers.length === 0) return "";
      return workers.length === 1
        ? `Worker ${workers[0]} ${one}`
        : `${workers.length} workers ${many}`;
    });
    return `${counts.filter(Boolean).join("; ")}.`;
  }

  get #settled(): boolean {
    return this.#rows.every(({ segments }) =>
      WORDINGS[segments.at(-1)?.state ?? "starting"].settled
    );
  }

  #keepDrawing(): void {
    if (this.#drawing) return;
    this.#drawing = true;
    const next = matchMedia("(prefers-reduced-motion: reduce)").matches
      ? (action: () => void) => setTimeout(action, CALM_MILLISECONDS)
      : requestAnimationFrame;
    const draw = () => {
      this.#draw();
      this.#drawing = !this.#drawn;
      if (this.#drawing) next(draw);
    };
    next(draw);
  }

  #draw(): void {
    const starts = this.#rows.flatMap(({ segments }) =>
      segments.map(({ start }) => start)
    );
    const latest = Math.max(...starts, ...this.#marks.map(({ at }) => at));
    const time = now();
    // Room for what has happened last, and all of the time until it is settled
    const seconds = Math.max(
      ROOM * (latest - this.#start),
      this.#settled ? 0 : time - this.#start,
    ) / 1_000;
    const span = SPANS.find((span) => span >= seconds) ?? seconds;
    const end = Math.min(time, this.#start + 1_000 * span);
    this.#drawn = this.#settled && end < time;
    const percent = (at: number) =>
      Math.max(0, (at - this.#start) / (10 * span));

    for (const { segments } of this.#rows) {
      segments.forEach(({ start, box }, i) => {
        const left = percent(start);
        const width = percent(segments[i + 1]?.start ?? end) - left;
        box.style.left = `${left}%`;
        box.style.width = `${width}%`;
        box.classList.toggle("brief", width < BRIEF_PERCENT);
      });
    }
    for (const { at, lines } of this.#marks) {
      for (const { style } of lines) {
        style.left = `${percent(at)}%`;
        // A label near the end must not stick out
        style.translate = `-${percent(at)}%`;
      }
    }
    this.#drawAxis(span);
  }

  #drawAxis(span: number): void {
    if (this.#axis.dataset.span === String(span)) return;
    this.#axis.dataset.span = String(span);
    this.#axis.querySelectorAll(".tick").forEach((tick) => tick.remove());
    for (let i = 0; i <= TICKS; i++) {
      const tick = element(
        "span",
        { class: "tick", style: `left: ${100 * i / TICKS}%` },
        `${Number((span * i / TICKS).toFixed(3))} s`,
      );
      this.#axis.append(tick);
    }
  }
}

/** Shows what the patterns of the segments mean. */
export function fillLegend(list: HTMLElement): void {
  list.replaceChildren(
    ...STATES.map((state) =>
      element(
        "li",
        {},
        element("span", { class: `swatch ${state}`, "aria-hidden": "true" }),
        WORDINGS[state].one,
      )
    ),
  );
}
