// Copyright 2026 the lazyinit authors. MIT license.
// deno-lint-ignore-file no-console

import { isMainThread } from "node:worker_threads";
import {
  type LazyInitHandle,
  MutexLazyInit,
  struct,
  typedArray,
} from "@lazyinit/lazyinit";
import { Piscina } from "piscina";

/** A vocabulary in three flat arrays, which all threads read in place. */
const codec = struct({
  /** The bytes of all tokens, one after the other. */
  bytes: typedArray(Uint8Array),
  /** Where each token begins, and the last one ends. */
  offsets: typedArray(Uint32Array),
  /** A hash table of tokens plus 1, with 0 for what is empty. */
  table: typedArray(Uint32Array),
});

interface Vocabulary {
  readonly bytes: Readonly<Uint8Array>;
  readonly offsets: Readonly<Uint32Array>;
  readonly table: Readonly<Uint32Array>;
}

interface Task {
  readonly handle: LazyInitHandle;
  readonly text: string;
}

function hash(bytes: Readonly<Uint8Array>, start: number, end: number): number {
  let hash = 0x811c9dc5;
  for (let i = start; i < end; i++) {
    hash = Math.imul(hash ^ bytes[i]!, 0x01000193);
  }
  return hash >>> 0;
}

async function loadVocabulary(): Promise<Vocabulary> {
  console.log("Loading the vocabulary"); // in one worker only
  const { default: ranks } = await import("gpt-tokenizer/bpeRanks/r50k_base");
  const encoder = new TextEncoder();
  const tokens = ranks.map((token) =>
    typeof token === "string" ? encoder.encode(token) : Uint8Array.from(token)
  );
  const offsets = new Uint32Array(tokens.length + 1);
  tokens.forEach(({ length }, i) => offsets[i + 1] = offsets[i]! + length);
  const bytes = new Uint8Array(offsets.at(-1)!);
  tokens.forEach((token, i) => bytes.set(token, offsets[i]));
  const table = new Uint32Array(2 ** 17);
  for (let token = 0; token < tokens.length; token++) {
    let at = hash(bytes, offsets[token]!, offsets[token + 1]!) % table.length;
    while (table[at] !== 0) at = (at + 1) % table.length;
    table[at] = token + 1;
  }
  return { bytes, offsets, table };
}

/** The token that is these bytes; its number is its rank, the lowest is merged first. */
function find(
  { bytes, offsets, table }: Vocabulary,
  piece: Uint8Array,
): number | undefined {
  let at = hash(piece, 0, piece.length) % table.length;
  for (; table[at] !== 0; at = (at + 1) % table.length) {
    const token = table[at]! - 1;
    const start = offsets[token]!;
    if (
      offsets[token + 1]! - start === piece.length &&
      piece.every((byte, i) => bytes[start + i] === byte)
    ) return token;
  }
  return undefined;
}

function encodeWord(vocabulary: Vocabulary, word: Uint8Array): number[] {
  const ends = Array.from(word, (_, i) => i + 1);
  const rank = (i: number) =>
    find(vocabulary, word.subarray(ends[i - 1] ?? 0, ends[i + 1])) ?? Infinity;
  for (;;) {
    let best = Infinity;
    let position = -1;
    for (let i = 0; i + 1 < ends.length; i++) {
      const found = rank(i);
      if (found < best) [best, position] = [found, i];
    }
    if (position < 0) break;
    ends.splice(position, 1);
  }
  return ends.map((end, i) =>
    find(vocabulary, word.subarray(ends[i - 1] ?? 0, end))!
  );
}

/** What the pool calls in its workers. */
export default async function tokenize({ handle, text }: Task) {
  const cell = MutexLazyInit.from(handle, codec);
  const vocabulary = await cell.getOrInitAsync(loadVocabulary);
  const words = text.match(/ ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+/gu) ?? [];
  const encoder = new TextEncoder();
  return words.flatMap((word) => encodeWord(vocabulary, encoder.encode(word)));
}

if (isMainThread) {
  const pool = new Piscina({ filename: import.meta.url, maxThreads: 4 });
  const vocabulary = new MutexLazyInit(codec, { name: "vocabulary" });
  const texts = Array(8).fill("One vocabulary for all workers of the pool.");
  const answers = await Promise.all(
    texts.map((text) => pool.run({ handle: vocabulary.handle, text })),
  );
  for (const tokens of answers) console.log(...tokens);
  await pool.destroy();
}
