// Copyright 2026 the lazyinit authors. MIT license.
// This module is browser compatible.

import { assertCodec } from "./_checks.ts";
import { wordIndex } from "./_memory.ts";
import { encodeOpen, fixedSlot, type Start } from "./_slot.ts";
import type { Codec, Slot } from "./codec.ts";

/** The tags of the codecs whose values `Map` compares by what they are. */
const KEY_TAG = /^(?:string(?:\[\d+\])?|int32|uint32|float64|bigInt64|bool)$/;
const MIN_BYTE_LENGTH = 64;

/** Throws unless the values of `codec` can be keys. */
export function assertKeyCodec(codec: Codec<unknown>): void {
  assertCodec(codec, "keyCodec");
  if (KEY_TAG.test(codec.tag)) return;
  throw new TypeError(
    `Cannot use the codec as 'keyCodec' must be string(), int32, uint32, float64, bigInt64 or bool: current codec is ${codec.tag}`,
  );
}

/**
 * Keys as words. Two keys are equal in the sense of `Map` if and only if their words are
 * equal. To this end, words beyond a key's last byte are zero, and NaN and zero have one
 * form each.
 */
export class Keys<K> {
  readonly #codec: Codec<K>;
  /** Of a codec that is not open: it fills all of its bytes each time, and no others. */
  readonly #slot: Slot | undefined;
  #place: Start = scratch(MIN_BYTE_LENGTH);
  /** Of the last key that was encoded: its words, … */
  words: Int32Array = new Int32Array(this.#place.buffer);
  #bytes = new Uint8Array(this.#place.buffer);
  /** … how many they are, … */
  length = 0;
  /** … how many bytes of them it takes, … */
  byteLength = 0;
  /** … and what distinguishes it from most others. */
  hash = 0;

  constructor(codec: Codec<K>) {
    this.#codec = codec;
    if (codec.open === true) return;
    this.#slot = fixedSlot(this.#place, codec.byteLength);
    this.byteLength = codec.byteLength;
    this.length = Math.ceil(wordIndex(codec.byteLength));
  }

  /** Encodes a key, or throws as its codec does. */
  encode(key: K): void {
    if (this.#slot === undefined) this.#encodeOpen(key);
    else this.#codec.encode(canonical(key), this.#slot);
    this.hash = this.#hash();
  }

  #encodeOpen(key: K): void {
    const { words, length } = this;
    // No call, as there are few
    for (let i = 0; i < length; i++) words[i] = 0;
    // Of what is left if this fails
    this.length = words.length;
    if (typeof key === "string" && this.#encodeAscii(key)) {
      this.byteLength = key.length;
    } else {
      this.byteLength = encodeOpen(
        this.#codec,
        key,
        this.#place,
        (byteLength) => this.#reserve(byteLength),
      );
    }
    this.length = Math.ceil(wordIndex(this.byteLength));
  }

  /**
   * Writes a short string of ASCII and returns whether it is one. The codec does the same in
   * three times as long, as it needs a slot, which is a fifth of a first look-up.
   */
  #encodeAscii(key: string): boolean {
    const { words } = this;
    const { length } = key;
    if (
      length > words.byteLength || length > this.#codec.byteLength
    ) return false;
    for (let i = 0; i < length; i++) {
      const unit = key.charCodeAt(i);
      if (unit > 127) {
        words.fill(0);
        return false;
      }
      this.#bytes[i] = unit;
    }
    return true;
  }

  decode(place: Start, byteLength: number): K {
    return this.#codec.decode(fixedSlot(place, byteLength));
  }

  #reserve(byteLength: number): Start {
    if (byteLength > this.words.byteLength) {
      this.#place = scratch(2 ** Math.ceil(Math.log2(byteLength)));
      this.words = new Int32Array(this.#place.buffer);
      this.#bytes = new Uint8Array(this.#place.buffer);
    }
    return this.#place;
  }

  #hash(): number {
    const { words, length } = this;
    let hash = this.byteLength + 0x27d4eb2f;
    for (let i = 0; i < length; i++) {
      hash = Math.imul(hash ^ words[i]!, 0x9e3779b1);
      hash ^= hash >>> 15;
    }
    hash = Math.imul(hash, 0x85ebca77);
    return hash ^ hash >>> 13;
  }
}

/** A key as `Map` keeps it. */
export function canonical<K>(key: K): K {
  if (key === 0) return 0 as K;
  return Number.isNaN(key) ? NaN as K : key;
}

function scratch(byteLength: number): Start {
  return { buffer: new SharedArrayBuffer(byteLength), byteOffset: 0 };
}
