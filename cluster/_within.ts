// Copyright 2026 the lazyinit authors. MIT license.

/** `AsyncLocalStorage` as far as it is used here. */
interface AsyncContext {
  getStore(): readonly bigint[] | undefined;
  run<R>(store: readonly bigint[], callback: () => R): R;
}

interface NodeLike {
  getBuiltinModule?(name: string): {
    AsyncLocalStorage: new () => AsyncContext;
  } | undefined;
}

/** The runs that an asynchronous call is within: ids, so that no cell is kept alive. */
const context: AsyncContext | undefined = (() => {
  const { process } = globalThis as { process?: NodeLike };
  const module = process?.getBuiltinModule?.("node:async_hooks");
  return module && new module.AsyncLocalStorage();
})();

/** Whether the caller runs within the initializer of that run, where the platform can tell. */
export function isWithin(run: bigint): boolean {
  return context?.getStore()?.includes(run) ?? false;
}

/** Calls `initializer` within that run. */
export function runWithin<R>(run: bigint, initializer: () => R): R {
  if (context === undefined) return initializer();
  return context.run([...context.getStore() ?? [], run], initializer);
}
