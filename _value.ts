// Copyright 2026 the lazyinit authors. MIT license.
// This module is browser compatible.

/*
 * Where the value of a cell lies, and how it gets there and back: the slot behind the
 * header, and word 5 of the header, which holds how many bytes of the slot are in use, so
 * that no others are zeroed.
 */

import { isInteger, outOfRange } from "./_checks.ts";
import { alignToSlot, growTo, wordIndex } from "./_memory.ts";
import { SLICE_BYTES } from "./_resetting.ts";
import type { Run } from "./_running.ts";
import { assertFits, encodeOpen, fixedSlot } from "./_slot.ts";
import { OnceState } from "./atomics.ts";
import type { Codec, Slot } from "./codec.ts";
import { LayoutMismatchError } from "./errors.ts";

/** How many bytes of the slot are in use. */
export const LENGTH_WORD = 5;

/**
 * Remembers a value, and the state word with which it is in the slot.
 *
 * Typed as a method, so that a cell of numbers is a cell of unknown values.
 */
export type Keep<T> = { keep(value: Readonly<T>, word: number): void }["keep"];

/** A run, as far as giving back its cell is concerned. */
export type Owner = Pick<Run, "generation" | "finished">;

/** What the initializer of a view is given, and what it has taken. */
export interface Filling<T> {
  readonly view: T;
  readonly allocate: (length: number) => T;
  allocated: T | undefined;
}

/** A state that guards a value. */
export class Value<T> extends OnceState {
  readonly #codec: Codec<T>;
  /** The size of the slot, in bytes; read once, as a codec could change. */
  readonly capacity: number;

  constructor(codec: Codec<T>, buffer: SharedArrayBuffer, byteOffset: number) {
    super(buffer, byteOffset);
    this.#codec = codec;
    this.capacity = codec.byteLength;
  }

  get tag(): string {
    return this.#codec.tag;
  }

  /** The value, of a cell that is initialized; anything, of another. */
  decode(): Readonly<T> {
    const codec = this.#codec;
    const length = codec.open === true ? this.#length : this.capacity;
    return codec.decode(this.#slot(length));
  }

  /** The state word alone. */
  get stateView(): Int32Array {
    return new Int32Array(this.buffer, this.byteOffset, 1);
  }

  /** Hands the value to `keep` if there is one, and returns whether there is. */
  read(keep: Keep<T>): boolean {
    for (;;) {
      const word = this.loadInitialized();
      if (word === undefined) return false;
      const decoded = this.confirmed(word, () => this.decode());
      if (decoded === undefined) continue;
      keep(decoded.result, word);
      return true;
    }
  }

  /**
   * Returns what `body` makes of the value that was in the slot with that state word;
   * `undefined` if a reset since then may have torn what it has read, or made it fail.
   */
  confirmed<R>(
    word: number,
    body: () => R,
  ): { readonly result: R } | undefined {
    try {
      const result = body();
      return this.confirm(word) ? { result } : undefined;
    } catch (error) {
      if (this.confirm(word)) throw error;
      return undefined;
    }
  }

  /** What an initializer gets to fill, if the values are views. */
  protected beginFilling(run: Owner): Filling<T> | undefined {
    const codec = this.#codec;
    if (codec.view !== true) return undefined;
    const length = codec.open === true ? 0 : this.#reserve(run, this.capacity);
    const filling: Filling<T> = {
      view: codec.decode(this.#slot(length)),
      allocated: undefined,
      allocate: (length) => {
        if (run.finished) throw allocatedTooLate();
        const byteLength = this.#allocation(filling.view, length);
        if (!this.owns(run.generation)) throw this.lost("write to");
        // First, as it may fail, and then the earlier view stays
        this.makeRoom(byteLength);
        // Twice, so that the last is zero
        this.#reserve(run, 0);
        this.#reserve(run, byteLength);
        return filling.allocated = codec.decode(this.#slot(byteLength));
      },
    };
    return filling;
  }

  /** How many bytes so many elements of a view take. */
  #allocation(view: T, length: unknown): number {
    const { open, tag } = this.#codec;
    const { BYTES_PER_ELEMENT = 1 } = view as { BYTES_PER_ELEMENT?: number };
    const max = this.capacity / BYTES_PER_ELEMENT;
    const isOpen = open === true;
    if (isInteger(length, isOpen ? 0 : max, max)) {
      return length * BYTES_PER_ELEMENT;
    }
    const wanted = isOpen ? `be an integer from 0 to ${max}` : `be ${max}`;
    throw outOfRange(`allocate ${tag}`, "length", wanted, length);
  }

  /** Lays out what an initializer made, and returns it as every agent reads it. */
  protected fill(
    run: Owner,
    filling: Filling<T> | undefined,
    made: unknown,
  ): Readonly<T> {
    if (filling === undefined) return this.encode(run, made as T);
    const { view, allocated = this.#codec.open === true ? undefined : view } =
      filling;
    if (made !== undefined && made !== allocated) {
      return this.encode(run, made as T);
    }
    if (allocated !== undefined) return allocated;
    throw new TypeError(
      `Cannot initialize ${this.label} as the initializer must call 'allocate' or return a value: it has done neither`,
    );
  }

  protected encode(run: Owner, value: T): Readonly<T> {
    const codec = this.#codec;
    if (codec.open !== true) {
      const slot = this.#slot(this.#reserve(run, this.capacity));
      codec.encode(value, slot);
      return codec.decode(slot);
    }
    const length = encodeOpen(codec, value, this.#slot(0), (byteLength) => {
      // The codec may say something else by now
      assertFits(byteLength, { tag: this.tag, byteLength: this.capacity });
      this.#reserve(run, byteLength);
      return this.#slot(0);
    });
    return codec.decode(this.#slot(length));
  }

  /** Makes room for a value of that length, in bytes, and returns that. */
  #reserve(run: Owner, byteLength: number): number {
    // As late as possible, as an agent may have declared this one dead
    if (!this.owns(run.generation)) throw this.lost("write to");
    // Checked, or memory that was overwritten would have this zero what comes after the slot
    const used = this.#length;
    if (byteLength < used) this.#shrink(used, byteLength);
    else if (byteLength > used) {
      this.makeRoom(byteLength);
      this.used = byteLength;
    }
    return byteLength;
  }

  /** Zeroes what is in use beyond that length, in bytes. */
  #shrink(used: number, byteLength: number): void {
    const byteOffset = this.slotOffset + byteLength;
    new Uint8Array(this.buffer, byteOffset, used - byteLength).fill(0);
    this.used = byteLength;
  }

  /** So many bytes of the slot. */
  #slot(byteLength: number): Slot {
    const { buffer, slotOffset } = this;
    return fixedSlot({ buffer, byteOffset: slotOffset }, byteLength);
  }

  /** Where the slot begins, in bytes: after the header, unless a subclass has it elsewhere. */
  protected get slotOffset(): number {
    return this.byteOffset + OnceState.byteLength;
  }

  /** How many bytes the slot has room for, as long as none is made. */
  protected get room(): number {
    return this.buffer.byteLength - this.byteOffset - OnceState.byteLength;
  }

  /** Has the slot have room for so many bytes, for the owner of the cell. */
  protected makeRoom(byteLength: number): void {
    const end = this.slotOffset + alignToSlot(byteLength);
    if (wordIndex(end) > this.words.length) growTo(this.buffer, end);
  }

  /** How many bytes of the slot are in use. */
  get #length(): number {
    const length = this.used;
    // First, as asking the buffer for its size costs more than all the rest
    if (length === 0) return 0;
    const max = Math.min(this.capacity, this.room);
    if (length <= max) return length;
    throw new LayoutMismatchError(
      `Cannot read ${this.label} as its value must take at most ${max} bytes: its length word says ${length}`,
    );
  }

  /** Zeroes the last slice of what is in use, and returns whether more is left. */
  protected zeroSlice(): boolean {
    const used = this.#length;
    this.#shrink(used, Math.max(0, used - SLICE_BYTES));
    return used > SLICE_BYTES;
  }

  /** Leaves nothing behind of a value that has failed or is reset. */
  protected override zero(): void {
    const { words, index, buffer } = this;
    const byteOffset = this.byteOffset + OnceState.byteLength;
    // The word may have been overwritten
    const used = Math.min(
      words[index + LENGTH_WORD]! >>> 0,
      this.capacity,
      buffer.byteLength - byteOffset,
    );
    new Uint8Array(buffer, byteOffset, used).fill(0);
    words[index + LENGTH_WORD] = 0;
  }

  /** Throws unless the codec's values are views, which alone can be written through. */
  assertView(): void {
    const { view, tag } = this.#codec;
    if (view === true) return;
    throw new TypeError(
      `Cannot write to the value in place as its codec must be a view codec: current codec is ${tag}`,
    );
  }

  /** How many bytes of the slot are in use, as a guess: another agent may own the cell. */
  protected get used(): number {
    // Plain (lost-owner)
    return this.words[this.index + LENGTH_WORD]! >>> 0;
  }

  /** For the owner of the cell. */
  protected set used(used: number) {
    // Plain: I1
    this.words[this.index + LENGTH_WORD] = used;
  }
}

function allocatedTooLate(): TypeError {
  return new TypeError(
    "Cannot allocate as the initializer must be running: it has ended",
  );
}
