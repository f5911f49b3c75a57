// Copyright 2026 the lazyinit authors. MIT license.
// This module is browser compatible.

import { BLOCK_WORD, blockOf, slotOf } from "./_block.ts";
import { Entry, type EntryOwner } from "./_entry.ts";
import { wordIndex } from "./_memory.ts";
import { MutexLazyInit } from "./mutex_lazy_init.ts";

/** The low bits of a state word are its phase, and this one says that there is a value. */
const PHASE_MASK = 3;
const INITIALIZED = 2;

/**
 * What an agent knows of a key. The agent has one for each key that it has seen, so this
 * object is small. An {@linkcode Entry}, which is not, is made for what takes more than a
 * look.
 */
export class Seen<K, V> {
  // What get() reads comes first
  /** Which word is the state. */
  readonly index: number;
  /** The state word with which {@linkcode value} was in its block, if it was. */
  word: number | undefined = undefined;
  value: Readonly<V> | undefined = undefined;
  readonly key: K;
  /** Where the entry begins, in bytes. */
  readonly byteOffset: number;
  #cell: MutexLazyInit<V> | undefined = undefined;

  /** Of the entry that begins there, in bytes. */
  constructor(byteOffset: number, key: K) {
    this.index = wordIndex(byteOffset);
    this.key = key;
    this.byteOffset = byteOffset;
  }

  entry(owner: EntryOwner<V>): Entry<V> {
    return new Entry(owner, this.byteOffset, this);
  }

  /** The cell of the key, for those that wait, reset, or must not block. */
  cell(owner: EntryOwner<V>): MutexLazyInit<V> {
    return this.#cell ??= new MutexLazyInit(owner.codec, this.entry(owner));
  }

  keep(value: Readonly<V>, word: number): void {
    this.value = value;
    this.word = word;
  }

  forget(): void {
    this.value = this.word = undefined;
  }

  /** Learns the value, and returns whether there is one. */
  refresh(owner: EntryOwner<V>): boolean {
    return this.#decode(owner) || this.entry(owner).read(() => {});
  }

  /**
   * Learns a value that is there and new to this agent, which most are. It is what
   * `Value.read()` does, without a cell, which takes longer to make than a value to read.
   */
  #decode({ codec, arena }: EntryOwner<V>): boolean {
    const { index } = this;
    const words = arena.wordsTo(index + BLOCK_WORD + 1);
    if (words === undefined) return false;
    // Pairs with the CAS by which a run publishes
    const word = Atomics.load(words, index);
    if ((word & PHASE_MASK) !== INITIALIZED || word === this.word) return false;
    let value: Readonly<V>;
    try {
      const slot = slotOf(arena, codec, blockOf(words, index));
      if (slot === undefined) return false;
      value = codec.decode(slot);
    } catch {
      // The entry finds out why
      return false;
    }
    // As confirm() in `atomics.ts` (torn-decode)
    if (Atomics.compareExchange(words, index, word, word) !== word) {
      return false;
    }
    this.keep(value, word);
    return true;
  }
}
