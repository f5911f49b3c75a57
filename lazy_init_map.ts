// Copyright 2026 the lazyinit authors. MIT license.
// This module is browser compatible.

/*
 * A hash table of cells in shared memory, to which entries are added and from which none
 * is ever taken. No lock: an agent that ended while it held one would stop all others.
 *
 * MEMORY. Offsets are from the beginning of the buffer, in units of 8 bytes; 0 is nowhere.
 *
 *   map      ┌──────────────┬───────────────┬────────┬────────────┐
 *   6 words  │ units in use │ keys inserted │ layout │ not in use │
 *            └──────────────┴───────────────┴────────┴────────────┘
 *   table    ┌────────┬────────┬──── as many words as `maxSize`, rounded up to a
 *            │ first  │ first  │ …   power of two: the first entry of each chain
 *            └───┬────┴────────┴────
 *   arena        ▼   from here on given out by Arena.reserve(), in order, never taken back
 *   entry    ┌──────────────────────────┬──────┬────────────┬───────┬───┬─────┐
 *            │ cell, 6 words (word 2:   │ next │ key length │ block │ 0 │ key │
 *            │ the hash of the key;     │      │ in bytes   │       │   │     │
 *            │ word 5: 0)               │      │            │       │   │     │
 *            └──────────────────────────┴──┬───┴────────────┴───┬───┴───┴─────┘
 *                                          ▼                    ▼
 *                                    another entry       ┌──────┬────────┬─────────────┐
 *                                    of the chain        │ room │ length │ the slot    │
 *                                                        │      │ in use │ of the cell │
 *                                                        └──────┴────────┴─────────────┘
 *
 * All-zero memory is an empty map. An entry comes with its block if all values are of one,
 * small size. The owner of a cell moves a value that outgrows its block to another one; a
 * value that fits stays where the last one was. An agent that recovers a cell abandons the
 * block, which is not used again.
 *
 * INVARIANTS, beside those of the cells, which are in `atomics.ts`
 *
 *   M1  Memory that is given out is zero, and belongs to one agent until that agent links
 *       it.
 *   M2  No two entries of a chain have the same key, and all keys of a chain have its
 *       number in the low bits of their hashes. So a key has one cell at most, for ever.
 *   M3  An entry is whole before it is linked. From then on its hash, next, key length and
 *       key never change. So chains grow at their beginning only, and have an end.
 *   M4  A block knows its room before an entry names it. It belongs to one entry for ever,
 *       and its room never changes. So whichever block an entry names, a write by its
 *       owner, or by an agent that has lost the cell, harms no other entry.
 *   M5  A key that is linked has a cell, whose invariants are those of any other.
 *   M6  An agent that takes a cell from its owner first makes the entry name no block.
 *       Before an agent uses or replaces the block of a cell that it owns, it reads which
 *       block that is, and then checks in the state word that it still is the owner. It
 *       replaces the block by a CAS. So an agent that has lost a cell never uses a block of
 *       the next owner, and its CAS fails, except while the entry still names no block:
 *       then no value is lost, and the next owner goes on with the block that it finds.
 *
 * INSERTION. Search the chain; reserve bytes by a compare-exchange; write the entry; link
 * it by a compare-exchange of the first entry of its chain, which fails if another agent
 * has linked one since. Then the search goes on with the new entries. That CAS decides: of
 * several agents with the same key, one links its entry. The others leak the bytes of their
 * entries, and so does an agent that ends in the middle; nothing else is lost. The
 * initializer runs later, on the cell, independently of other keys.
 *
 * MEMORY MODEL. Accesses to an entry before it is linked are plain, and so are those to the
 * parts that never change afterwards. An agent writes all of it before the CAS that links
 * the entry. Another agent reads it after an atomic load of the first entry of the chain,
 * which was written by that CAS, or by a later one that has read what that CAS wrote. So
 * all writes happen before all reads. Memory grows before anything in the new part is
 * linked.
 *
 * Accesses to the room of a block are plain, too. The room is written before the CAS that
 * names the block, or links the entry that it comes with, and read after an atomic load
 * that reads that CAS (M4).
 *
 * A reader's accesses to the value in a block and its length are plain. They race with the
 * next reset and with the owner after it, as do those to the slot of any cell (torn-decode
 * in `atomics.ts`). They stay within the memory of the map, and the result is dropped
 * unless a CAS of the state word finds the earlier word.
 *
 * An agent that was declared dead and lives may still write to words 3 and 4 of the cell
 * until its next look at the state word, as in any cell (lost-owner in `atomics.ts`). What
 * it writes to the value and its length, however late, goes to the abandoned block (M6), so
 * no later owner ever sees it.
 *
 * THE TEMPTING WRONG VERSION links new entries at the end of their chain. Their next words
 * then change after they were linked, and each step through a chain is an atomic load.
 */

/**
 * {@linkcode LazyInitMap}: one-time initialization for each key of a map in shared memory.
 *
 * ```ts
 * import { json, string } from "@lazyinit/lazyinit/codec";
 * import { LazyInitMap } from "@lazyinit/lazyinit/lazy-init-map";
 * import { assertEquals } from "@std/assert";
 *
 * const lengths = new LazyInitMap(string(), json<number>());
 * assertEquals(lengths.getOrInit("Nairobi", (key) => key.length), 7);
 * assertEquals(lengths.get("Nairobi"), 7);
 * ```
 *
 * @module
 */

import { Arena } from "./_arena.ts";
import {
  type AnyInitializer,
  assertInitializer,
  Cell,
  found,
  type LazyInitWaitAsyncOptions,
  type LazyInitWaitOptions,
  shareAt,
} from "./_cell.ts";
import {
  assertAgentId,
  assertCodec,
  assertFunction,
  assertInteger,
  assertOptions,
  isInteger,
  label,
  outOfRange,
  signalOf,
  throwIfAborted,
  timeoutOf,
} from "./_checks.ts";
import { Entries, NOWHERE } from "./_entries.ts";
import { type EntryOwner, KIND } from "./_entry.ts";
import { assertKeyCodec, canonical, Keys } from "./_keys.ts";
import {
  attach,
  type LazyInitHandle,
  type LazyInitOptions,
} from "./_layout.ts";
import {
  assertRange,
  assertShared,
  canGrow,
  growTo,
  maxByteLengthOf,
  wordIndex,
  wordsOf,
} from "./_memory.ts";
import {
  closeByName,
  type LazyInitOpenOptions,
  openByName,
} from "./_rendezvous.ts";
import { Seen } from "./_seen.ts";
import { OnceState } from "./atomics.ts";
import type { AsyncInitializer, Codec, Initializer } from "./codec.ts";
import type { MutexLazyInit } from "./mutex_lazy_init.ts";

export type { LazyInitWaitAsyncOptions, LazyInitWaitOptions } from "./_cell.ts";
export type { CellKind, LazyInitHandle } from "./_layout.ts";
export type { LazyInitOpenOptions } from "./_rendezvous.ts";

const USED_WORD = 0;
const COUNT_WORD = 1;
const HEADER = OnceState.byteLength;
const MIB = 2 ** 20;
const MAX_BYTE_LENGTH = 2 ** 32;
const DEFAULT_MAX_SIZE = 65_536;
const MAX_SIZE = 2 ** 28;
/** How many entries inspection shows. */
const SHOWN = 100;

/**
 * What the keys of a {@linkcode LazyInitMap} may be.
 *
 * @example Usage
 * ```ts
 * import { type LazyInitMapKey, LazyInitMap, int32, string } from "@lazyinit/lazyinit";
 * import { assertEquals } from "@std/assert";
 *
 * function sizeOf<K extends LazyInitMapKey>(map: LazyInitMap<K, number>): number {
 *   return map.size;
 * }
 * assertEquals(sizeOf(new LazyInitMap(string(), int32)), 0);
 * ```
 */
export type LazyInitMapKey = string | number | bigint | boolean;

/**
 * Makes the value of a key, in the agent that calls it: as {@linkcode Initializer}, with
 * the key before the rest.
 *
 * @example Usage
 * ```ts
 * import { int32, LazyInitMap, type LazyInitMapInitializer } from "@lazyinit/lazyinit";
 * import { assertEquals } from "@std/assert";
 *
 * const square: LazyInitMapInitializer<number, number> = (key) => key * key;
 * assertEquals(new LazyInitMap(int32, int32).getOrInit(7, square), 49);
 * ```
 *
 * @typeParam K The type of the keys.
 * @typeParam V The type of the values.
 */
export type LazyInitMapInitializer<K, V> = [V] extends [ArrayBufferView]
  ? (key: K, slot: V, allocate: (length: number) => V) => V | void
  : (key: K) => V;

/**
 * Makes the value of a key, now or later. Otherwise as {@linkcode LazyInitMapInitializer}.
 *
 * @example Usage
 * ```ts
 * import { int32, LazyInitMap, type LazyInitMapAsyncInitializer } from "@lazyinit/lazyinit";
 * import { assertEquals } from "@std/assert";
 *
 * const square: LazyInitMapAsyncInitializer<number, number> = (key) =>
 *   Promise.resolve(key * key);
 * assertEquals(await new LazyInitMap(int32, int32).getOrInitAsync(7, square), 49);
 * ```
 *
 * @typeParam K The type of the keys.
 * @typeParam V The type of the values.
 */
export type LazyInitMapAsyncInitializer<K, V> = [V] extends [ArrayBufferView]
  ? (
    key: K,
    slot: V,
    allocate: (length: number) => V,
  ) => PromiseLike<V | void> | V | void
  : (key: K) => PromiseLike<V> | V;

/**
 * Options of {@linkcode LazyInitMap.open}.
 *
 * @example Usage
 * ```ts
 * import { int32, LazyInitMap, type LazyInitMapOpenOptions } from "@lazyinit/lazyinit";
 * import { assertEquals } from "@std/assert";
 *
 * const options: LazyInitMapOpenOptions = { maxSize: 1_000 };
 * using map = await LazyInitMap.open("a small map", int32, int32, options);
 * assertEquals(map.maxSize, 1_000);
 * ```
 */
export interface LazyInitMapOpenOptions
  extends
    LazyInitOpenOptions,
    Pick<LazyInitMapOptions, "maxSize" | "maxByteLength"> {}

/**
 * Options of the constructor of {@linkcode LazyInitMap}.
 *
 * @example Usage
 * ```ts
 * import { int32, LazyInitMap, type LazyInitMapOptions } from "@lazyinit/lazyinit";
 * import { assertEquals } from "@std/assert";
 *
 * const options: LazyInitMapOptions = { name: "squares", maxSize: 1_000 };
 * assertEquals(new LazyInitMap(int32, int32, options).maxSize, 1_000);
 * ```
 */
export interface LazyInitMapOptions extends LazyInitOptions {
  /**
   * How many keys may be inserted, from 1 to 2^28. Agents that insert a key at the same
   * moment may each exceed the bound by one.
   *
   * @default 65_536
   */
  maxSize?: number;
  /**
   * The most bytes that the map may take, a multiple of 8 up to 4 GiB: its table, with 4 to
   * 8 bytes for each key of `maxSize`, its keys and their values. By default, it is the
   * rest of `buffer` if that is given, otherwise 1 GiB or twice the size of the table,
   * whichever is more. The map uses only as much as it needs. Where shared memory cannot
   * grow, all of it is allocated at once, and the default is 16 MiB instead of 1 GiB.
   */
  maxByteLength?: number;
}

/**
 * The description of a map that `postMessage` carries to another agent, where
 * {@linkcode LazyInitMap.from} attaches to it.
 *
 * @example Usage
 * ```ts
 * import { int32, LazyInitMap, type LazyInitMapHandle } from "@lazyinit/lazyinit";
 * import { assertEquals } from "@std/assert";
 *
 * const map = new LazyInitMap(int32, int32, { name: "squares" });
 * const handle: LazyInitMapHandle<number, number> = structuredClone(map.handle);
 * assertEquals(LazyInitMap.from(handle, int32, int32).name, "squares");
 * ```
 *
 * @typeParam K The type of the keys.
 * @typeParam V The type of the values.
 */
// deno-lint-ignore no-explicit-any -- a handle whose types were lost fits every map
export interface LazyInitMapHandle<K = any, V = any>
  extends LazyInitHandle<[K, V], "LazyInitMap"> {
  /** How many keys may be inserted. */
  readonly maxSize: number;
  /** The most bytes that the map may take. */
  readonly maxByteLength: number;
}

/**
 * A map in shared memory whose values are made once for each key: `getOrInit` across
 * threads, one initializer at a time for each key.
 *
 * Each key has a cell, with all that a `MutexLazyInit` promises: if several agents ask for
 * a key that has no value, one of them runs its initializer and the others wait. If that
 * initializer fails, another agent runs its own. An initializer may ask for other keys of
 * its map. Reading takes no lock, and a key that an agent has seen before costs a look-up
 * in a `Map` of its own and the read of a cell.
 *
 * Keys are compared as `Map` does: NaN equals NaN, and -0 equals 0. They are inserted
 * when they are first initialized, and stay so, with or without a value: there is no
 * eviction, no time to live, and no way to take a key out of the map. Memory that a value
 * has used is used again only for a later value of the same key, if that fits. Each agent
 * keeps the values that it has read, as a `Map` would. Keys are hashed without a secret,
 * so do not take them from anybody who gains by slow look-ups.
 *
 * @example Usage
 * ```ts
 * import { json, LazyInitMap, string } from "@lazyinit/lazyinit";
 * import { assertEquals } from "@std/assert";
 *
 * interface City {
 *   latitude: number;
 *   longitude: number;
 * }
 * const cities = new LazyInitMap(string(), json<City>(), { name: "cities" });
 * // In a worker: LazyInitMap.from(handle, string(), json<City>())
 * const handle = cities.handle;
 *
 * const nairobi = await cities.getOrInitAsync("Nairobi", async (key) => {
 *   await Promise.resolve(`Looking up ${key}`); // in one agent only
 *   return { latitude: -1.28, longitude: 36.82 };
 * });
 * const attached = LazyInitMap.from(handle, string(), json<City>());
 * assertEquals(attached.get("Nairobi"), nairobi);
 * ```
 *
 * @typeParam K The type of the keys.
 * @typeParam V The type of the values.
 */
export class LazyInitMap<K extends LazyInitMapKey, V>
  implements Disposable, Iterable<[K, Readonly<V>]> {
  /** What this agent knows of the keys that it has seen. */
  readonly #seen = new Map<K, Seen<K, V>>();
  /** The memory, up to its end at the time of the last look-up of an entry. */
  #words: Int32Array;
  readonly #entries: Entries<K>;
  readonly #owner: EntryOwner<V>;
  readonly #recoverable: Pick<OnceState, "recover">;
  readonly #handle: LazyInitMapHandle<K, V>;

  /**
   * Constructs a new instance: places a map, or attaches to the one of the same layout
   * that is there already. All agents that share a buffer may therefore run this. Never
   * blocks.
   *
   * @param keyCodec How keys are laid out: `string()`, `int32`, `uint32`, `float64`,
   * `bigInt64` or `bool`.
   * @param valueCodec How values are laid out: any codec.
   * @param options The name of the map, its bounds, and where to place it.
   * @throws {TypeError} If `keyCodec` is not one of those or `valueCodec` is not a codec,
   * `name` is not a string, `buffer` is not a `SharedArrayBuffer`, `byteOffset` comes
   * without `buffer`, or a numeric option is not a number.
   * @throws {RangeError} If a bound is out of range, `maxByteLength` has no room for the
   * table, the map does not lie within the buffer, or there is no memory.
   * @throws {LayoutMismatchError} If the memory holds anything but zeroes or a map of the
   * same codecs and bounds.
   */
  constructor(
    keyCodec: Codec<K>,
    valueCodec: Codec<V>,
    options: LazyInitMapOptions = {},
  ) {
    assertKeyCodec(keyCodec);
    assertCodec(valueCodec, "valueCodec");
    assertOptions(options);
    const { name = "", buffer, byteOffset = 0 } = options;
    const { maxSize, maxByteLength, tableLength, arenaOffset } = boundsOf(
      options,
      buffer,
      byteOffset,
    );
    const tag = tagOf(keyCodec, valueCodec);
    const layout = layoutOf(
      `${tag}, ${valueCodec.byteLength} bytes, ${maxSize} keys`,
      maxByteLength - HEADER,
    );
    const cell = Cell.place(KIND, layout, {
      name,
      byteOffset,
      ...(buffer !== undefined && { buffer }),
    });
    const arenaStart = byteOffset + arenaOffset;
    growTo(cell.buffer, arenaStart);
    const arena = new Arena(
      cell.buffer,
      wordIndex(byteOffset) + USED_WORD,
      arenaStart,
      byteOffset + maxByteLength,
      `'maxByteLength' bytes, which are ${maxByteLength} for ${cell.label}`,
    );
    this.#entries = new Entries(
      {
        label: cell.label,
        maxSize,
        countIndex: wordIndex(byteOffset) + COUNT_WORD,
        tableIndex: wordIndex(byteOffset + HEADER),
        tableLength,
        valueByteLength: valueCodec.open === true ? 0 : valueCodec.byteLength,
      },
      new Keys(keyCodec),
      arena,
    );
    this.#owner = { name, codec: valueCodec, arena };
    this.#recoverable = recoverableOf(this.#entries, this.#owner);
    this.#words = cell.words;
    this.#handle = {
      kind: KIND,
      buffer: cell.buffer,
      byteOffset,
      name,
      tag,
      byteLength: valueCodec.byteLength,
      maxSize,
      maxByteLength,
    };
  }

  /**
   * Attaches to a map that another agent has placed. Never blocks.
   *
   * @example Usage
   * ```ts
   * import { int32, LazyInitMap } from "@lazyinit/lazyinit";
   * import { assertEquals } from "@std/assert";
   *
   * const map = new LazyInitMap(int32, int32);
   * const attached = LazyInitMap.from(map.handle, int32, int32);
   * attached.getOrInit(7, (key) => key * key);
   * assertEquals(map.get(7), 49);
   * ```
   *
   * @typeParam K The type of the keys.
   * @typeParam V The type of the values.
   * @param handle The handle of the map.
   * @param keyCodec How keys are laid out, as where the map was placed.
   * @param valueCodec How values are laid out, as where the map was placed.
   * @returns The map.
   * @throws {TypeError} If `handle` is not a handle, `keyCodec` is not a codec of keys or
   * `valueCodec` is not a codec.
   * @throws {RangeError} If the handle points outside of its buffer.
   * @throws {LayoutMismatchError} If there is no map of these codecs.
   */
  static from<K extends LazyInitMapKey, V>(
    handle: LazyInitMapHandle<NoInfer<K>, NoInfer<V>>,
    keyCodec: Codec<K>,
    valueCodec: Codec<V>,
  ): LazyInitMap<K, V> {
    assertKeyCodec(keyCodec);
    assertCodec(valueCodec, "valueCodec");
    const tag = tagOf(keyCodec, valueCodec);
    const layout = layoutOf(tag, valueCodec.byteLength);
    const place = attach(KIND, layout, handle);
    const { maxSize, maxByteLength } = handle;
    const map = new LazyInitMap(keyCodec, valueCodec, {
      ...place,
      // Whatever is missing is wrong, too
      maxSize: maxSize ?? NaN,
      maxByteLength: maxByteLength ?? NaN,
    });
    map.#share();
    return map;
  }

  /**
   * Opens the map of that name, which the first agent to ask makes: no handle needs to
   * be sent. All that `LazyInit.open` says of cells is true of maps.
   *
   * @example Usage
   * ```ts
   * import { int32, LazyInitMap } from "@lazyinit/lazyinit";
   * import { assertEquals } from "@std/assert";
   *
   * // Any agent may run this
   * using squares = await LazyInitMap.open("squares", int32, int32);
   * assertEquals(squares.getOrInit(7, (key) => key * key), 49);
   *
   * using again = await LazyInitMap.open("squares", int32, int32);
   * assertEquals(again.get(7), 49);
   * ```
   *
   * @typeParam K The type of the keys.
   * @typeParam V The type of the values.
   * @param name The name of the map: any text.
   * @param keyCodec How keys are laid out, as wherever else the name is opened.
   * @param valueCodec How values are laid out, as wherever else the name is opened.
   * @param options How to end the wait, and the bounds of the map, which are those of the
   * agent that makes it.
   * @returns A promise of the map. It rejects with a `TypeError` if the platform cannot do
   * it, `name` is not a string, or `keyCodec` or `valueCodec` is not a codec that it can
   * be; with a `RangeError` if a bound is out of range; with a
   * {@linkcode LayoutMismatchError} if what has the name is not a map of these codecs; or
   * with the reason of an aborted signal.
   */
  static async open<K extends LazyInitMapKey, V>(
    name: string,
    keyCodec: Codec<K>,
    valueCodec: Codec<V>,
    options: LazyInitMapOpenOptions = {},
  ): Promise<LazyInitMap<K, V>> {
    assertKeyCodec(keyCodec);
    assertCodec(valueCodec, "valueCodec");
    assertOptions(options);
    const { maxSize, maxByteLength } = boundsOf(options);
    return await openByName(name, {
      make: () =>
        new LazyInitMap(keyCodec, valueCodec, { name, maxSize, maxByteLength }),
      attach: (handle) =>
        LazyInitMap.from<K, V>(handle as never, keyCodec, valueCodec),
    }, options);
  }

  /**
   * Gives up the name by which this map was opened. Does nothing if there is none, or on a
   * second call. The map stays usable.
   *
   * @example Usage
   * ```ts
   * import { int32, LazyInitMap } from "@lazyinit/lazyinit";
   * import { assertEquals } from "@std/assert";
   *
   * {
   *   using squares = await LazyInitMap.open("squares of a block", int32, int32);
   *   squares.getOrInit(7, (key) => key * key);
   * }
   * // No agent has it open, so this is another one
   * using squares = await LazyInitMap.open("squares of a block", int32, int32);
   * assertEquals(squares.size, 0);
   * ```
   */
  [Symbol.dispose](): void {
    closeByName(this);
  }

  /** From here on another agent may own an entry, and end. */
  #share(): void {
    const { buffer, byteOffset } = this.#handle;
    shareAt(buffer, byteOffset, this.#recoverable);
  }

  /**
   * The description of the map that `postMessage` carries to other agents.
   *
   * @example Usage
   * ```ts
   * import { int32, LazyInitMap } from "@lazyinit/lazyinit";
   * import { assertEquals } from "@std/assert";
   *
   * const { handle } = new LazyInitMap(int32, int32);
   * assertEquals(LazyInitMap.from(structuredClone(handle), int32, int32).size, 0);
   * ```
   *
   * @returns A plain object.
   */
  get handle(): LazyInitMapHandle<K, V> {
    this.#share();
    return { ...this.#handle };
  }

  /**
   * The name of the map, empty if it has none.
   *
   * @example Usage
   * ```ts
   * import { int32, LazyInitMap } from "@lazyinit/lazyinit";
   * import { assertEquals } from "@std/assert";
   *
   * assertEquals(new LazyInitMap(int32, int32, { name: "squares" }).name, "squares");
   * ```
   *
   * @returns The name.
   */
  get name(): string {
    return this.#owner.name;
  }

  /**
   * How many keys are initialized now. Never blocks, and looks at each key.
   *
   * @example Usage
   * ```ts
   * import { int32, LazyInitMap } from "@lazyinit/lazyinit";
   * import { assertEquals } from "@std/assert";
   *
   * const map = new LazyInitMap(int32, int32);
   * map.getOrInit(7, (key) => key * key);
   * assertEquals(map.size, 1);
   * map.reset(7);
   * assertEquals(map.size, 0);
   * ```
   *
   * @returns The number of keys that have a value.
   * @throws {LayoutMismatchError} If the memory has been overwritten.
   */
  get size(): number {
    let size = 0;
    for (const entry of this.#entries) {
      if (this.#entries.isInitialized(entry)) size++;
    }
    return size;
  }

  /**
   * How many keys may be inserted. A key that was reset stays inserted.
   *
   * @example Usage
   * ```ts
   * import { int32, LazyInitMap } from "@lazyinit/lazyinit";
   * import { assertEquals, assertThrows } from "@std/assert";
   *
   * const map = new LazyInitMap(int32, int32, { maxSize: 1 });
   * assertEquals(map.maxSize, 1);
   * map.getOrInit(7, (key) => key * key);
   * assertThrows(() => map.getOrInit(8, (key) => key * key), RangeError);
   * ```
   *
   * @returns The bound.
   */
  get maxSize(): number {
    return this.#handle.maxSize;
  }

  /**
   * Returns the value of a key, if it has one. Never blocks, and never takes a lock.
   *
   * @example Usage
   * ```ts
   * import { int32, LazyInitMap } from "@lazyinit/lazyinit";
   * import { assertEquals } from "@std/assert";
   *
   * const map = new LazyInitMap(int32, int32);
   * assertEquals(map.get(7), undefined);
   * map.getOrInit(7, (key) => key * key);
   * assertEquals(map.get(7), 49);
   * ```
   *
   * @param key The key.
   * @returns The value, the same reference every time from this object until the key is
   * next reset or recovered; `undefined` while the key is not initialized.
   * @throws {TypeError} If the key codec cannot represent `key`.
   * @throws {RangeError} If the key codec cannot represent `key`.
   * @throws {LayoutMismatchError} If the memory has been overwritten.
   */
  get(key: K): Readonly<V> | undefined {
    const seen = this.#seen.get(key);
    // Plain: a stale word is one that nothing orders after the reset. Out of line
    // otherwise, so that this much is inlined where it is called
    return seen !== undefined && this.#words[seen.index] === seen.word
      ? seen.value
      : this.#load(seen ?? this.#find(key));
  }

  /** Cold: the key has no value, or this agent has not seen that value yet. */
  #load(seen: Seen<K, V> | undefined): Readonly<V> | undefined {
    if (seen === undefined) return undefined;
    return seen.refresh(this.#owner) ? seen.value : undefined;
  }

  /**
   * Returns whether a key has a value. Never blocks, and never takes a lock.
   *
   * @example Usage
   * ```ts
   * import { int32, LazyInitMap } from "@lazyinit/lazyinit";
   * import { assertEquals } from "@std/assert";
   *
   * const map = new LazyInitMap(int32, int32);
   * assertEquals(map.has(7), false);
   * map.getOrInit(7, (key) => key * key);
   * assertEquals(map.has(7), true);
   * ```
   *
   * @param key The key.
   * @returns Whether the key is initialized.
   * @throws {TypeError} If the key codec cannot represent `key`.
   * @throws {RangeError} If the key codec cannot represent `key`.
   * @throws {LayoutMismatchError} If the memory has been overwritten.
   */
  has(key: K): boolean {
    const seen = this.#lookUp(key);
    return seen !== undefined && this.#entries.isInitialized(seen.byteOffset);
  }

  /**
   * Returns the value of a key, and initializes the key if it has none. Blocks while
   * another agent's initializer runs for that key.
   *
   * @example Usage
   * ```ts
   * import { int32, LazyInitMap } from "@lazyinit/lazyinit";
   * import { assertEquals } from "@std/assert";
   *
   * const map = new LazyInitMap(int32, int32);
   * assertEquals(map.getOrInit(7, (key) => key * key), 49);
   * assertEquals(map.getOrInit(7, () => 50), 49);
   * ```
   *
   * @example Keys that need each other
   * ```ts
   * import { float64, int32, LazyInitMap } from "@lazyinit/lazyinit";
   * import { assertEquals } from "@std/assert";
   *
   * const map = new LazyInitMap(int32, float64);
   * function fibonacci(n: number): number {
   *   return n < 2 ? n : map.getOrInit(n - 1, fibonacci) + map.getOrInit(n - 2, fibonacci);
   * }
   * assertEquals(map.getOrInit(70, fibonacci), 190392490709135);
   * ```
   *
   * @param key The key.
   * @param initializer Makes the value of the key; with a view codec, it gets the slot to fill
   * after the key. If it throws, this call throws the same error, and the key has no value.
   * @param options How long to wait for another initializer.
   * @returns The value, made by this call or another.
   * @throws {RecursiveInitializationError} If this agent is initializing the key.
   * @throws {OwnerLostError} If this agent was declared dead meanwhile.
   * @throws {DeadlockError} If this call would close a cycle of initializers that wait
   * for each other.
   * @throws {DOMException} Named `TimeoutError`, if the time is up.
   * @throws {TypeError} If `initializer` is not a function or returns a promise,
   * `timeout` is not a number, the agent would have to block but may not, or a codec
   * cannot represent the key or the value.
   * @throws {RangeError} If the map or its memory is full, `timeout` is negative or NaN,
   * or a codec cannot represent the key or the value.
   * @throws {LayoutMismatchError} If the memory has been overwritten.
   */
  getOrInit(
    key: K,
    initializer: LazyInitMapInitializer<K, V>,
    options?: LazyInitWaitOptions,
  ): Readonly<V> {
    assertInitializer(initializer);
    const seen = this.#seen.get(key);
    // As in get()
    return seen !== undefined && options === undefined &&
        this.#words[seen.index] === seen.word
      ? seen.value as Readonly<V>
      : this.#getOrInit(key, seen, initializer, options);
  }

  #getOrInit(
    key: K,
    known: Seen<K, V> | undefined,
    initializer: AnyInitializer,
    options: LazyInitWaitOptions | undefined,
  ): Readonly<V> {
    // First, as a key stays once it is added
    const timeout = timeoutOf(options);
    const seen = known ?? this.#findOrAdd(key);
    const result = seen.entry(this.#owner).make(
      initializer,
      "getOrInitAsync()",
      () => {},
    );
    if (result === undefined) return this.#await(seen, initializer, timeout);
    return found(result);
  }

  /** Cold: another agent was first, or an outer initializer of this one. */
  #await(
    seen: Seen<K, V>,
    initializer: AnyInitializer,
    timeout: number,
  ): Readonly<V> {
    const owner = this.#owner;
    if (seen.refresh(owner)) return seen.value as Readonly<V>;
    // The entry puts the key before the rest
    const call = initializer as Initializer<V>;
    return seen.cell(owner).getOrInit(call, { timeout });
  }

  /**
   * Resolves with the value of a key, and initializes the key if it has none, without
   * blocking the agent. Keeps the event loop alive while it waits for another initializer.
   *
   * @example Usage
   * ```ts
   * import { int32, LazyInitMap } from "@lazyinit/lazyinit";
   * import { assertEquals } from "@std/assert";
   *
   * const map = new LazyInitMap(int32, int32);
   * const square = (key: number) => Promise.resolve(key * key);
   * assertEquals(await map.getOrInitAsync(7, square), 49);
   * ```
   *
   * @param key The key.
   * @param initializer Makes the value of the key, now or later; with a view codec, it gets the
   * slot to fill after the key.
   * @param options How to end the wait. An initializer that has been called goes on
   * after that, and its value is published.
   * @returns A promise of the value, made by this call or another. It rejects as
   * {@linkcode LazyInitMap.getOrInit} throws, except that it never has to block, or with the
   * reason of an aborted signal.
   */
  async getOrInitAsync(
    key: K,
    initializer: LazyInitMapAsyncInitializer<K, V>,
    options?: LazyInitWaitAsyncOptions,
  ): Promise<Readonly<V>> {
    assertInitializer(initializer);
    const known = this.#lookUp(key);
    const signal = signalOf(options);
    // First, as a key stays once it is added
    if (known === undefined) throwIfAborted(signal);
    const seen = known ?? this.#findOrAdd(key);
    return await seen.cell(this.#owner).getOrInitAsync(
      initializer as unknown as AsyncInitializer<V>,
      signal && { signal },
    );
  }

  /**
   * Removes the value of a key, in all agents. Blocks while an initializer runs for
   * that key.
   *
   * The value is zeroed. The next value of that key is written in its place if it fits.
   * A live view that was handed out before stays valid memory.
   *
   * @example Usage
   * ```ts
   * import { int32, LazyInitMap } from "@lazyinit/lazyinit";
   * import { assertEquals } from "@std/assert";
   *
   * const map = new LazyInitMap(int32, int32);
   * assertEquals(map.reset(7), false);
   * map.getOrInit(7, (key) => key * key);
   * assertEquals(map.reset(7), true);
   * assertEquals(map.getOrInit(7, () => 50), 50);
   * ```
   *
   * @param key The key.
   * @param options How long to wait for an initializer.
   * @returns Whether the key was initialized.
   * @throws {OwnerLostError} If this agent was declared dead by `recover()` meanwhile.
   * @throws {RecursiveInitializationError} If this agent is initializing the key.
   * @throws {DeadlockError} If this call would close a cycle of initializers that wait
   * for each other.
   * @throws {DOMException} Named `TimeoutError`, if the time is up.
   * @throws {TypeError} If the agent would have to block but may not, `timeout` is not a
   * number, or the key codec cannot represent `key`.
   * @throws {RangeError} If `timeout` is negative or NaN, or the key codec cannot represent
   * `key`.
   * @throws {LayoutMismatchError} If the memory has been overwritten.
   */
  reset(key: K, options?: LazyInitWaitOptions): boolean {
    const cell = this.#cellOf(key);
    if (cell !== undefined) return cell.reset(options);
    timeoutOf(options);
    return false;
  }

  /**
   * Removes the value of a key, in all agents, without blocking this one. Keeps the event
   * loop alive while it waits for an initializer.
   *
   * Otherwise as {@linkcode LazyInitMap.reset}.
   *
   * @example Usage
   * ```ts
   * import { int32, LazyInitMap } from "@lazyinit/lazyinit";
   * import { assertEquals } from "@std/assert";
   *
   * const map = new LazyInitMap(int32, int32);
   * map.getOrInit(7, (key) => key * key);
   * assertEquals(await map.resetAsync(7), true);
   * assertEquals(map.get(7), undefined);
   * ```
   *
   * @param key The key.
   * @param options How to end the wait.
   * @returns A promise of whether the key was initialized. It rejects as
   * {@linkcode LazyInitMap.reset} throws, except that it never has to block, or with the
   * reason of an aborted signal.
   */
  async resetAsync(
    key: K,
    options?: LazyInitWaitAsyncOptions,
  ): Promise<boolean> {
    const cell = this.#cellOf(key);
    if (cell !== undefined) return await cell.resetAsync(options);
    throwIfAborted(signalOf(options));
    return false;
  }

  /**
   * Removes the values of all keys, in all agents, one after the other. Blocks while
   * initializers run.
   *
   * A key that another agent initializes meanwhile may keep its value. The keys
   * stay inserted: to begin with an empty memory, create another map.
   *
   * @example Usage
   * ```ts
   * import { int32, LazyInitMap } from "@lazyinit/lazyinit";
   * import { assertEquals } from "@std/assert";
   *
   * const map = new LazyInitMap(int32, int32);
   * map.getOrInit(7, (key) => key * key);
   * map.clear();
   * assertEquals([map.size, map.get(7)], [0, undefined]);
   * ```
   *
   * @throws {OwnerLostError} If this agent was declared dead by `recover()` meanwhile.
   * @throws {RecursiveInitializationError} If this agent is initializing a key.
   * @throws {DeadlockError} If this call would close a cycle of initializers that wait
   * for each other.
   * @throws {TypeError} If the agent would have to block but may not.
   * @throws {LayoutMismatchError} If the memory has been overwritten.
   */
  clear(): void {
    for (const entry of this.#entries) {
      this.#seenAt(entry).cell(this.#owner).reset();
    }
  }

  /**
   * Returns what `reader` returns for the value of a key, if there is one, and never for a
   * value that another agent was just resetting. Never blocks.
   *
   * Works as `MutexLazyInit.read()`, which has the details.
   *
   * @example Usage
   * ```ts
   * import { int32, LazyInitMap, typedArray } from "@lazyinit/lazyinit";
   * import { assertEquals } from "@std/assert";
   *
   * const map = new LazyInitMap(int32, typedArray(Float64Array));
   * map.getOrInit(3, (_key, _slot, allocate) => allocate(3).fill(0.5));
   * const sum = (value: Readonly<Float64Array>) => value.reduce((a, b) => a + b);
   * assertEquals(map.read(3, sum), 1.5);
   * assertEquals(map.read(4, sum), undefined);
   * ```
   *
   * @typeParam R The type of what `reader` returns.
   * @param key The key.
   * @param reader A function that gets the value. It is called again for each reset that
   * comes in between.
   * @returns What `reader` has returned for a value that was complete all that time;
   * `undefined` if the key is not initialized, or no longer is.
   * @throws {TypeError} If `reader` is not a function or returns a promise, or the key codec
   * cannot represent `key`. This call throws whatever else `reader` throws.
   * @throws {RangeError} If the key codec cannot represent `key`.
   * @throws {LayoutMismatchError} If the memory has been overwritten.
   */
  read<R>(key: K, reader: (value: Readonly<V>) => R): R | undefined {
    assertFunction(reader, "reader", "read the cell");
    return this.#cellOf(key)?.read(reader);
  }

  /**
   * Takes all keys from an agent that has ended while it was initializing or resetting
   * them, as `MutexLazyInit.recover()` does with a cell. Never blocks, and looks at each key.
   *
   * The memory of the values that the agent was making is not used again, as the agent may
   * in fact still be running. What it writes there, however late, thus reaches neither a
   * later value of the key nor the initializer that makes it.
   *
   * An agent that has ended while it was inserting a key needs no such call: it leaves only
   * some unused bytes behind.
   *
   * @example Usage
   * ```ts
   * import { agentId, int32, LazyInitMap, OwnerLostError } from "@lazyinit/lazyinit";
   * import { assertEquals, assertThrows } from "@std/assert";
   *
   * const map = new LazyInitMap(int32, int32);
   * assertThrows(() =>
   *   map.getOrInit(7, () => {
   *     // As another agent would, when this one has ended
   *     assertEquals(map.recover(agentId()), true);
   *     return 49;
   *   }), OwnerLostError);
   * assertEquals(map.getOrInit(7, () => 50), 50);
   * ```
   *
   * @param agentId The agent that has ended, as returned by `agentId()` in that agent.
   * @returns Whether it was initializing or resetting a key.
   * @throws {TypeError} If `agentId` is not a number.
   * @throws {RangeError} If `agentId` is not a positive integer.
   * @throws {LayoutMismatchError} If the memory has been overwritten.
   */
  recover(agentId: number): boolean {
    assertAgentId(agentId);
    return this.#recoverable.recover(agentId);
  }

  /**
   * Returns the keys that are initialized now, in no particular order. Never blocks.
   *
   * @example Usage
   * ```ts
   * import { int32, LazyInitMap } from "@lazyinit/lazyinit";
   * import { assertEquals } from "@std/assert";
   *
   * const map = new LazyInitMap(int32, int32);
   * map.getOrInit(7, (key) => key * key);
   * assertEquals([...map.keys()], [7]);
   * ```
   *
   * @returns An iterator that looks at each key when it reaches it.
   * @throws {LayoutMismatchError} If the memory has been overwritten.
   */
  *keys(): Generator<K, undefined> {
    for (const entry of this.#entries) {
      if (this.#entries.isInitialized(entry)) {
        yield this.#entries.keyOf(entry);
      }
    }
  }

  /**
   * Returns the keys that are initialized now and their values, in no particular order.
   * Never blocks.
   *
   * @example Usage
   * ```ts
   * import { int32, LazyInitMap } from "@lazyinit/lazyinit";
   * import { assertEquals } from "@std/assert";
   *
   * const map = new LazyInitMap(int32, int32);
   * map.getOrInit(7, (key) => key * key);
   * assertEquals([...map.entries()], [[7, 49]]);
   * ```
   *
   * @returns An iterator that looks at each key when it reaches it.
   * @throws {LayoutMismatchError} If the memory has been overwritten.
   */
  *entries(): Generator<[K, Readonly<V>], undefined> {
    for (const entry of this.#entries) {
      const seen = this.#seenAt(entry);
      if (seen.refresh(this.#owner)) {
        yield [seen.key, seen.value as Readonly<V>];
      }
    }
  }

  /**
   * Returns what {@linkcode LazyInitMap.entries} does.
   *
   * @example Usage
   * ```ts
   * import { int32, LazyInitMap } from "@lazyinit/lazyinit";
   * import { assertEquals } from "@std/assert";
   *
   * const map = new LazyInitMap(int32, int32);
   * map.getOrInit(7, (key) => key * key);
   * assertEquals(new Map(map), new Map([[7, 49]]));
   * ```
   *
   * @returns An iterator that looks at each key when it reaches it.
   * @throws {LayoutMismatchError} If the memory has been overwritten.
   */
  [Symbol.iterator](): Generator<[K, Readonly<V>], undefined> {
    return this.entries();
  }

  /** The cell of a key that was inserted. */
  #cellOf(key: K): MutexLazyInit<V> | undefined {
    return this.#lookUp(key)?.cell(this.#owner);
  }

  /** What this agent knows of a key that was inserted. */
  #lookUp(key: K): Seen<K, V> | undefined {
    return this.#seen.get(key) ?? this.#find(key);
  }

  /** Cold: this agent has not seen the key yet. */
  #find(key: K): Seen<K, V> | undefined {
    const entry = this.#entries.find(key);
    return entry === NOWHERE ? undefined : this.#see(entry, canonical(key));
  }

  /** Cold: this agent has not seen the key yet. */
  #findOrAdd(key: K): Seen<K, V> {
    return this.#see(this.#entries.add(key), canonical(key));
  }

  /** As {@linkcode LazyInitMap.#lookUp}, for an entry. */
  #seenAt(entry: number): Seen<K, V> {
    const key = this.#entries.keyOf(entry);
    return this.#seen.get(key) ?? this.#see(entry, key);
  }

  #see(entry: number, key: K): Seen<K, V> {
    const seen = new Seen<K, V>(entry, key);
    this.#seen.set(key, seen);
    if (seen.index >= this.#words.length) {
      this.#words = wordsOf(this.#handle.buffer);
    }
    return seen;
  }

  /**
   * Shows the map in Deno, as `LazyInitMap "name" { 7 => 49 }`. Never blocks.
   *
   * @example Usage
   * ```ts
   * import { int32, LazyInitMap } from "@lazyinit/lazyinit";
   * import { assertEquals } from "@std/assert";
   *
   * const map = new LazyInitMap(int32, int32, { name: "squares" });
   * map.getOrInit(7, (key) => key * key);
   * assertEquals(Deno.inspect(map), 'LazyInitMap "squares" { 7 => 49 }');
   * ```
   *
   * @param inspect Shows a key or a value.
   * @param options Passed on to `inspect`.
   * @returns The text.
   */
  [Symbol.for("Deno.customInspect")](
    inspect: (value: unknown, options?: unknown) => string,
    options?: unknown,
  ): string {
    return this.#inspect((value) => inspect(value, options));
  }

  /**
   * Shows the map in Node and Bun, as `LazyInitMap "name" { 7 => 49 }`. Never blocks.
   *
   * @example Usage
   * ```ts
   * import { int32, LazyInitMap } from "@lazyinit/lazyinit";
   * import { assertEquals } from "@std/assert";
   * import { inspect } from "node:util";
   *
   * assertEquals(inspect(new LazyInitMap(int32, int32)), "LazyInitMap {}");
   * ```
   *
   * @param _depth How many levels to show.
   * @param options Passed on to `inspect`.
   * @param inspect Shows a key or a value.
   * @returns The text.
   */
  [Symbol.for("nodejs.util.inspect.custom")](
    _depth: number,
    options: unknown,
    inspect: (value: unknown, options?: unknown) => string,
  ): string {
    return this.#inspect((value) => inspect(value, options));
  }

  #inspect(show: (value: unknown) => string): string {
    const shown: string[] = [];
    try {
      for (const [key, value] of this) {
        if (shown.length === SHOWN) {
          shown.push("…");
          break;
        }
        shown.push(`${show(key)} => ${show(value)}`);
      }
    } catch {
      shown.push("<undecodable>");
    }
    const text = shown.length === 0 ? "{}" : `{ ${shown.join(", ")} }`;
    return `${label(KIND, this.name)} ${text}`;
  }
}

function tagOf(
  keyCodec: Codec<unknown>,
  valueCodec: Codec<unknown>,
): string {
  return `${keyCodec.tag} to ${valueCodec.tag}`;
}

/** What agents must agree on, as a codec of everything that follows the header. */
function layoutOf(tag: string, byteLength: number): Codec<never> {
  const refuse = () => {
    throw new TypeError("Cannot encode a map");
  };
  return { tag, byteLength, open: true, encode: refuse, decode: refuse };
}

/** The bounds of a map, and where its parts are, in bytes. */
function boundsOf(
  options: Pick<LazyInitMapOptions, "maxSize" | "maxByteLength">,
  buffer?: SharedArrayBuffer,
  byteOffset = 0,
) {
  const { maxSize = DEFAULT_MAX_SIZE } = options;
  const action = `create the ${KIND}`;
  assertInteger(maxSize, action, "maxSize", 1, MAX_SIZE);
  const tableLength = 2 ** Math.ceil(Math.log2(maxSize));
  const arenaOffset = HEADER + Math.max(8, tableLength * 4);
  const {
    maxByteLength = buffer === undefined
      ? Math.max((canGrow() ? 1_024 : 16) * MIB, 2 * arenaOffset)
      : restOf(buffer, byteOffset),
  } = options;
  if (
    !isInteger(maxByteLength, arenaOffset, MAX_BYTE_LENGTH) ||
    maxByteLength % 8 !== 0
  ) {
    const wanted =
      `be a multiple of 8 from ${arenaOffset} to ${MAX_BYTE_LENGTH}`;
    throw outOfRange(action, "maxByteLength", wanted, maxByteLength);
  }
  return { maxSize, maxByteLength, tableLength, arenaOffset };
}

/** What is recovered when a worker ends. It may outlive the map, as does the memory. */
function recoverableOf<V>(
  entries: Entries<unknown>,
  owner: EntryOwner<V>,
): Pick<OnceState, "recover"> {
  return {
    recover: (agentId) =>
      entries.recover((entry) =>
        new Seen<unknown, V>(entry, undefined).entry(owner).recover(agentId)
      ),
  };
}

/** How many bytes of the buffer a map may take that begins there. */
function restOf(buffer: SharedArrayBuffer, byteOffset: unknown): number {
  assertShared(buffer);
  assertRange(buffer, byteOffset, HEADER, 8);
  const left = maxByteLengthOf(buffer) - byteOffset;
  return Math.min(MAX_BYTE_LENGTH, left - left % 8);
}
