// Copyright 2026 the lazyinit authors. MIT license.
// This module is browser compatible.

/*
 * The hash table of a map: see "Memory" in `lazy_init_map.ts`. It knows keys as words, and
 * entries by where they begin in the buffer, in bytes.
 */

import { type Arena, UNIT } from "./_arena.ts";
import { BLOCK_HEADER, BLOCK_WORD, setRoom } from "./_block.ts";
import { HASH_WORD, KEY_LENGTH_WORD, KEY_OFFSET, NEXT_WORD } from "./_entry.ts";
import type { Keys } from "./_keys.ts";
import { alignToSlot, wordIndex } from "./_memory.ts";
import { OnceState, type Phase } from "./atomics.ts";
import { LayoutMismatchError } from "./errors.ts";

/** Stands for no entry, as the header of a map is at the beginning of its memory. */
export const NOWHERE = 0;
const KEY_WORD = wordIndex(KEY_OFFSET);
/**
 * If the value takes at most this many bytes, the entry and its block are reserved
 * together: in one step, and next to each other. An agent that loses the race for a key
 * leaks both.
 */
const MAX_NEAR_BYTES = 64;
/** How many entries a chain may have beyond `maxSize`: more is a chain without end. */
const MAX_EXCESS = 65_536;

/** Where the parts of a map are. */
export interface EntriesPlace {
  /** How errors call the map. */
  readonly label: string;
  readonly maxSize: number;
  /** The word that counts the entries. */
  readonly countIndex: number;
  /** The word of the first chain, … */
  readonly tableIndex: number;
  /** … and how many chains there are, a power of two. */
  readonly tableLength: number;
  /** How many bytes each value takes, if that is known before there is one. */
  readonly valueByteLength: number;
}

/** The entries of a map: found by their keys, added, never taken away. */
export class Entries<K> {
  readonly #place: EntriesPlace;
  readonly #keys: Keys<K>;
  readonly #arena: Arena;
  /** Enough of the memory for the header and the table. */
  readonly #words: Int32Array;
  /** How many bytes of a value the block has room for that comes with an entry; 0 if none does. */
  readonly #nearRoom: number;

  constructor(place: EntriesPlace, keys: Keys<K>, arena: Arena) {
    this.#place = place;
    this.#keys = keys;
    this.#arena = arena;
    this.#words = arena.wordsTo(wordIndex(arena.start))!;
    const { valueByteLength } = place;
    this.#nearRoom = valueByteLength > MAX_NEAR_BYTES ? 0 : valueByteLength;
  }

  /** Returns the entry of a key, if there is one. */
  find(key: K): number {
    this.#keys.encode(key);
    return this.#search(this.#head(this.#chain), NOWHERE);
  }

  /** Returns the entry of a key, which it adds if there is none. */
  add(key: K): number {
    this.#keys.encode(key);
    const chain = this.#chain;
    let head = this.#head(chain);
    const found = this.#search(head, NOWHERE);
    if (found !== NOWHERE) return found;
    this.#assertNotFull();
    const entry = this.#create();
    for (;;) {
      this.#wordsOf(entry)[wordIndex(entry) + NEXT_WORD] = head / UNIT;
      // M2 and M3: pairs with the load of #head()
      const first = (Atomics.compareExchange(
        this.#words,
        chain,
        head / UNIT,
        entry / UNIT,
      ) >>> 0) * UNIT;
      if (first === head) break;
      // M2: an agent that came first may have linked the same key
      const linked = this.#search(first, head);
      if (linked !== NOWHERE) return linked;
      head = first;
    }
    // Pairs with the load of #assertNotFull()
    Atomics.add(this.#words, this.#place.countIndex, 1);
    return entry;
  }

  /** Writes the last key that was encoded to an entry that no other agent can know of. */
  #create(): number {
    const { words: key, length, byteLength, hash } = this.#keys;
    const block = alignToSlot(KEY_OFFSET + byteLength);
    const room = this.#nearRoom;
    const entry = this.#arena.reserve(
      room === 0 ? block : block + BLOCK_HEADER + room,
    );
    const words = this.#wordsTo(wordIndex(entry + KEY_OFFSET) + length);
    const index = wordIndex(entry);
    // Plain: M3
    if (room !== 0) {
      setRoom(this.#arena, entry + block, room);
      words[index + BLOCK_WORD] = (entry + block) / UNIT;
    }
    words[index + HASH_WORD] = hash;
    words[index + KEY_LENGTH_WORD] = byteLength;
    for (let i = 0; i < length; i++) words[index + KEY_WORD + i] = key[i]!;
    return entry;
  }

  /**
   * Asks before an entry is added, so agents that add at the same time may exceed the bound
   * by one each.
   */
  #assertNotFull(): void {
    const { countIndex, maxSize, label } = this.#place;
    // Pairs with the addition in add()
    if (Atomics.load(this.#words, countIndex) >>> 0 < maxSize) return;
    throw new RangeError(
      `Cannot add a key to ${label} as it must have at most ${maxSize} keys: create it with a greater 'maxSize'`,
    );
  }

  /** Returns the entries, in no particular order. */
  *[Symbol.iterator](): Generator<number> {
    const { tableIndex, tableLength } = this.#place;
    for (let i = 0; i < tableLength; i++) {
      let left = this.#maxLength;
      let entry = this.#head(tableIndex + i);
      while (entry !== NOWHERE) {
        if (left-- === 0) throw this.#overwritten();
        const index = wordIndex(entry);
        // Plain: M3
        const next = this.#wordsOf(entry)[index + NEXT_WORD]! >>> 0;
        yield entry;
        entry = next * UNIT;
      }
    }
  }

  /** Whether the key of the entry has a value. */
  isInitialized(entry: number): boolean {
    return this.#phaseOf(entry) === "initialized";
  }

  #phaseOf(entry: number): Phase {
    return new OnceState(this.#arena.buffer, entry).phase;
  }

  /**
   * Calls `recover` for each entry that has an owner, and wakes the waiters of the others.
   * Goes on after an entry whose memory has been overwritten, and throws its error at the
   * end.
   */
  recover(recover: (entry: number) => boolean): boolean {
    let recovered = false;
    let failure: { error: unknown } | undefined;
    for (const entry of this) {
      try {
        if (this.#phaseOf(entry) === "initializing") {
          recovered = recover(entry) || recovered;
        } else {
          // I6: in the place of an agent that has ended before it could
          Atomics.notify(this.#wordsOf(entry), wordIndex(entry));
        }
      } catch (error) {
        failure ??= { error };
      }
    }
    if (failure !== undefined) throw failure.error;
    return recovered;
  }

  keyOf(entry: number): K {
    const words = this.#wordsOf(entry);
    const byteLength = words[wordIndex(entry) + KEY_LENGTH_WORD]! >>> 0;
    const byteOffset = entry + KEY_OFFSET;
    const { buffer } = this.#wordsTo(wordIndex(byteOffset + byteLength));
    return this.#keys.decode({ buffer, byteOffset }, byteLength);
  }

  /** The word of the chain of the last key that was encoded. */
  get #chain(): number {
    const { tableIndex, tableLength } = this.#place;
    return tableIndex + (this.#keys.hash & tableLength - 1);
  }

  #head(chain: number): number {
    // M3: pairs with the CAS of add()
    return (Atomics.load(this.#words, chain) >>> 0) * UNIT;
  }

  /** Looks for the last key that was encoded, in a chain from `entry` to before `end`. */
  #search(entry: number, end: number): number {
    const { hash } = this.#keys;
    let left = this.#maxLength;
    while (entry !== end && entry !== NOWHERE) {
      if (left-- === 0) throw this.#overwritten();
      const words = this.#wordsOf(entry);
      const index = wordIndex(entry);
      // Plain: M3
      if (words[index + HASH_WORD] === hash && this.#hasKey(index)) {
        return entry;
      }
      entry = (words[index + NEXT_WORD]! >>> 0) * UNIT;
    }
    return NOWHERE;
  }

  /** Whether the key of the entry that begins with that word is the last one that was encoded. */
  #hasKey(index: number): boolean {
    const { words: key, length, byteLength } = this.#keys;
    const start = index + KEY_WORD;
    const words = this.#wordsTo(start);
    if (words[index + KEY_LENGTH_WORD] !== byteLength) return false;
    const keyWords = this.#wordsTo(start + length);
    for (let i = 0; i < length; i++) {
      if (keyWords[start + i] !== key[i]) return false;
    }
    return true;
  }

  /** The words that an entry is in, but for its key. */
  #wordsOf(entry: number): Int32Array {
    if (entry < this.#arena.start) throw this.#overwritten();
    return this.#wordsTo(wordIndex(entry) + KEY_WORD);
  }

  /** Words of the memory, at least so many. */
  #wordsTo(end: number): Int32Array<SharedArrayBuffer> {
    const words = this.#arena.wordsTo(end);
    if (words === undefined) throw this.#overwritten();
    return words;
  }

  get #maxLength(): number {
    return this.#place.maxSize + MAX_EXCESS;
  }

  #overwritten(): LayoutMismatchError {
    return new LayoutMismatchError(
      `Cannot look up a key in ${this.#place.label} as its entries must be in the memory: the memory has been overwritten`,
    );
  }
}
