// Copyright 2026 the lazyinit authors. MIT license.

import { note } from "./_suite.ts";

/** The part of `Lazy` of `@std/async` that is used here. */
export interface Lazy<T> {
  get(): Promise<T>;
  peek(): { ok: true; value: T } | { ok: false };
  reset(): void;
}

interface StdAsync {
  Lazy: new <T>(initializer: () => T | Promise<T>) => Lazy<T>;
}

// No literal, as a file with a literal that leads nowhere does not type-check
const name: string = "@std/async";

/** Undefined where JSR cannot be reached and no stand-in takes its place. */
export const stdAsync: StdAsync | undefined = await import(name).catch(() =>
  note("@std/async is left out, as it cannot be reached: use `deno task bench`")
);
