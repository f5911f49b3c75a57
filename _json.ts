// Copyright 2026 the lazyinit authors. MIT license.
// This module is browser compatible.

import { isInteger, show } from "./_checks.ts";

/**
 * How deep values may be nested. Every agent can read what another one has written,
 * however little of its stack is left, as neither `JSON.parse` nor freezing recurses.
 * Writing does, so it has a limit that any stack has room for.
 */
const MAX_DEPTH = 1_000;
/** How many elements an array may have. */
const MAX_LENGTH = 2 ** 32 - 1;

const { isRawJSON } = JSON as { isRawJSON?: (value: unknown) => boolean };

/** Where the walk is. Paths in messages are made of it, on failure only. */
interface Walk {
  /** That of the codec. */
  readonly tag: string;
  /** The objects and arrays that it is within, outermost first, … */
  readonly ancestors: object[];
  /** … and the key that it has followed in each. */
  readonly keys: (string | number)[];
}

/**
 * Returns the JSON text of `value`, or throws an error that names the place that JSON
 * cannot represent.
 *
 * Each property is read once, into a copy, from which the text is made: getters, proxies
 * and `toJSON` methods cannot put in the text what has not been checked.
 */
export function toJson(value: unknown, tag: string): string {
  return JSON.stringify(copyOf(value, { tag, ancestors: [], keys: [] }));
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

function copyOf(value: unknown, walk: Walk): unknown {
  if (isLeaf(value)) return value;
  if (!isObject(value) || !isPlain(value)) {
    throw new TypeError(
      `${cannotEncode(walk)} be a JSON value: current value is ${
        describe(value)
      }`,
    );
  }
  // A search, as few are faster to compare than to hash
  if (walk.ancestors.includes(value)) {
    throw new TypeError(
      `${cannotEncode(walk)} be a JSON value: it closes a cycle`,
    );
  }
  if (walk.ancestors.length === MAX_DEPTH) {
    throw new RangeError(
      `Cannot encode ${walk.tag} as 'value' must be nested at most ${MAX_DEPTH} levels deep: it is nested deeper`,
    );
  }
  return Array.isArray(value)
    ? copyOfArray(value, walk)
    : copyOfObject(value as Record<string, unknown>, walk);
}

function copyOfArray(value: unknown[], walk: Walk): unknown[] {
  const { length } = value;
  // That of a proxy may be anything, and would be the only element of the copy
  if (!isInteger(length, 0, MAX_LENGTH)) {
    throw new TypeError(
      `${cannotEncode(walk)} be a JSON value: its length is ${show(length)}`,
    );
  }
  const copy = new Array(length);
  // By index, as map() skips holes and calls the array's own class
  for (let i = 0; i < length; i++) {
    const member = value[i];
    copy[i] = isLeaf(member) ? member : copyOfMember(member, value, i, walk);
  }
  return copy;
}

function copyOfObject(value: Record<string, unknown>, walk: Walk): object {
  const copy = { ...value };
  // Which makes no list of the keys, as Object.keys() does
  for (const key in copy) {
    const member = copy[key];
    // What is undefined is left out of the text
    if (isLeaf(member) || member === undefined) continue;
    if (!Object.hasOwn(copy, key)) continue;
    copy[key] = copyOfMember(member, value, key, walk);
  }
  return copy;
}

/** Copies what `parent` has under that key. */
function copyOfMember(
  member: unknown,
  parent: object,
  key: string | number,
  walk: Walk,
): unknown {
  const { ancestors, keys } = walk;
  ancestors.push(parent);
  keys.push(key);
  const copy = copyOf(member, walk);
  ancestors.pop();
  keys.pop();
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
  if (hasToJson(value)) return false;
  let prototype = Object.getPrototypeOf(value);
  if (prototype === null) return !isRawJSON?.(value);
  if (prototype === Object.prototype) return true;
  if (Array.isArray(value)) prototype = Object.getPrototypeOf(prototype);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

function hasToJson(value: object): boolean {
  return typeof (value as { toJSON?: unknown }).toJSON === "function";
}

function cannotEncode({ tag, keys }: Walk): string {
  const steps = keys.map((key) =>
    typeof key === "number" ? `[${key}]` : `.${key}`
  );
  return `Cannot encode ${tag} as 'value${steps.join("")}' must`;
}

/** Names the class of an object, so that the message shows what to convert. */
function describe(value: unknown): string {
  if (!isObject(value)) return show(value);
  if (isRawJSON?.(value)) return "raw JSON";
  const name = Object.getPrototypeOf(value)?.constructor?.name;
  if (typeof name === "string" && !["", "Array", "Object"].includes(name)) {
    return `${/^[aeio]/i.test(name) ? "an" : "a"} ${name}`;
  }
  return hasToJson(value) ? `${show(value)} with a toJSON method` : show(value);
}
