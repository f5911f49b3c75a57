// Copyright 2026 the lazyinit authors. MIT license.

import type { Mutant } from "./mutants.ts";

const ARENA = "_arena.ts";
const ATOMICS = "atomics.ts";
const BLOCK = "_block.ts";
const ENTRIES = "_entries.ts";
const ENTRY = "_entry.ts";
const KEYS = "_keys.ts";
const SEEN = "_seen.ts";

/** Faults that somebody could make in `LazyInitMap`, by the invariants at its top. */
export const mutants: readonly Mutant[] = [
  {
    name: "map: memory given out by a store (M1)",
    file: ARENA,
    from:
      "      const found = Atomics.compareExchange(\n        words,\n        this.#index,\n        used,\n        used + units,\n      ) >>> 0;\n",
    to:
      "      const found = used;\n      Atomics.store(words, this.#index, used + units);\n",
    scenarios: ["map-different-keys-2"],
  },
  {
    name: "map: memory given out beyond the bound",
    file: ARENA,
    from: "    if (byteLength > this.end) {\n",
    to: "    if (byteLength > this.end + 8) {\n",
    tests: ["lazy_init_map:LazyInitMap uses its memory"],
  },
  {
    name: "map: memory of others taken for its own",
    file: ARENA,
    from:
      "    return end <= this.#words.length && end <= wordIndex(this.end)\n",
    to: "    return end <= this.#words.length\n",
    tests: ["lazy_init_map:LazyInitMap notices values"],
  },
  {
    name: "map: memory that has grown not found",
    file: ARENA,
    from:
      "    if (end > this.#words.length) this.#words = wordsOf(this.buffer);\n",
    to: "",
    tests: ["lazy_init_map:LazyInitMap grows"],
  },
  {
    name: "map: entry linked by a store (M2)",
    file: ENTRIES,
    from:
      "      const first = (Atomics.compareExchange(\n        this.#words,\n        chain,\n        head / UNIT,\n        entry / UNIT,\n      ) >>> 0) * UNIT;\n",
    to:
      "      const first = head;\n      Atomics.store(this.#words, chain, entry / UNIT);\n",
    scenarios: ["map-colliding-keys-2"],
  },
  {
    name: "map: no second search after a lost race (M2)",
    file: ENTRIES,
    from: "      if (linked !== NOWHERE) return linked;\n",
    to: "",
    scenarios: ["map-equal-keys-2"],
  },
  {
    name: "map: second search stops before the first new entry (M2)",
    file: ENTRIES,
    from: "      const linked = this.#search(first, head);\n",
    to: "      const linked = this.#search(head, NOWHERE);\n",
    scenarios: ["map-equal-keys-2"],
  },
  {
    name: "map: next not set anew after a lost race (M3)",
    file: ENTRIES,
    from:
      "    for (;;) {\n      this.#wordsOf(entry)[wordIndex(entry) + NEXT_WORD] = head / UNIT;\n",
    to:
      "    this.#wordsOf(entry)[wordIndex(entry) + NEXT_WORD] = head / UNIT;\n    for (;;) {\n",
    scenarios: ["map-colliding-keys-2"],
  },
  {
    name: "map: next set after the entry is linked (M3)",
    file: ENTRIES,
    from: "      if (first === head) break;\n",
    to:
      "      if (first === head) {\n        this.#wordsOf(entry)[wordIndex(entry) + NEXT_WORD] = head / UNIT;\n        break;\n      }\n",
    scenarios: ["map-colliding-keys-2"],
  },
  {
    name: "map: first entry of a chain read plainly (M3)",
    file: ENTRIES,
    from: "    return (Atomics.load(this.#words, chain) >>> 0) * UNIT;\n",
    to: "    return (this.#words[chain]! >>> 0) * UNIT;\n",
    scenarios: ["map-equal-keys-2"],
  },
  {
    name: "map: keys not counted",
    file: ENTRIES,
    from: "    Atomics.add(this.#words, this.#place.countIndex, 1);\n",
    to: "",
    tests: ["lazy_init_map:LazyInitMap that is full"],
  },
  {
    name: "map: keys compared by their hashes alone (M2)",
    file: ENTRIES,
    from: "      if (keyWords[start + i] !== key[i]) return false;\n",
    to: "",
    tests: ["lazy_init_map:whose hashes are equal"],
  },
  {
    name: "map: chains without an end followed",
    file: ENTRIES,
    from:
      "    while (entry !== end && entry !== NOWHERE) {\n      if (left-- === 0) throw this.#overwritten();\n",
    to:
      "    while (entry !== end && entry !== NOWHERE) {\n      if (left-- === 0) return NOWHERE;\n",
    tests: ["lazy_init_map:chains without an end"],
  },
  {
    name: "map: no room in a block before its first value (M4)",
    file: ENTRY,
    from: "      setRoom(arena, moved, byteLength);\n",
    to: "",
    tests: ["lazy_init_map:LazyInitMap leaves nothing behind"],
  },
  {
    name: "map: no room in a block that comes with its entry (M4)",
    file: ENTRIES,
    from: "      setRoom(this.#arena, entry + block, room);\n",
    to: "",
    tests: ["lazy_init_map:LazyInitMap uses its memory"],
  },
  {
    name: "map: length of a value written to whichever block there is (M6)",
    file: ENTRY,
    from:
      "    const block = this.#ownBlock;\n    if (block !== 0) setUsed(this.#owner.arena, block, used);\n",
    to:
      "    const block = this.#block;\n    if (block !== 0) setUsed(this.#owner.arena, block, used);\n",
    scenarios: ["map-late-owner-2"],
  },
  {
    name: "map: length of a value that moves not taken along",
    file: ENTRY,
    from: "    setUsed(arena, moved, used);\n",
    to: "",
    tests: ["lazy_init_map:allocates again"],
  },
  {
    name: "map: value confirmed by a load (torn-decode)",
    file: SEEN,
    from:
      "    if (Atomics.compareExchange(words, index, word, word) !== word) {\n",
    to: "    if (Atomics.load(words, index) !== word) {\n",
    scenarios: ["map-reset-beside-readers-2"],
  },
  {
    name: "map: value decoded that is being made",
    file: SEEN,
    from:
      "    if ((word & PHASE_MASK) !== INITIALIZED || word === this.word) return false;\n",
    to: "    if (word === this.word) return false;\n",
    scenarios: ["map-readers-2"],
  },
  {
    name: "map: several references to one value",
    file: ENTRY,
    from: "      this.#seen.keep(value, word);\n",
    to: "",
    tests: ["lazy_init_map:LazyInitMap.get() returns the same reference"],
  },
  {
    name: "map: a value left behind in its old block",
    file: ENTRY,
    from: "    old.fill(0);\n",
    to: "",
    tests: ["lazy_init_map:LazyInitMap leaves nothing behind"],
  },
  {
    name: "map: a value that moves not taken along",
    file: ENTRY,
    from: "    new Uint8Array(buffer, moved + BLOCK_HEADER, used).set(old);\n",
    to: "",
    tests: ["lazy_init_map:LazyInitMap leaves nothing behind"],
  },
  {
    name: "map: a reset that leaves the value there (I3)",
    file: ENTRY,
    from: "    new Uint8Array(buffer, slot, used).fill(0);\n",
    to: "",
    tests: ["lazy_init_map:LazyInitMap writes a value"],
  },
  {
    name: "map: block of a lost owner kept by recover() (M6)",
    file: ATOMICS,
    from: "    if (taken) this.abandon();\n",
    to: "",
    scenarios: ["map-mover-declared-dead-2"],
  },
  {
    name: "map: block read after the look at the state (M6)",
    file: ENTRY,
    from:
      '    const block = this.#block;\n    // M6: in this order, or it could be the block of another owner\n    if (!this.ownedByThisAgent) throw this.lost("write to");\n    return block;\n',
    to:
      '    if (!this.ownedByThisAgent) throw this.lost("write to");\n    return this.#block;\n',
    scenarios: ["map-mover-declared-dead-2"],
  },
  {
    name: "map: block left behind without a look at the state (M6)",
    file: ENTRY,
    from: "      if (block === 0 || !this.ownedByThisAgent) return;\n",
    to: "      if (block === 0) return;\n",
    scenarios: ["map-recoverer-declared-dead-2"],
  },
  {
    name: "map: block named by a store (M6)",
    file: BLOCK,
    from:
      "  Atomics.compareExchange(\n    words,\n    index + BLOCK_WORD,\n    block / UNIT,\n    next / UNIT,\n  );\n",
    to:
      "  if (blockOf(words, index) === block) {\n    Atomics.store(words, index + BLOCK_WORD, next / UNIT);\n  }\n",
    scenarios: ["map-mover-declared-dead-2"],
  },
  {
    name: "map: no look after a move",
    file: ENTRY,
    from: "      nameBlock(this.words, this.index, block, moved);\n",
    to:
      "      nameBlock(this.words, this.index, block, moved);\n      return;\n",
    scenarios: ["map-late-first-owner-2"],
  },
  {
    name: "map: initializer runs before there is room",
    file: ENTRY,
    from: "      this.makeRoom(open === true ? 0 : byteLength);\n",
    to: "",
    tests: ["lazy_init_map:LazyInitMap whose memory is full says so when"],
  },
  {
    name: "map: length not held against the room of the block",
    file: BLOCK,
    from: "  if (length > room) return undefined;\n",
    to: "",
    tests: ["lazy_init_map:LazyInitMap notices a value"],
  },
  {
    name: "map: NaN and -0 not made one key",
    file: KEYS,
    from: "    else this.#codec.encode(canonical(key), this.#slot);\n",
    to: "    else this.#codec.encode(key, this.#slot);\n",
    tests: ["lazy_init_map:LazyInitMap compares keys"],
  },
  {
    name: "map: the last key shows through a shorter one",
    file: KEYS,
    from: "    for (let i = 0; i < length; i++) words[i] = 0;\n",
    to: "",
    tests: ["lazy_init_map:LazyInitMap keeps keys of string"],
  },
];
