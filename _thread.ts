// Copyright 2026 the lazyinit authors. MIT license.
// This module is browser compatible.

/*
 * What all copies of this package in one thread have in common.
 *
 * A thread may load the package several times: in two versions, by two bundlers, in a
 * frame of the same origin, or in a `node:vm` context, in which Jest runs each test
 * file. They are one agent: all of them stand still while one of them blocks. So they
 * share the agent's id, its unfinished initializers and its announcement, through a
 * registry that is stored under a registered symbol, in a place that all of them can reach:
 *
 *   Node, Bun, Deno   the module `node:worker_threads`, which `process` leads to: in the
 *                     environments of Jest, `process` is a copy, but the module is not.
 *   windows           the outermost one of the same origin among their ancestors.
 *   elsewhere         `globalThis`.
 *
 * Each of them is an agent of its own if nothing leads from one to the other: if a
 * `node:vm` context has no `process`, a window was opened by another one, two frames of
 * one origin have no ancestor of that origin, or `globalThis` is not extensible.
 */

/** What Node, Bun and Deno have of Node. */
interface Process {
  readonly type?: string;
  readonly versions?: { readonly bun?: string; readonly deno?: string };
  getBuiltinModule?<Name extends keyof Builtins>(name: Name): Builtins[Name];
}

/** A worker of Node or Bun, as the thread sees it that has started it. */
export interface StartedWorker {
  readonly threadId: number;
  /** That of Node has it. */
  once?(event: "exit", listener: () => void): unknown;
  /** That of the web has it, which Bun knows, too. */
  addEventListener?(event: "close", listener: () => void): void;
}

/** A value that follows asynchronous calls. */
export interface AsyncContext<T> {
  run<R>(value: T, body: () => R): R;
  getStore(): T | undefined;
}

interface Builtins {
  "node:async_hooks": { AsyncLocalStorage: new <T>() => AsyncContext<T> };
  "node:diagnostics_channel": {
    subscribe(
      channel: "worker_threads",
      listener: (message: { readonly worker: StartedWorker }) => void,
    ): void;
  };
  "node:process": {
    on(event: "worker", listener: (worker: StartedWorker) => void): unknown;
  };
  "node:worker_threads": {
    readonly threadId: number;
    readonly isMainThread: boolean;
  };
}

/** What this uses of a window. */
export interface Window {
  readonly parent: Window;
  readonly navigator: object;
}

const scope = globalThis as {
  readonly document?: unknown;
  readonly parent?: Window;
  readonly process?: Process;
};

/** Returns a module of Node, if there is one: without an import, as browsers lack it. */
export function builtinModule<Name extends keyof Builtins>(
  name: Name,
): Builtins[Name] | undefined {
  try {
    return scope.process?.getBuiltinModule?.(name);
  } catch {
    // Deno loads a part of itself first, and cannot if `globalThis` is not extensible
    return undefined;
  }
}

/** The threads of Node, which Deno and Bun also have. */
export const threads: Builtins["node:worker_threads"] | undefined =
  builtinModule("node:worker_threads");

/** Whether this is Deno, also in a `node:vm` context. */
export const isDeno: boolean = "Deno" in scope ||
  scope.process?.versions?.deno !== undefined;

/**
 * Whether this is Node or Bun, where the ids of threads are unique. In the renderers of
 * Electron, which have the modules of Node, they are not.
 */
export const isNode: boolean = threads !== undefined && !isDeno &&
  !/^(renderer|worker)$/.test(scope.process?.type ?? "");

/** Whether this is Bun. */
export const isBun: boolean = scope.process?.versions?.bun !== undefined;

/** The outermost window of this origin among this one and its ancestors; none in a worker. */
export const outermostWindow: Window | undefined = ancestors().find(
  isReachable,
);

/** Whether that window is the top-level one. */
export const isFirstParty: boolean = outermostWindow !== undefined &&
  outermostWindow.parent === outermostWindow;

/** Whether this is a frame in a window that belongs to the same agent and may outlive it. */
export const isInnerFrame: boolean = outermostWindow !== undefined &&
  outermostWindow !== globalThis as unknown;

/** This window and its ancestors, from the top-level one on. */
function ancestors(): Window[] {
  const found: Window[] = [];
  if (scope.document === undefined) return found;
  // A script may put anything in the place of `parent`
  let window: unknown = globalThis;
  while (Object(window) === window && !found.includes(window as Window)) {
    found.unshift(window as Window);
    window = (window as Window).parent;
  }
  return found;
}

/** Whether the window is of this origin: those of others throw. */
function isReachable(window: Window): boolean {
  try {
    return window.navigator !== undefined;
  } catch {
    return false;
  }
}

const REGISTRY = Symbol.for("@lazyinit/lazyinit");
type Registry = Map<string, unknown>;

const registry = findRegistry();

function findRegistry(): Registry {
  const registry: Registry = new Map();
  for (const place of [threads, outermostWindow, globalThis]) {
    if (place === undefined) continue;
    const found = (place as { [REGISTRY]?: Registry })[REGISTRY];
    if (found !== undefined) return found;
    // Answers false, and does not throw, if the place is not extensible
    if (Reflect.defineProperty(place, REGISTRY, { value: registry })) break;
  }
  return registry;
}

/**
 * Returns what all copies of this package in the thread share by this name; the first
 * one makes it. In browsers it may be data alone: where a frame has made it and ended,
 * its callbacks are no longer called, and its promises never settle.
 */
export function sharedByThread<T>(name: string, make: () => T): T {
  if (!registry.has(name)) registry.set(name, make());
  return registry.get(name) as T;
}
