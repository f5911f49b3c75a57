// Copyright 2026 the lazyinit authors. MIT license.
/// <reference lib="dom" />

/**
 * A map that is made of the cities themselves, and ways to pick a place on it.
 *
 * @module
 */

import type { Place } from "../nearest_city_index.ts";
import { element } from "./dom.ts";
import type { Cities } from "./places.ts";

/** What part of the globe is drawn. */
export interface View {
  readonly center: Place;
  /** How many degrees of latitude go from top to bottom. */
  readonly height: number;
}

export interface Pin {
  readonly place: Place;
  /** Short; without one, the pin is a ring. */
  readonly label: string;
}

/** From the north of Greenland to Cape Horn: nearly all cities, and little ice. */
export const WORLD: View = {
  center: { latitude: 13, longitude: 0 },
  height: 144,
};
/** Overlapping dots add up, so that dense regions stand out. */
const DOT_OPACITY = { small: 0.3, large: 0.75 };

/** At the poles, no place is east or west of another. */
const MIN_STRETCH = 0.1;

const STEP_DEGREES = 5;
const FINE_STEP_DEGREES = 1;

export class CityMap {
  readonly root: HTMLElement;
  readonly #cities: Cities;
  readonly #canvas = element("canvas", { "aria-hidden": "true" });
  readonly #pins = element("div", { class: "pins", "aria-hidden": "true" });
  #view: View;

  constructor(root: HTMLElement, cities: Cities, view: View) {
    this.root = root;
    this.#cities = cities;
    this.#view = view;
    root.append(this.#canvas, this.#pins);
    new ResizeObserver(() => this.#draw()).observe(root);
    matchMedia("(prefers-color-scheme: dark)")
      .addEventListener("change", () => this.#draw());
  }

  show(view: View): void {
    this.#view = view;
    this.#draw();
  }

  setPins(pins: readonly Pin[]): void {
    this.#pins.replaceChildren(
      ...pins.map(({ place, label }) => {
        const pin = element("div", { class: label ? "pin" : "ring" }, label);
        this.put(pin, place);
        return pin;
      }),
    );
  }

  /** Puts an element where a place is. */
  put({ style }: HTMLElement, place: Place): void {
    const { x, y } = this.#project(place);
    style.left = `${100 * x}%`;
    style.top = `${100 * y}%`;
  }

  /** Returns the place that is seen at a position in the window. */
  placeAt({ clientX, clientY }: MouseEvent): Place {
    const { left, top, width, height } = this.#canvas.getBoundingClientRect();
    const { center } = this.#view;
    const { latitude, longitude } = this.#spread;
    const east = center.longitude +
      ((clientX - left) / width - 0.5) * longitude;
    return {
      latitude: center.latitude - ((clientY - top) / height - 0.5) * latitude,
      // The edges are a little off, as widths are rounded
      longitude: Math.max(-180, Math.min(180, east)),
    };
  }

  /** How many degrees go from side to side. */
  get #spread(): Place {
    const { height, center } = this.#view;
    const { clientWidth, clientHeight } = this.root;
    // The world is drawn with square degrees, a part of it with true proportions
    const stretch = height === WORLD.height
      ? 1
      : Math.max(MIN_STRETCH, Math.cos(center.latitude * Math.PI / 180));
    return {
      latitude: height,
      longitude: height * clientWidth / clientHeight / stretch,
    };
  }

  /** Returns the position of a place, from 0 to 1 if it is seen. */
  #project(place: Place, spread = this.#spread): { x: number; y: number } {
    const { center } = this.#view;
    // The short way round
    const east = (place.longitude - center.longitude + 540) % 360 - 180;
    return {
      x: 0.5 + east / spread.longitude,
      y: 0.5 - (place.latitude - center.latitude) / spread.latitude,
    };
  }

  #draw(): void {
    const { clientWidth, clientHeight } = this.root;
    const width = this.#canvas.width = clientWidth * devicePixelRatio;
    const height = this.#canvas.height = clientHeight * devicePixelRatio;
    const context = this.#canvas.getContext("2d")!;
    const large = this.#view.height !== WORLD.height;
    const size = (large ? 3 : 1) * devicePixelRatio;
    context.fillStyle = getComputedStyle(this.#canvas).color;
    context.globalAlpha = DOT_OPACITY[large ? "large" : "small"];
    const spread = this.#spread;
    for (let id = 0; id < this.#cities.count; id++) {
      const { x, y } = this.#project(this.#cities.place(id), spread);
      if (x < 0 || x > 1 || y < 0 || y > 1) continue;
      // On whole pixels, as others would blur
      const [left, top] = [x * width, y * height].map(Math.floor);
      context.fillRect(left!, top!, size, size);
    }
  }
}

/**
 * Has places picked on a map, by a click, or by arrow keys and Enter. Returns a
 * function that moves the crosshair.
 */
export function pickPlaces(
  map: CityMap,
  moved: (place: Place) => void,
  picked: (place: Place) => void,
): (place: Place) => void {
  const { root } = map;
  const crosshair = element("div", { class: "crosshair" });
  root.append(crosshair);
  root.tabIndex = 0;
  let current: Place = { latitude: 0, longitude: 0 };
  function move(place: Place): void {
    current = place;
    map.put(crosshair, place);
  }
  move(current);

  root.addEventListener("click", (event) => {
    move(map.placeAt(event));
    picked(current);
  });
  root.addEventListener("keydown", (event) => {
    // Those are for the browser, for example to go back
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const step = event.shiftKey ? FINE_STEP_DEGREES : STEP_DEGREES;
    let { latitude, longitude } = current;
    if (event.key === "ArrowUp") latitude = Math.min(85, latitude + step);
    else if (event.key === "ArrowDown") {
      latitude = Math.max(-55, latitude - step);
    } else if (event.key === "ArrowLeft") longitude -= step;
    else if (event.key === "ArrowRight") longitude += step;
    else if (event.key !== "Enter") return;
    event.preventDefault();
    if (event.key === "Enter") {
      picked(current);
      return;
    }
    // Round the globe
    longitude = (longitude + 540) % 360 - 180;
    move({ latitude, longitude });
    moved(current);
  });
  return move;
}
