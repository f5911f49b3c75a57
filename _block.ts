// Copyright 2026 the lazyinit authors. MIT license.
// This module is browser compatible.

/*
 * Where the value of a key lies: see "Memory" in `lazy_init_map.ts`. A block is known by
 * where it begins in the buffer, in bytes; 0 is none.
 */

import { type Arena, UNIT } from "./_arena.ts";
import { wordIndex } from "./_memory.ts";
import { fixedSlot } from "./_slot.ts";
import type { Codec, Slot } from "./codec.ts";

/** Which word of an entry names its block. */
export const BLOCK_WORD = 8;
/** The bytes of a block before the slot: how many that has room for, and how many are in use. */
export const BLOCK_HEADER = 8;
const USED_WORD = 1;

/** The block that an entry names, whose first word is at `index`. */
export function blockOf(words: Int32Array, index: number): number {
  // M4: pairs with the CAS of nameBlock(), and with the one that links the entry
  return (Atomics.load(words, index + BLOCK_WORD) >>> 0) * UNIT;
}

/** Has an entry name another block, unless it no longer names `block`. */
export function nameBlock(
  words: Int32Array,
  index: number,
  block: number,
  next: number,
): void {
  // M6: pairs with itself in an agent that has taken the cell from this one, and with the
  // load of blockOf()
  Atomics.compareExchange(
    words,
    index + BLOCK_WORD,
    block / UNIT,
    next / UNIT,
  );
}

/** How many bytes a block has room for; `undefined` if it is not in the memory of the map. */
export function roomOf(arena: Arena, block: number): number | undefined {
  if (block === 0) return 0;
  if (block < arena.start) return undefined;
  const slot = wordIndex(block + BLOCK_HEADER);
  // Plain: M4
  const room = arena.wordsTo(slot)?.[wordIndex(block)];
  if (room === undefined) return undefined;
  return arena.wordsTo(slot + wordIndex(room >>> 0)) && room >>> 0;
}

/** How many bytes are in use of a block that is in the memory. */
export function usedOf(arena: Arena, block: number): number {
  if (block === 0) return 0;
  const index = wordIndex(block) + USED_WORD;
  // Plain: I1, and torn-decode in `atomics.ts`
  return arena.wordsTo(index + 1)![index]! >>> 0;
}

/** Notes how many bytes are in use of a block that is in the memory. */
export function setUsed(arena: Arena, block: number, used: number): void {
  const index = wordIndex(block) + USED_WORD;
  // Plain: I1
  arena.wordsTo(index + 1)![index] = used;
}

/** Writes the room of a block that no entry names yet. */
export function setRoom(arena: Arena, block: number, room: number): void {
  const index = wordIndex(block);
  // Plain: M4
  arena.wordsTo(index + 1)![index] = room;
}

/** Where the slot in a block begins, in bytes; without a block there is room for nothing. */
export function slotOffsetOf(arena: Arena, block: number): number {
  return block === 0 ? arena.start : block + BLOCK_HEADER;
}

/** The slot in a block with its value; `undefined` if that is not in the memory of the map. */
export function slotOf(
  arena: Arena,
  { open, byteLength }: Codec<unknown>,
  block: number,
): Slot | undefined {
  const room = roomOf(arena, block);
  if (room === undefined) return undefined;
  const length = open === true ? usedOf(arena, block) : byteLength;
  if (length > room) return undefined;
  const { buffer } = arena;
  return fixedSlot(
    { buffer, byteOffset: slotOffsetOf(arena, block) },
    length,
  );
}
