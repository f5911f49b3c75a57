// Copyright 2026 the lazyinit authors. MIT license.
// This module is browser compatible.

/*
 * One key of a map and its cell: see "Memory" in `lazy_init_map.ts`.
 */

import { thisAgent } from "./_agent.ts";
import { Arena } from "./_arena.ts";
import {
  BLOCK_HEADER,
  blockOf,
  nameBlock,
  roomOf,
  setRoom,
  setUsed,
  slotOf,
  slotOffsetOf,
  usedOf,
} from "./_block.ts";
import { type AnyInitializer, Cell, type InitResult } from "./_cell.ts";
import { label, show } from "./_checks.ts";
import { allocate } from "./_memory.ts";
import type { Run } from "./_running.ts";
import type { Seen } from "./_seen.ts";
import type { Keep } from "./_value.ts";
import { OnceState } from "./atomics.ts";
import { type Codec, int32 } from "./codec.ts";
import { LayoutMismatchError } from "./errors.ts";

/** The kind of a map, and of its entries. */
export const KIND = "LazyInitMap";

/** The words of an entry, beside those of its cell. */
export const HASH_WORD = 2;
export const NEXT_WORD = 6;
export const KEY_LENGTH_WORD = 7;

/** Where the key begins in an entry, in bytes. */
export const KEY_OFFSET = OnceState.byteLength + 16;

/** Whether the engine has compiled what gives an entry back. */
let isCompiled = false;
/** No value comes of it. */
const COMPILING: Codec<unknown> = { ...int32 } as Codec<unknown>;

/** What an entry has of its map. */
export interface EntryOwner<V> {
  readonly name: string;
  readonly codec: Codec<V>;
  readonly arena: Arena;
}

/** The cell of a key. Its slot is a block of its own, which other ones follow if it is too small. */
export class Entry<V> extends Cell<V> {
  readonly #owner: EntryOwner<V>;
  readonly #seen: Seen<unknown, V>;

  constructor(
    owner: EntryOwner<V>,
    byteOffset: number,
    seen: Seen<unknown, V>,
  ) {
    const { codec, arena: { buffer }, name } = owner;
    super(KIND, codec, { buffer, byteOffset, name });
    this.#owner = owner;
    this.#seen = seen;
    if (!isCompiled && owner.codec !== COMPILING) Entry.#compileForKeys(seen);
  }

  /** As the cell's: it has what gives an entry back compiled. */
  static #compileForKeys<V>(seen: Seen<unknown, V>): void {
    const arena = new Arena(allocate(128), 12, 64, 128, "");
    const codec = COMPILING as Codec<V>;
    const entry = new Entry({ name: "", codec, arena }, 0, seen);
    const fail = () => {
      entry.recover(thisAgent);
      throw undefined;
    };
    entry.make(fail, "", () => {});
    // Last, as it may fail at the end of the stack
    isCompiled = true;
  }

  override get name(): string {
    return `${super.name}[${show(this.#seen.key)}]`;
  }

  override get label(): string {
    return `${show(this.#seen.key)} of ${label(this.kind, super.name)}`;
  }

  /** Returns the value that the agent knows, as long as there is no other. */
  override read(keep: Keep<V>): boolean {
    const seen = this.#seen;
    if (this.load() === seen.word) {
      keep(seen.value as Readonly<V>, seen.word);
      return true;
    }
    seen.forget();
    return super.read(this.#keeping(keep));
  }

  override make(
    initializer: AnyInitializer,
    alternative: string,
    keep: Keep<V>,
  ): InitResult<V> | undefined {
    return super.make(
      this.#withKey(initializer),
      alternative,
      this.#keeping(keep),
    );
  }

  override makeAsync(
    initializer: AnyInitializer,
    keep: Keep<V>,
    outer?: Run,
  ): Promise<InitResult<V>> | InitResult<V> | undefined {
    return super.makeAsync(
      this.#withKey(initializer),
      this.#keeping(keep),
      outer,
    );
  }

  /** So that all that hand out the value hand out the same reference. */
  #keeping(keep: Keep<V>): Keep<V> {
    return (value, word) => {
      this.#seen.keep(value, word);
      keep(value, word);
    };
  }

  #withKey(initializer: AnyInitializer): AnyInitializer {
    const call = initializer as (...args: unknown[]) => unknown;
    return (...filling) => {
      const { open, byteLength } = this.#owner.codec;
      // Before it runs, as it would run in vain
      this.makeRoom(open === true ? 0 : byteLength);
      return call(this.#seen.key, ...filling);
    };
  }

  override decode(): Readonly<V> {
    const { arena, codec } = this.#owner;
    const slot = slotOf(arena, codec, this.#block);
    if (slot === undefined) throw this.#overwritten();
    return codec.decode(slot);
  }

  protected override get slotOffset(): number {
    return slotOffsetOf(this.#owner.arena, this.#ownBlock);
  }

  protected override get room(): number {
    return this.#roomOf(this.#ownBlock);
  }

  protected override get used(): number {
    const block = this.#block;
    this.#roomOf(block);
    return usedOf(this.#owner.arena, block);
  }

  /** In the block, as a lost owner may write this as late as the value. */
  protected override set used(used: number) {
    const block = this.#ownBlock;
    if (block !== 0) setUsed(this.#owner.arena, block, used);
  }

  /** The block of the last value, or of the one that the owner makes. */
  get #block(): number {
    return blockOf(this.words, this.index);
  }

  /** The block of the owner, which is this agent. */
  get #ownBlock(): number {
    const block = this.#block;
    // M6: in this order, or it could be the block of another owner
    if (!this.ownedByThisAgent) throw this.lost("write to");
    return block;
  }

  #roomOf(block: number): number {
    const room = roomOf(this.#owner.arena, block);
    if (room === undefined) throw this.#overwritten();
    return room;
  }

  /** Moves the value to another block, if it outgrows the one that it is in. */
  protected override makeRoom(byteLength: number): void {
    const { arena } = this.#owner;
    for (;;) {
      // Once more after each move, as that took a while
      const block = this.#ownBlock;
      const room = this.#roomOf(block);
      if (byteLength <= room) return;
      const moved = arena.reserve(BLOCK_HEADER + byteLength);
      setRoom(arena, moved, byteLength);
      this.#moveBytes(block, moved, room);
      nameBlock(this.words, this.index, block, moved);
    }
  }

  /** Moves what is in use of a block that has room for `room` bytes. */
  #moveBytes(block: number, moved: number, room: number): void {
    const { arena } = this.#owner;
    const used = Math.min(usedOf(arena, block), room);
    if (used === 0) return;
    const { buffer } = this;
    const old = new Uint8Array(buffer, block + BLOCK_HEADER, used);
    new Uint8Array(buffer, moved + BLOCK_HEADER, used).set(old);
    setUsed(arena, moved, used);
    old.fill(0);
    setUsed(arena, block, 0);
  }

  /** Leaves the block to the agent that had the cell: it may live, and still write there. */
  protected override abandon(): void {
    this.zero();
    for (;;) {
      const block = this.#block;
      // M6: in this order
      if (block === 0 || !this.ownedByThisAgent) return;
      nameBlock(this.words, this.index, block, 0);
    }
  }

  /** A few frames and built-ins: see `Cell.zero()`. */
  protected override zero(): void {
    const { buffer } = this;
    const { start, end } = this.#owner.arena;
    const block = this.#block;
    // M6: in this order
    if (!this.ownedByThisAgent) return;
    const slot = block + BLOCK_HEADER;
    // The words may have been overwritten
    const limit = Math.min(end, buffer.byteLength);
    if (block < start || slot > limit) return;
    const header = new Uint32Array(buffer, block, 2);
    const used = Math.min(header[0]!, header[1]!, limit - slot);
    new Uint8Array(buffer, slot, used).fill(0);
    header[1] = 0;
  }

  #overwritten(): LayoutMismatchError {
    return new LayoutMismatchError(
      `Cannot read ${this.label} as its value must be in the memory: the memory has been overwritten`,
    );
  }
}
