// Copyright 2026 the lazyinit authors. MIT license.

import { assertEquals, assertThrows } from "@std/assert";
import {
  Cities,
  formatPlace,
  parseCoordinates,
} from "../examples/browser/places.ts";

const cities = new Cities({
  version: "1.0.0",
  license: "none",
  regions: [["FR", "Île-de-France"], ["US", "Texas"], ["MC", ""]],
  names: ["Parisot", "Paris", "New Paris", "Paris", "São", "Comparison"],
  cityRegions: [0, 0, 1, 1, 2, 1],
  latitudes: [1, 2, 3, 4, 5, 6],
  longitudes: [-1, -2, -3, -4, -5, -6],
});

Deno.test("Cities.suggest() puts names that are called so first, then those that begin so", () => {
  assertEquals(cities.suggest("paris", 9), [1, 3, 0, 2]);
  assertEquals(cities.suggest("paris", 1), [1]);
});

Deno.test("Cities.suggest() asks for region or country after a comma", () => {
  assertEquals(cities.suggest("Paris, united", 9), [3, 2]);
  assertEquals(cities.suggest("Paris, ile, france", 9), [1, 0]);
});

Deno.test("Cities.suggest() knows nothing about nothing", () => {
  assertEquals(cities.suggest("", 9), []);
  assertEquals(cities.suggest(" , France", 9), []);
  assertEquals(cities.suggest("Xyzzy", 9), []);
});

Deno.test("Cities.suggest() takes names as they can be typed on any keyboard", () => {
  const names = [
    "Łódź",
    "Tromsø",
    "L’Aquila",
    "Iğdır",
    "Saint-Denis",
    "Gießen",
  ];
  const zeros = names.map(() => 0);
  const cities = new Cities({
    version: "1.0.0",
    license: "none",
    regions: [["FR", ""]],
    names,
    cityRegions: zeros,
    latitudes: zeros,
    longitudes: zeros,
  });
  for (
    const [id, texts] of [
      ["lodz", "łódź"],
      ["tromso", "TROMSØ"],
      ["laquila", "l'aquila"],
      ["igdir", "IĞDIR"],
      ["saint denis", "denis", "saint-denis"],
      ["giessen", "Gießen"],
    ].entries()
  ) {
    for (const text of texts) assertEquals(cities.suggest(text, 9), [id], text);
  }
});

Deno.test("Cities.label() is what suggest() understands", () => {
  assertEquals(cities.label(1), "Paris, Île-de-France, France");
  assertEquals(cities.suggest(cities.label(1), 9), [1, 0]);
  assertEquals(cities.label(4), "São, Monaco");
  assertEquals(cities.suggest(cities.label(4), 9), [4]);
});

Deno.test("parseCoordinates() understands latitude and longitude, and nothing else", () => {
  assertEquals(parseCoordinates(" 48.86 ,2.35 "), {
    latitude: 48.86,
    longitude: 2.35,
  });
  assertEquals(parseCoordinates("-90, +180"), {
    latitude: -90,
    longitude: 180,
  });
  for (const text of ["", "Paris, France", "1", "1,2,3", "1;2", "1e1, 2"]) {
    assertEquals(parseCoordinates(text), undefined);
  }
});

Deno.test("parseCoordinates() refuses what is not on the globe", () => {
  assertThrows(
    () => parseCoordinates("90.1, 0"),
    RangeError,
    "The latitude must be from -90 to 90: current value is 90.1",
  );
  assertThrows(
    () => parseCoordinates("0, -181"),
    RangeError,
    "The longitude must be from -180 to 180: current value is -181",
  );
});

Deno.test("formatPlace() is what parseCoordinates() understands", () => {
  const place = { latitude: -36.85, longitude: 174.76 };
  assertEquals(parseCoordinates(formatPlace(place)), place);
});
