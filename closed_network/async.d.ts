// Copyright 2026 the lazyinit authors. MIT license.

export interface DelayOptions {
  signal?: AbortSignal;
  persistent?: boolean;
}
export function delay(ms: number, options?: DelayOptions): Promise<void>;

export interface DeadlineOptions {
  signal?: AbortSignal;
}
export function deadline<T>(
  p: Promise<T>,
  ms: number,
  options?: DeadlineOptions,
): Promise<T>;

export class Lazy<T> {
  constructor(init: () => T | Promise<T>);
  get initialized(): boolean;
  get(options?: { signal?: AbortSignal }): Promise<T>;
  peek(): { ok: true; value: T } | { ok: false };
  reset(): void;
}
