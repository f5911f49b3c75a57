// Copyright 2026 the lazyinit authors. MIT license.
// This module is browser compatible.

const MAX_AGENT_ID = 2 ** 28 - 1;

/** Shows a value of unknown type in an error message without running its code. */
export function show(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "bigint") return `${value}n`;
  if (Object.is(value, -0)) return "-0";
  if (typeof value === "function") return "a function";
  if (typeof value === "object" && value !== null) {
    return Array.isArray(value) ? "an array" : "an object";
  }
  return String(value);
}

/** How errors and inspection refer to a cell: its class, and its name if it has one. */
export function label(kind: string, name: string): string {
  return name === "" ? kind : `${kind} ${JSON.stringify(name)}`;
}

/** The message of an error about a value that must be, or have, something else. */
export function invalid(
  action: string,
  name: string,
  wanted: string,
  value: unknown,
): string {
  return `Cannot ${action} as '${name}' must ${wanted}: current value is ${
    show(value)
  }`;
}

/** Whether `value` is an integer from `min` to `max`. */
export function isInteger(
  value: unknown,
  min: number,
  max: number,
): value is number {
  return typeof value === "number" && Number.isInteger(value) &&
    value >= min && value <= max;
}

/** The error about a number that is out of range, or about what is not a number. */
export function outOfRange(
  action: string,
  name: string,
  wanted: string,
  value: unknown,
  type = "be a number",
): TypeError | RangeError {
  return typeof value === "number"
    ? new RangeError(invalid(action, name, wanted, value))
    : wrongType(action, name, type, value);
}

/** The error about a value of a wrong type. */
export function wrongType(
  action: string,
  name: string,
  wanted: string,
  value: unknown,
): TypeError {
  return new TypeError(invalid(action, name, wanted, value));
}

/** Throws unless `value` is an integer from `min` to `max`. */
export function assertInteger(
  value: unknown,
  action: string,
  name: string,
  min: number,
  max: number,
  shown: number | string = max,
): asserts value is number {
  if (isInteger(value, min, max)) return;
  const wanted = `be an integer from ${min} to ${shown}`;
  throw outOfRange(action, name, wanted, value);
}

/** Throws unless `codec` has the shape of a codec. */
export function assertCodec(codec: unknown, name = "codec"): void {
  const { tag, byteLength, encode, decode } = Object(codec);
  if (
    typeof tag === "string" && typeof encode === "function" &&
    typeof decode === "function" &&
    isInteger(byteLength, 0, Number.MAX_SAFE_INTEGER)
  ) return;
  const wanted = "have 'tag', 'byteLength', 'encode' and 'decode'";
  throw wrongType("use the codec", name, wanted, codec);
}

/** Throws unless `timeout` is a number of milliseconds that is not negative. */
export function assertTimeout(timeout: unknown): asserts timeout is number {
  if (typeof timeout === "number" && timeout >= 0) return;
  const wanted = "be at least 0 milliseconds";
  const type = "be a number of milliseconds";
  throw outOfRange("wait", "timeout", wanted, timeout, type);
}

/** Throws unless `agentId` can be the id of an agent. */
export function assertAgentId(agentId: unknown): asserts agentId is number {
  // The bits of a greater one would be those of another agent
  if (isInteger(agentId, 1, MAX_AGENT_ID)) return;
  const wanted = isInteger(agentId, 1, Number.MAX_SAFE_INTEGER)
    ? "be at most 2^28 - 1"
    : "be a positive integer";
  const type = "be the number of an agent";
  throw outOfRange("recover", "agentId", wanted, agentId, type);
}

/** Throws unless `value` is a function. */
export function assertFunction(
  value: unknown,
  name: string,
  action: string,
): void {
  if (typeof value === "function") return;
  throw wrongType(action, name, "be a function", value);
}

/** Throws unless `options` is an object; it may be empty. */
export function assertOptions(options: unknown): void {
  if (typeof options === "object" && options !== null) return;
  throw wrongType("use the options", "options", "be an object", options);
}

/** Returns the signal of a call that waits for ever by default. */
export function signalOf(
  options: { signal?: AbortSignal | null; timeout?: unknown } | undefined,
): AbortSignal | undefined {
  if (options === undefined) return undefined;
  assertOptions(options);
  const { signal, timeout } = options;
  if (timeout !== undefined) {
    throw new TypeError(
      `Cannot wait as 'timeout' is an option of the methods that block: use 'signal: AbortSignal.timeout(${
        show(timeout)
      })' instead`,
    );
  }
  if (signal === undefined || signal === null) return undefined;
  // Recognized by what it does, as it may be of another realm
  const { aborted, addEventListener } = Object(signal);
  if (typeof aborted === "boolean" && typeof addEventListener === "function") {
    return signal;
  }
  throw wrongType("wait", "signal", "be an AbortSignal", signal);
}

/** Throws the reason of an aborted signal. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  // Not by its throwIfAborted(), which a signal of another realm or library may lack
  if (signal?.aborted) throw signal.reason;
}

/** Returns the timeout of a call that waits for ever by default, in ms. */
export function timeoutOf(
  options: { timeout?: number; signal?: unknown } | undefined,
): number {
  // An option that was not given needs no check, where every nanosecond counts
  if (options === undefined) return Infinity;
  assertOptions(options);
  const { timeout = Infinity, signal } = options;
  if (signal !== undefined) {
    throw new TypeError(
      "Cannot wait as 'signal' is an option of the methods that do not block: use 'timeout' instead",
    );
  }
  assertTimeout(timeout);
  return timeout;
}

/** The error of a synchronous call that would have to block where it may not. */
export function cannotBlock(alternative: string): TypeError {
  return new TypeError(
    `Cannot block in this agent: use ${alternative} instead`,
  );
}
