// Copyright 2026 the lazyinit authors. MIT license.

/**
 * {@linkcode EtcdStore}: an etcd cluster as the store of `ClusterLazyInit` cells, through
 * its JSON gateway, with `fetch`.
 *
 * ```ts
 * import { json } from "@lazyinit/lazyinit";
 * import { ClusterLazyInit } from "@lazyinit/lazyinit/cluster";
 * import { EtcdStore } from "@lazyinit/lazyinit/cluster/etcd";
 * import { assertEquals } from "@std/assert";
 *
 * await using store = new EtcdStore(["http://10.0.0.1:2379", "http://10.0.0.2:2379"]);
 * await using cell = new ClusterLazyInit(store, "config", json<{ port: number }>(1024));
 * // const { port } = await cell.getOrInit(() => ({ port: 80 }));
 * assertEquals(cell.get(), undefined);
 * ```
 *
 * @module
 */

import { assertOptions, invalid, isInteger, show } from "../_checks.ts";
import { type Entry, PermanentStoreError, type Store } from "./store.ts";

/** What servers in their default configuration take, minus room for the key. */
const DEFAULT_MAX_BYTE_LENGTH = 1_500_000;
/** How long a member may take, in ms, before the next request goes to another. */
const REQUEST_TIMEOUT = 3_000;
/** If a member takes longer than this, in ms, the next request already goes to another. */
const SLOW_REQUEST = 300;
/** How long the watch may be silent, in ms, before it resumes on another connection. */
const MAX_SILENCE = 60_000;
/** After how many ms a watch that was cut off begins again; doubles up to the maximum. */
const FIRST_RETRY = 10;
const MAX_RETRY = 1_000;
const DEFAULT_PREFIX = "lazyinit/";
/** How many bytes are turned into text at once: arguments of one call. */
const CHUNK = 0x2000;

/** Codes of gRPC that the same request would get again. */
const INVALID_ARGUMENT = 3;
const PERMISSION_DENIED = 7;
const RESOURCE_EXHAUSTED = 8;
const FAILED_PRECONDITION = 9;
const UNIMPLEMENTED = 12;
/** The token is not valid, or no longer. */
const UNAUTHENTICATED = 16;
const PERMANENT_CODES: ReadonlySet<unknown> = new Set([
  INVALID_ARGUMENT,
  PERMISSION_DENIED,
  FAILED_PRECONDITION,
  UNIMPLEMENTED,
]);
/** The names of these codes where a watch is refused. */
const CODE_NAMES: ReadonlyMap<string | undefined, number> = new Map([
  ["InvalidArgument", INVALID_ARGUMENT],
  ["PermissionDenied", PERMISSION_DENIED],
  ["Unauthenticated", UNAUTHENTICATED],
]);

// Taken once, as test runners replace them later
const { fetch, setTimeout, clearTimeout } = globalThis;
const encoder = new TextEncoder();

/**
 * How an {@linkcode EtcdStore} connects to its servers.
 *
 * @example Usage
 * ```ts
 * import { EtcdStore, type EtcdStoreOptions } from "@lazyinit/lazyinit/cluster/etcd";
 * import { assertEquals } from "@std/assert";
 *
 * const options: EtcdStoreOptions = { username: "app", password: "secret" };
 * await using store = new EtcdStore(["https://etcd.example:2379"], options);
 * assertEquals(store.maxByteLength, 1_500_000);
 * ```
 */
export interface EtcdStoreOptions {
  /** The name of the user, if the servers require one. */
  readonly username?: string;
  /** The password of the user. A new token is asked for whenever one has run out. */
  readonly password?: string;
  /** A token that you have got from etcd yourself, in place of user and password. */
  readonly token?: string;
  /**
   * The prefix of all keys, which the user must be allowed to read and write.
   *
   * @default {"lazyinit/"}
   */
  readonly prefix?: string;
  /**
   * The most bytes of an entry: slightly less than the `--max-request-bytes` of the servers.
   *
   * @default {1500000}
   */
  readonly maxByteLength?: number;
}

/** The part of the servers' answers that is used. Numbers of 64 bits come as text. */
interface KeyValue {
  readonly key: string;
  readonly "mod_revision": string;
  readonly value?: string;
}

interface Header {
  readonly revision: string;
}

interface RangeResponse {
  readonly header: Header;
  readonly kvs?: readonly KeyValue[];
}

interface TxnResponse {
  readonly header: Header;
  readonly succeeded?: boolean;
}

interface WatchResponse {
  readonly header: Header;
  readonly created?: boolean;
  readonly canceled?: boolean;
  readonly "cancel_reason"?: string;
  readonly events?: readonly {
    readonly type?: "DELETE";
    readonly kv: KeyValue;
  }[];
}

/** A watch of one key. */
interface Watcher {
  tell(entry: Entry | null): void;
  fail(error: unknown): void;
}

/**
 * A store in an etcd cluster: for any number of machines that reach it.
 *
 * The `mod_revision` of a key is its version and the token of its runs; it grows with
 * the revision of the whole cluster, even past a deletion. Reads are linearizable. A
 * request that fails, or takes more than 300 ms, makes the next one go to another member.
 * After three seconds, the store gives up the request. One watch of the prefix, which
 * resumes by revision, serves all cells of the store.
 *
 * @example Usage
 * ```ts
 * import { EtcdStore } from "@lazyinit/lazyinit/cluster/etcd";
 * import { assertEquals } from "@std/assert";
 *
 * await using store = new EtcdStore(["http://127.0.0.1:2379"]);
 * assertEquals(store.maxByteLength, 1_500_000);
 * ```
 */
export class EtcdStore implements Store, AsyncDisposable {
  /**
   * The most bytes of a value.
   *
   * @example Usage
   * ```ts
   * import { EtcdStore } from "@lazyinit/lazyinit/cluster/etcd";
   * import { assertEquals } from "@std/assert";
   *
   * const store = new EtcdStore(["http://127.0.0.1:2379"], { maxByteLength: 5_000_000 });
   * assertEquals(store.maxByteLength, 5_000_000);
   * ```
   */
  readonly maxByteLength: number;
  readonly #endpoints: readonly string[];
  readonly #username: string | undefined;
  readonly #password: string | undefined;
  #token: string | undefined;
  /** Which of the endpoints the next request goes to. */
  #next = 0;
  readonly #prefix: string;
  /** The watches of single keys, by the key as it is sent. */
  readonly #watchers = new Map<string, Set<Watcher>>();
  /** Ends the watch of the prefix, if there is one. */
  #watching: AbortController | undefined = undefined;
  /** Whether that watch has been confirmed. */
  #stands = false;
  readonly #end = new AbortController();

  /**
   * Constructs a new instance. Does no I/O.
   *
   * @param endpoints The URLs of the members, e.g. `["http://127.0.0.1:2379"]`.
   * @param options User and password, or a token, the prefix of keys, and the most bytes of
   * a value.
   * @throws {TypeError} If `endpoints` is not an array of at least one HTTP URL, or an
   * option is of another type.
   * @throws {RangeError} If `maxByteLength` is not a positive integer.
   */
  constructor(
    endpoints: readonly string[],
    options: EtcdStoreOptions = {},
  ) {
    assertEndpoints(endpoints);
    assertOptions(options);
    const {
      username,
      password,
      token,
      prefix = DEFAULT_PREFIX,
      maxByteLength = DEFAULT_MAX_BYTE_LENGTH,
    } = options;
    const texts = { username, password, token, prefix };
    for (const [name, value] of Object.entries(texts)) assertText(name, value);
    if (!isInteger(maxByteLength, 1, Number.MAX_SAFE_INTEGER)) {
      const wanted = "be a positive integer";
      throw new RangeError(
        invalid("create the store", "maxByteLength", wanted, maxByteLength),
      );
    }
    this.#endpoints = endpoints.map((endpoint) => endpoint.replace(/\/+$/, ""));
    this.#username = username;
    this.#password = password;
    this.#token = token;
    this.#prefix = prefix;
    this.maxByteLength = maxByteLength;
  }

  /**
   * Returns what is under `key`, as of a moment during the call.
   *
   * @example A server that is not there
   * ```ts
   * import { EtcdStore } from "@lazyinit/lazyinit/cluster/etcd";
   * import { assertRejects } from "@std/assert";
   *
   * await using store = new EtcdStore(["http://127.0.0.1:1"]);
   * await assertRejects(() => store.get("key"));
   * ```
   *
   * @param key The key.
   * @returns A promise of the entry, or of `null` if there is none.
   */
  async get(key: string): Promise<Entry | null> {
    const { header, kvs = [] } = await this.#post<RangeResponse>("kv/range", {
      key: this.#encode(key),
    });
    // An answer without it does not come from etcd
    revisionOf(header?.revision);
    return kvs[0] === undefined ? null : entryOf(kvs[0]);
  }

  /**
   * Replaces what is under `key`, if that still is the entry of version `expected`.
   *
   * @example A server that is not there
   * ```ts
   * import { EtcdStore } from "@lazyinit/lazyinit/cluster/etcd";
   * import { assertRejects } from "@std/assert";
   *
   * await using store = new EtcdStore(["http://127.0.0.1:1"]);
   * await assertRejects(() => store.set("key", new Uint8Array([42]), 0n));
   * ```
   *
   * @param key The key.
   * @param value The new bytes.
   * @param expected The version to replace; `0n` if there must be no entry.
   * @returns A promise of the new version, or of `null` if another entry, or none, is there.
   */
  async set(
    key: string,
    value: Uint8Array,
    expected: bigint,
  ): Promise<bigint | null> {
    const encodedKey = this.#encode(key);
    const { succeeded, header } = await this.#post<TxnResponse>("kv/txn", {
      compare: [{
        target: "MOD",
        result: "EQUAL",
        key: encodedKey,
        mod_revision: String(expected),
      }],
      success: [{
        request_put: { key: encodedKey, value: base64(value) },
      }],
    });
    return succeeded === true ? revisionOf(header?.revision) : null;
  }

  /**
   * Yields what is under `key`, and then every change.
   *
   * @example A server that is not there yet
   * ```ts
   * import { EtcdStore } from "@lazyinit/lazyinit/cluster/etcd";
   * import { assertEquals } from "@std/assert";
   *
   * await using store = new EtcdStore(["http://127.0.0.1:1"]);
   * const controller = new AbortController();
   * const changes = store.watch("key", controller.signal)[Symbol.asyncIterator]();
   * const change = changes.next();
   * controller.abort();
   * assertEquals((await change).done, true);
   * ```
   *
   * @param key The key.
   * @param signal Ends the watch.
   * @returns The changes.
   */
  async *watch(
    key: string,
    signal: AbortSignal,
  ): AsyncIterable<Entry | null> {
    this.#end.signal.throwIfAborted();
    const queue: (Entry | null)[] = [];
    let failure: unknown;
    let wake = () => {};
    const watcher: Watcher = {
      tell(entry) {
        queue.push(entry);
        wake();
      },
      fail(error) {
        failure = error;
        wake();
      },
    };
    const end = () => wake();
    signal.addEventListener("abort", end);
    const encodedKey = this.#encode(key);
    const watchers = this.#watchers.get(encodedKey) ?? new Set();
    this.#watchers.set(encodedKey, watchers.add(watcher));
    // Otherwise it is reported once the watch is set up
    if (this.#stands) watcher.tell(null);
    if (this.#watching === undefined) this.#follow();
    try {
      while (!signal.aborted) {
        if (failure !== undefined) throw failure;
        if (queue.length > 0) yield queue.shift()!;
        else await new Promise<void>((resolve) => wake = resolve);
      }
    } finally {
      signal.removeEventListener("abort", end);
      watchers.delete(watcher);
      if (watchers.size === 0) this.#watchers.delete(encodedKey);
      if (this.#watchers.size === 0) this.#watching?.abort();
    }
  }

  /**
   * Ends all requests and watches. Calls that come later reject. Calling it again does nothing.
   *
   * @example Usage
   * ```ts
   * import { PermanentStoreError } from "@lazyinit/lazyinit/cluster";
   * import { EtcdStore } from "@lazyinit/lazyinit/cluster/etcd";
   * import { assertRejects } from "@std/assert";
   *
   * const store = new EtcdStore(["http://127.0.0.1:2379"]);
   * await store[Symbol.asyncDispose]();
   * await assertRejects(() => store.get("key"), PermanentStoreError);
   * ```
   *
   * @returns A promise that resolves at once.
   */
  [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort(
      new PermanentStoreError(
        "Cannot use the store as it must not be closed: it was closed",
      ),
    );
    return Promise.resolve();
  }

  #encode(key: string): string {
    return base64(encoder.encode(this.#prefix + key));
  }

  /** Follows all changes under the prefix as long as a key is watched. */
  async #follow(): Promise<void> {
    const watching = new AbortController();
    this.#watching = watching;
    const signal = AbortSignal.any([watching.signal, this.#end.signal]);
    // The first that was not reported; 0 for what comes from now on
    let next = 0n;
    for (let wait = FIRST_RETRY; !signal.aborted;) {
      try {
        for await (const response of this.#stream(next, signal)) {
          if (response.events !== undefined) wait = FIRST_RETRY;
          next = this.#take(response, next);
          if (response.canceled) break;
        }
      } catch (error) {
        if (error instanceof PermanentStoreError) {
          this.#fail(error);
          break;
        }
      }
      this.#stands = false;
      await sleep(wait * (1 + Math.random()) / 2, signal);
      wait = Math.min(2 * wait, MAX_RETRY);
    }
    this.#stands = false;
    this.#watching = undefined;
    if (this.#end.signal.aborted) this.#fail(this.#end.signal.reason);
    else if (this.#watchers.size > 0 && watching.signal.aborted) this.#follow();
  }

  /** Reports the changes in a response. Returns the first revision that it does not cover. */
  #take(response: WatchResponse, next: bigint): bigint {
    // The history does not reach back that far: all have to look
    if (response.canceled) return 0n;
    if (response.created) {
      this.#stands = true;
      if (next > 0n) return next;
      for (const watchers of this.#watchers.values()) {
        for (const watcher of watchers) watcher.tell(null);
      }
    }
    for (const { type, kv } of response.events ?? []) {
      for (const watcher of this.#watchers.get(kv.key) ?? []) {
        watcher.tell(type === "DELETE" ? null : entryOf(kv));
      }
    }
    return revisionOf(response.header.revision) + 1n;
  }

  #fail(error: unknown): void {
    for (const watchers of this.#watchers.values()) {
      for (const watcher of watchers) watcher.fail(error);
    }
  }

  /** The changes under the prefix from a revision on, until the servers or the connection end. */
  async *#stream(
    revision: bigint,
    signal: AbortSignal,
  ): AsyncIterable<WatchResponse> {
    const silence = new AbortController();
    const listen = (timeout: number) =>
      setTimeout(() => silence.abort(), timeout);
    let timer = listen(REQUEST_TIMEOUT);
    const key = encoder.encode(this.#prefix);
    try {
      const response = await this.#fetch(
        "watch",
        {
          create_request: {
            key: base64(key.length === 0 ? Uint8Array.of(0) : key),
            range_end: base64(endOf(key)),
            start_revision: String(revision),
          },
        },
        AbortSignal.any([signal, silence.signal]),
      );
      for await (const line of linesOf(response.body!)) {
        clearTimeout(timer);
        timer = listen(MAX_SILENCE);
        const { result, error } = JSON.parse(line);
        if (error !== undefined) throw refusal(error);
        const { cancel_reason: reason } = result as WatchResponse;
        if (reason) throw refusal({ code: codeIn(reason), message: reason });
        yield result;
      }
    } catch (error) {
      if (isUnauthenticated(error) && this.#username !== undefined) {
        this.#token = undefined;
      } // Silent for long, or at its end: either is resumed
      else if (!silence.signal.aborted && !signal.aborted) throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** One request and its answer. */
  async #post<R>(path: string, body: unknown): Promise<R> {
    const response = await this.#fetch(
      path,
      body,
      AbortSignal.any([
        AbortSignal.timeout(REQUEST_TIMEOUT),
        this.#end.signal,
      ]),
    );
    return await response.json();
  }

  /** One request, with a token if needed, and with a new one if that has run out. */
  async #fetch(
    path: string,
    body: unknown,
    signal: AbortSignal,
  ): Promise<Response> {
    this.#end.signal.throwIfAborted();
    const endpoint = this.#next % this.#endpoints.length;
    // Another member may do better
    const leave = () => {
      if (this.#next % this.#endpoints.length === endpoint) this.#next++;
    };
    const timer = setTimeout(leave, SLOW_REQUEST);
    const send = async () => {
      const headers = await this.#authorize(signal);
      return await this.#send(endpoint, path, body, headers, signal);
    };
    try {
      try {
        return await send();
      } catch (error) {
        if (!isUnauthenticated(error) || this.#username === undefined) {
          throw error;
        }
        this.#token = undefined;
        return await send();
      }
    } catch (error) {
      this.#end.signal.throwIfAborted();
      if (isForbidden(error)) {
        throw new PermanentStoreError(
          `Cannot use the store as this process must have access to the network: ${
            (error as Error).message
          }`,
          { cause: error },
        );
      }
      if (!(error instanceof PermanentStoreError)) leave();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  async #authorize(signal: AbortSignal): Promise<Record<string, string>> {
    if (this.#token === undefined && this.#username !== undefined) {
      const response = await this.#send(
        this.#next % this.#endpoints.length,
        "auth/authenticate",
        { name: this.#username, password: this.#password ?? "" },
        {},
        signal,
      );
      this.#token = (await response.json()).token;
    }
    return this.#token === undefined ? {} : { Authorization: this.#token };
  }

  async #send(
    endpoint: number,
    path: string,
    body: unknown,
    headers: Record<string, string>,
    signal: AbortSignal,
  ): Promise<Response> {
    const response = await fetch(`${this.#endpoints[endpoint]}/v3/${path}`, {
      method: "POST",
      headers: { "Content-Type": "application/json", ...headers },
      body: JSON.stringify(body),
      signal,
    });
    if (response.ok) return response;
    const text = await response.text();
    let answer: unknown;
    try {
      answer = JSON.parse(text);
    } catch {
      answer = { message: `HTTP ${response.status}` };
    }
    throw refusal(answer);
  }
}

/** What etcd answers in place of a result. */
class EtcdError extends Error {
  override readonly name = "EtcdError";
  readonly code: unknown;

  constructor(message: string, code: unknown) {
    super(message);
    this.code = code;
  }
}

/** Whether Deno, or the permission model of Node, keeps the process from the network. */
function isForbidden(error: unknown): boolean {
  const { name, code, cause } = Object(error);
  return name === "NotCapable" || code === "ERR_ACCESS_DENIED" ||
    Object(cause).code === "ERR_ACCESS_DENIED";
}

function isUnauthenticated(error: unknown): boolean {
  const { code } = Object(
    error instanceof PermanentStoreError ? error.cause : error,
  );
  return code === UNAUTHENTICATED;
}

/** The code that a text of etcd names. */
function codeIn(reason: string): number | undefined {
  return CODE_NAMES.get(/code = (\w+)/.exec(reason)?.[1]);
}

/** The error of an answer: of the class that says so if trying again is useless. */
function refusal(answer: unknown): Error {
  const { code, grpc_code, message, error = message } = Object(answer);
  const reason = typeof error === "string" ? error : show(error);
  // Since the token was issued, users or roles have changed
  const isOld = reason.includes("revision of auth store is old");
  const refused = new EtcdError(
    `Cannot use the store as etcd refuses: ${reason}`,
    isOld ? UNAUTHENTICATED : code ?? grpc_code,
  );
  // With this code, all other errors mean that the server is busy
  const isFull = refused.code === RESOURCE_EXHAUSTED &&
    /space exceeded|larger than max/.test(reason);
  // Such as when there is no leader at the moment
  if (
    !PERMANENT_CODES.has(refused.code) && !isFull &&
    refused.code !== UNAUTHENTICATED
  ) return refused;
  return new PermanentStoreError(refused.message, { cause: refused });
}

/** The key after all that begin with `prefix`, as etcd expects it. */
function endOf(prefix: Uint8Array): Uint8Array {
  // UTF-8 has no byte 255, so nothing is carried; zero stands for all keys
  const end = prefix.length === 0 ? Uint8Array.of(0) : prefix.slice();
  if (prefix.length > 0) end[end.length - 1]!++;
  return end;
}

/** Resolves after so many milliseconds, or when `signal` is aborted. */
function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const wake = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", wake);
      resolve();
    };
    const timer = setTimeout(wake, milliseconds);
    signal.addEventListener("abort", wake);
    if (signal.aborted) wake();
  });
}

function entryOf({ value = "", mod_revision: revision }: KeyValue): Entry {
  const text = atob(value);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return { value: bytes, version: revisionOf(revision) };
}

function base64(bytes: Uint8Array): string {
  let text = "";
  for (let i = 0; i < bytes.length; i += CHUNK) {
    text += String.fromCharCode(...bytes.subarray(i, i + CHUNK));
  }
  return btoa(text);
}

function revisionOf(revision: unknown): bigint {
  if (typeof revision === "string" && /^\d+$/.test(revision)) {
    return BigInt(revision);
  }
  const wanted = "be the text of a number";
  throw new PermanentStoreError(
    invalid("use the answer of the store", "revision", wanted, revision),
  );
}

/** The lines of a stream of text, one as soon as it is complete. */
async function* linesOf(
  body: ReadableStream<Uint8Array>,
): AsyncIterable<string> {
  let rest = "";
  const decoder = new TextDecoder();
  const reader = body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const lines = (rest + decoder.decode(value, { stream: true }))
        .split("\n");
      rest = lines.pop()!;
      yield* lines;
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

function assertEndpoints(endpoints: unknown): void {
  if (
    Array.isArray(endpoints) && endpoints.length > 0 &&
    endpoints.every((endpoint) =>
      typeof endpoint === "string" && /^https?:\/\/./.test(endpoint) &&
      URL.canParse(endpoint)
    )
  ) return;
  throw new TypeError(
    `Cannot create the store as 'endpoints' must be an array of at least one HTTP URL: current value is ${
      Array.isArray(endpoints)
        ? `[${endpoints.map(show).join(", ")}]`
        : show(endpoints)
    }`,
  );
}

function assertText(name: string, value: unknown): void {
  if (value === undefined || typeof value === "string") return;
  // Not shown, as it is a secret
  throw new TypeError(
    `Cannot create the store as '${name}' must be a string: its type is ${typeof value}`,
  );
}
