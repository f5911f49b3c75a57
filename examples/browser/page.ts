// Copyright 2026 the lazyinit authors. MIT license.
/// <reference lib="dom" />

/**
 * The page: the form of the timeline, three small trials, and the search.
 *
 * @module
 */

import { bool, type CellKind, LazyInit } from "../../mod.ts";
import { byId, tell } from "./dom.ts";
import { startKeys } from "./keys.ts";
import { isAsynchronous, type Plan } from "./messages.ts";
import { startPrimes } from "./primes.ts";
import { startReloads } from "./reloads.ts";
import { Run } from "./run.ts";
import { startSearch } from "./search.ts";
import { fillLegend, Timeline } from "./timeline.ts";

const form = byId("plan", HTMLFormElement);
const note = byId("note", HTMLElement);
const phase = byId("phase", HTMLElement);
const resetButton = byId("reset", HTMLButtonElement);
const recoverButton = byId("recover", HTMLButtonElement);

function readPlan(): Plan {
  const data = new FormData(form);
  return {
    kind: data.get("kind") as CellKind,
    workers: Number(data.get("workers")),
    initializer: data.get("initializer") as Plan["initializer"],
    // Fields that do not matter are disabled, and then not in the data
    milliseconds: Number(data.get("milliseconds") ?? 0),
    failures: Number(data.get("failures") ?? 0),
    waits: data.get("waits") as Plan["waits"],
    freedBy: (data.get("freedBy") ?? "waiters") as Plan["freedBy"],
  };
}

/** Says what is not obvious about a plan. */
function remark(plan: Plan): string {
  const { kind, initializer, waits, freedBy } = plan;
  const remarks: string[] = [];
  if (kind === "LazyInit" && initializer !== "works") {
    remarks.push(
      "A LazyInit does not tell latecomers that it is free again: here, they try again every half second.",
    );
  }
  if (initializer === "dies") {
    if (freedBy === "waiters" && waits === "blocking") {
      remarks.push(
        "Blocked workers do not notice that another worker has ended: recover the cell by the button.",
      );
    }
    remarks.push(
      isAsynchronous(plan)
        ? "The initializer is asynchronous, so its worker ends immediately, and a waiter takes over."
        : "The initializer blocks its worker, and Chromium ends a blocked worker 2 seconds after terminate().",
    );
  }
  return remarks.join(" ");
}

function showPlan(): void {
  const plan = readPlan();
  const { initializer } = plan;
  byId("milliseconds", HTMLInputElement).disabled = initializer === "works";
  byId("failures", HTMLInputElement).disabled = initializer !== "fails";
  byId("freed-by", HTMLFieldSetElement).disabled = initializer !== "dies";
  tell(note, remark(plan));
}

function startTimeline(): void {
  const timeline = new Timeline(
    byId("timeline", HTMLElement),
    "What happened, in order",
  );
  let run: Run | undefined;
  function showRun(): void {
    // If they were really disabled, they would lose the focus
    resetButton.ariaDisabled = String(!run?.canReset);
    recoverButton.ariaDisabled = String(!run?.canRecover);
  }
  function showPhase(): void {
    tell(phase, run?.phase ?? "");
    requestAnimationFrame(showPhase);
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    run?.stop();
    run = new Run(readPlan(), timeline, showRun);
    byId("hint", HTMLElement).hidden = true;
    byId("run", HTMLElement).hidden = false;
    showRun();
  });
  resetButton.addEventListener("click", () => {
    if (run?.canReset) run.reset();
  });
  recoverButton.addEventListener("click", () => {
    if (run?.canRecover) run.recover();
  });
  form.addEventListener("change", showPlan);
  // Not before, as browsers restore what was chosen when a user comes back
  addEventListener("pageshow", showPlan);
  fillLegend(byId("legend", HTMLElement));
  showPhase();
}

function showError(error: unknown): void {
  const alert = byId("error", HTMLElement);
  alert.hidden = false;
  alert.textContent = error instanceof Error ? error.message : String(error);
}

/** Loads the cities when a user scrolls near, as they are many. */
function startSearchInView(): void {
  const observer = new IntersectionObserver((entries) => {
    if (!entries.some(({ isIntersecting }) => isIntersecting)) return;
    observer.disconnect();
    startSearch();
  });
  observer.observe(byId("nearest", HTMLElement));
}

addEventListener("error", ({ message }) => showError(message));
addEventListener("unhandledrejection", ({ reason }) => showError(reason));
try {
  // Where there is no shared memory, the library says which headers are missing
  new LazyInit(bool);
  startTimeline();
  startPrimes();
  startKeys();
  startReloads();
  startSearchInView();
} catch (error) {
  showError(error);
  for (const panel of document.querySelectorAll<HTMLElement>(".panel")) {
    panel.hidden = true;
  }
}
