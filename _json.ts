// Copyright 2026 the lazyinit authors. MIT license.
// This module is browser compatible.

import { show } from "./_checks.ts";

/**
 * How deep values may be nested. Every agent can read what another one has written,
 * however little of its stack is left, as neither `JSON.parse` nor freezing recurses.
 * Writing does, so it has a limit that any stack has room for.
 */
const MAX_DEPTH = 1_000;

/** Copies an array by its length and elements, without its iterator or its species. */
const { toSpliced } = Array.prototype;

const { isRawJSON } = JSON as { isRawJSON?: (value: unknown) => boolean };

/**
 * The objects and arrays that the walk is within, outermost first, each with the key
 * that the walk has followed. Paths in messages are made of it, on failure only.
 */
type Ancestors = Map<object, string | number>;

/**
 * Returns the JSON text of `value`, or throws an error that names the place that JSON
 * cannot represent.
 *
 * Each property is read once, into a copy of which the text is made: getters, proxies
 * and `toJSON` methods cannot put in the text what has not been checked.
 */
export function toJson(value: unknown, tag: string): string {
  return JSON.stringify(copyOf(value, new Map(), tag));
}

/** Returns the value of a JSON text, frozen all through. */
export function fromJson(text: string): unknown {
  const value = JSON.parse(text);
  const unfrozen = isObject(value) ? [value] : [];
  for (let next = unfrozen.pop(); next !== undefined; next = unfrozen.pop()) {
    const members = Array.isArray(next) ? next : Object.values(next);
    // By index, and before it is frozen, as a million numbers take half as long then
    for (let i = 0; i < members.length; i++) {
      if (isObject(members[i])) unfrozen.push(members[i]);
    }
    Object.freeze(next);
  }
  return value;
}

function copyOf(value: unknown, ancestors: Ancestors, tag: string): unknown {
  if (isLeaf(value)) return value;
  if (!isObject(value) || !isPlain(value)) {
    throw new TypeError(
      `${cannotEncode(ancestors, tag)} be a JSON value: current value is ${
        describe(value)
      }`,
    );
  }
  if (ancestors.has(value)) {
    throw new TypeError(
      `${cannotEncode(ancestors, tag)} be a JSON value: it is a cycle`,
    );
  }
  if (ancestors.size === MAX_DEPTH) {
    throw new RangeError(
      `Cannot encode ${tag} as 'value' must be nested at most ${MAX_DEPTH} levels deep: it is nested deeper`,
    );
  }
  return Array.isArray(value)
    ? copyOfArray(value, ancestors, tag)
    : copyOfObject(value, ancestors, tag);
}

function copyOfArray(
  value: unknown[],
  ancestors: Ancestors,
  tag: string,
): unknown[] {
  const copy = toSpliced.call(value, 0, 0);
  // By index, as the holes that forEach() skips must be found
  for (let i = 0; i < copy.length; i++) {
    if (isLeaf(copy[i])) continue;
    ancestors.set(value, i);
    copy[i] = copyOf(copy[i], ancestors, tag);
  }
  ancestors.delete(value);
  return copy;
}

function copyOfObject(
  value: object,
  ancestors: Ancestors,
  tag: string,
): object {
  const copy: Record<string, unknown> = { ...value };
  for (const key of Object.keys(copy)) {
    // What is undefined is left out of the text
    if (isLeaf(copy[key]) || copy[key] === undefined) continue;
    ancestors.set(value, key);
    copy[key] = copyOf(copy[key], ancestors, tag);
  }
  ancestors.delete(value);
  return copy;
}

function isLeaf(value: unknown): boolean {
  switch (typeof value) {
    case "number":
      return Number.isFinite(value);
    case "string":
    case "boolean":
      return true;
    default:
      return value === null;
  }
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

/** Whether `value` is an object or array that JSON keeps as it is, of any realm. */
function isPlain(value: object): boolean {
  if (hasToJson(value) || isRawJSON?.(value)) return false;
  let prototype = Object.getPrototypeOf(value);
  if (prototype !== null && Array.isArray(value)) {
    prototype = Object.getPrototypeOf(prototype);
  }
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

function hasToJson(value: object): boolean {
  return typeof (value as { toJSON?: unknown }).toJSON === "function";
}

function cannotEncode(ancestors: Ancestors, tag: string): string {
  const steps = [...ancestors.values()].map((key) =>
    typeof key === "number" ? `[${key}]` : `.${key}`
  );
  return `Cannot encode ${tag} as 'value${steps.join("")}' must`;
}

/** Names the class of an object, which is what tells its owner what to convert. */
function describe(value: unknown): string {
  if (!isObject(value)) return show(value);
  if (isRawJSON?.(value)) return "raw JSON";
  const name = Object.getPrototypeOf(value)?.constructor?.name;
  if (typeof name === "string" && !["", "Array", "Object"].includes(name)) {
    return `${/^[aeio]/i.test(name) ? "an" : "a"} ${name}`;
  }
  return hasToJson(value) ? `${show(value)} with a toJSON method` : show(value);
}
