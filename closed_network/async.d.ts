// Copyright 2026 the lazyinit authors. MIT license.

export class Lazy<T> {
  constructor(init: () => T | Promise<T>);
  get initialized(): boolean;
  get(options?: { signal?: AbortSignal }): Promise<T>;
  peek(): { ok: true; value: T } | { ok: false };
  reset(): void;
}
