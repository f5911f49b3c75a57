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

/** Throws unless `value` is an integer that can count bytes or elements. */
export function assertLength(value: unknown, name: string): void {
  if (typeof value !== "number") {
    throw new TypeError(
      `Cannot create the codec as '${name}' must be a number: current value is ${
        show(value)
      }`,
    );
  }
  if (!Number.isInteger(value) || value < 0 || value > 2 ** 32 - 1) {
    throw new RangeError(
      `Cannot create the codec as '${name}' must be an integer from 0 to 2^32 - 1: current value is ${value}`,
    );
  }
}

/** Throws unless `codec` has the shape of a codec. */
export function assertCodec(codec: unknown, name = "codec"): void {
  const { tag, byteLength, encode, decode } = Object(codec);
  if (
    typeof tag === "string" && typeof encode === "function" &&
    typeof decode === "function" && Number.isSafeInteger(byteLength) &&
    byteLength >= 0
  ) return;
  throw new TypeError(
    `Cannot use the codec as '${name}' must have 'tag', 'byteLength', 'encode' and 'decode': current value is ${
      show(codec)
    }`,
  );
}

/** Throws unless `timeout` is a number of milliseconds that is not negative. */
export function assertTimeout(timeout: unknown): asserts timeout is number {
  if (typeof timeout !== "number") {
    throw new TypeError(
      `Cannot wait as 'timeout' must be a number of milliseconds: current value is ${
        show(timeout)
      }`,
    );
  }
  if (!(timeout >= 0)) {
    throw new RangeError(
      `Cannot wait as 'timeout' must be at least 0 milliseconds: current value is ${timeout}`,
    );
  }
}

/** Throws unless `agentId` can be the id of an agent. */
export function assertAgentId(agentId: unknown): asserts agentId is number {
  if (typeof agentId !== "number") {
    throw new TypeError(
      `Cannot recover as 'agentId' must be the number of an agent: current value is ${
        show(agentId)
      }`,
    );
  }
  if (!Number.isSafeInteger(agentId) || agentId < 1) {
    throw new RangeError(
      `Cannot recover as 'agentId' must be a positive integer: current value is ${agentId}`,
    );
  }
  // Otherwise its bits would be those of another agent
  if (agentId > MAX_AGENT_ID) {
    throw new RangeError(
      `Cannot recover as 'agentId' must be at most 2^28 - 1: current value is ${agentId}`,
    );
  }
}

/** Throws unless `value` is a function. */
export function assertFunction(
  value: unknown,
  name: string,
  action: string,
): void {
  if (typeof value === "function") return;
  throw new TypeError(
    `Cannot ${action} as '${name}' must be a function: current value is ${
      show(value)
    }`,
  );
}

/** Throws unless `options` is an object; it may be empty. */
export function assertOptions(options: unknown): void {
  if (typeof options === "object" && options !== null) return;
  throw new TypeError(
    `Cannot use the options as 'options' must be an object: current value is ${
      show(options)
    }`,
  );
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
  throw new TypeError(
    `Cannot wait as 'signal' must be an AbortSignal: current value is ${
      show(signal)
    }`,
  );
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
