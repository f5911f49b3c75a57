// Copyright 2026 the lazyinit authors. MIT license.
// This module is browser compatible.

/*
 * One key of a map and its cell: see "Memory" in `lazy_init_map.ts`.
 */

import { type Arena, UNIT } from "./_arena.ts";
import { type AnyInitializer, Cell, type InitResult } from "./_cell.ts";
import { label, show } from "./_checks.ts";
import { wordIndex } from "./_memory.ts";
import type { Run } from "./_running.ts";
import { fixedSlot } from "./_slot.ts";
import { type Keep, LENGTH_WORD } from "./_value.ts";
import { OnceState } from "./atomics.ts";
import type { Codec } from "./codec.ts";
import { LayoutMismatchError } from "./errors.ts";

/** The kind of a map, and of its entries. */
export const KIND = "LazyInitMap";

/** The words of an entry, beside those of its cell. */
export const HASH_WORD = 2;
export const NEXT_WORD = 6;
export const KEY_LENGTH_WORD = 7;
const BLOCK_WORD = 8;

/** Where the key begins in an entry, in bytes. */
export const KEY_OFFSET = OnceState.byteLength + 16;
/** How a block begins: the bytes that it has room for, in 32 bits. */
const BLOCK_HEADER = 8;

/** What an entry has of its map. */
export interface EntryOwner<V> {
  readonly name: string;
  readonly codec: Codec<V>;
  readonly arena: Arena;
}

/** The cell of a key. Its slot is a block of its own, which other ones follow if it is too small. */
export class Entry<V> extends Cell<V> {
  readonly key: unknown;
  readonly #owner: EntryOwner<V>;

  constructor(
    owner: EntryOwner<V>,
    buffer: SharedArrayBuffer,
    byteOffset: number,
    key: unknown,
  ) {
    super(KIND, owner.codec, { buffer, byteOffset, name: owner.name });
    this.key = key;
    this.#owner = owner;
  }

  override get name(): string {
    return `${super.name}[${show(this.key)}]`;
  }

  override get label(): string {
    return `${show(this.key)} of ${label(this.kind, super.name)}`;
  }

  override make(
    initializer: AnyInitializer,
    alternative: string,
    keep: Keep<V>,
  ): InitResult<V> | undefined {
    return super.make(this.#withKey(initializer), alternative, keep);
  }

  override makeAsync(
    initializer: AnyInitializer,
    keep: Keep<V>,
    outer?: Run,
  ): Promise<InitResult<V>> | InitResult<V> | undefined {
    return super.makeAsync(this.#withKey(initializer), keep, outer);
  }

  #withKey(initializer: AnyInitializer): AnyInitializer {
    const call = initializer as (...args: unknown[]) => unknown;
    return (slot, allocate) => {
      // Before it runs, as it would run in vain
      this.makeRoom(this.#fixedByteLength);
      return call(this.key, slot, allocate);
    };
  }

  override decode(): Readonly<V> {
    const { codec } = this.#owner;
    const { words, index, buffer } = this;
    const block = this.#block;
    const length = codec.open === true
      ? words[index + LENGTH_WORD]! >>> 0
      : codec.byteLength;
    if (length > this.#roomOf(block)) throw this.#overwritten();
    return codec.decode(
      fixedSlot({ buffer, byteOffset: slotOf(block, this) }, length),
    );
  }

  /** The size of the value, in bytes, if it is known before there is one. */
  get #fixedByteLength(): number {
    const { open, byteLength } = this.#owner.codec;
    return open === true ? 0 : byteLength;
  }

  protected override get slotOffset(): number {
    return slotOf(this.#ownBlock, this);
  }

  protected override get room(): number {
    return this.#roomOf(this.#ownBlock);
  }

  /** Where the block is, in bytes; 0 if there is none. */
  get #block(): number {
    // M4: pairs with the CAS of #nameBlock()
    return (Atomics.load(this.words, this.index + BLOCK_WORD) >>> 0) * UNIT;
  }

  /** Where the block of the owner is, which is this agent. */
  get #ownBlock(): number {
    const block = this.#block;
    // M6: in this order, or it could be the block of another owner
    if (!this.ownedByThisAgent) throw this.lost("write to");
    return block;
  }

  /** Names another block, unless the entry no longer names that one. */
  #nameBlock(block: number, next: number): void {
    // M6: pairs with itself in an agent that has taken the cell from this one, and with the
    // load of #block
    Atomics.compareExchange(
      this.words,
      this.index + BLOCK_WORD,
      block / UNIT,
      next / UNIT,
    );
  }

  /** How many bytes a block has room for. */
  #roomOf(block: number): number {
    if (block === 0) return 0;
    if (block < this.#owner.arena.start) throw this.#overwritten();
    const slot = block + BLOCK_HEADER;
    // Plain: M4
    const room = this.#wordsTo(slot)[wordIndex(block)]! >>> 0;
    this.#wordsTo(slot + room);
    return room;
  }

  /** Words of the memory, which reach at least as far as `byteOffset`. */
  #wordsTo(byteOffset: number): Int32Array {
    const words = this.#owner.arena.wordsTo(wordIndex(byteOffset));
    if (words === undefined) throw this.#overwritten();
    return words;
  }

  /** Moves the value to another block, if it outgrows the one that it is in. */
  protected override makeRoom(byteLength: number): void {
    for (;;) {
      // Once more after each move, as that took a while
      const block = this.#ownBlock;
      const room = this.#roomOf(block);
      if (byteLength <= room) return;
      const moved = this.#owner.arena.reserve(BLOCK_HEADER + byteLength);
      // Plain: M4
      this.#wordsTo(moved + BLOCK_HEADER)[wordIndex(moved)] = byteLength;
      this.#moveBytes(block, moved, room);
      this.#nameBlock(block, moved);
    }
  }

  /** Moves what is in use of a block that has room for `room` bytes. */
  #moveBytes(block: number, moved: number, room: number): void {
    const used = Math.min(this.words[this.index + LENGTH_WORD]! >>> 0, room);
    if (used === 0) return;
    const { buffer } = this;
    const old = new Uint8Array(buffer, block + BLOCK_HEADER, used);
    new Uint8Array(buffer, moved + BLOCK_HEADER, used).set(old);
    old.fill(0);
  }

  /** Leaves the block to the agent that had the cell: it may live, and still write there. */
  protected override abandon(): void {
    this.zero();
    for (;;) {
      const block = this.#block;
      // M6: in this order
      if (block === 0 || !this.ownedByThisAgent) return;
      this.#nameBlock(block, 0);
    }
  }

  /** A few frames and built-ins: see `Cell.zero()`. */
  protected override zero(): void {
    const { words, index, buffer } = this;
    const { start, end } = this.#owner.arena;
    const block = this.#block;
    // M6: in this order
    if (!this.ownedByThisAgent) return;
    const slot = block + BLOCK_HEADER;
    // The words may have been overwritten
    const limit = Math.min(end, buffer.byteLength);
    if (block >= start && slot <= limit) {
      const used = Math.min(
        words[index + LENGTH_WORD]! >>> 0,
        new Uint32Array(buffer, block, 1)[0]!,
        limit - slot,
      );
      new Uint8Array(buffer, slot, used).fill(0);
    }
    words[index + LENGTH_WORD] = 0;
  }

  #overwritten(): LayoutMismatchError {
    return new LayoutMismatchError(
      `Cannot read ${this.label} as its value must be in the memory: the memory has been overwritten`,
    );
  }
}

/** Where the slot in a block begins, in bytes; without a block there is room for nothing. */
function slotOf(block: number, { byteOffset }: { byteOffset: number }): number {
  return block === 0 ? byteOffset : block + BLOCK_HEADER;
}
