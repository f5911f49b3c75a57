// Copyright 2026 the lazyinit authors. MIT license.

/** A fault that somebody could make in the modules. */
export interface Mutant {
  readonly name: string;
  readonly file: string;
  /** Stands in the file once, … */
  readonly from: string;
  /** … and is replaced by this. */
  readonly to: string;
  /** Which scenarios are asked first, by the beginning of their names. */
  readonly scenarios: readonly string[];
}

const ANNOUNCEMENT = "_announcement.ts";
const ATOMICS = "atomics.ts";
const CELL = "_cell.ts";
const DEADLOCK = "_deadlock.ts";
const LAZY = "lazy_init.ts";
const MUTEX = "mutex_lazy_init.ts";

export const mutants: readonly Mutant[] = [
  {
    name: "publish before write",
    file: LAZY,
    from: "      this.#codec.encode(value, slot);\n",
    to:
      "      this.#state.publish(begun);\n      this.#codec.encode(value, slot);\n",
    scenarios: ["init-once-race-2"],
  },
  {
    name: "publish before write, as the crate does: by begin()",
    file: ATOMICS,
    from: "const claim = this.#namesOwner ? claimant : INITIALIZING;",
    to: "const claim = INITIALIZED;",
    scenarios: ["reader-during-publication-2"],
  },
  {
    name: "no rollback on throw (LazyInit)",
    file: LAZY,
    from: "    zeroFill(this.#slot);\n    this.#state.rollback(begun);\n",
    to: "    zeroFill(this.#slot);\n",
    scenarios: ["call-once-failing-2"],
  },
  {
    name: "no rollback on throw (MutexLazyInit)",
    file: MUTEX,
    from: "      this.#state.rollback(begun);\n",
    to: "",
    scenarios: ["get-or-init-failing-once-2"],
  },
  {
    name: "missing notify on publish and rollback",
    file: ATOMICS,
    from: "    if (found !== word) return false;\n    this.wakeAll();\n",
    to:
      "    if (found !== word) return false;\n    if ((found & PHASE_MASK) !== INITIALIZING) this.wakeAll();\n",
    scenarios: ["reader-during-publication-2"],
  },
  {
    name: "missing notify on publish",
    file: ATOMICS,
    from: "    if (found !== word) return false;\n    this.wakeAll();\n",
    to:
      "    if (found !== word) return false;\n    if ((next & PHASE_MASK) !== INITIALIZED) this.wakeAll();\n",
    scenarios: ["reader-during-publication-2"],
  },
  {
    name: "missing notify on rollback",
    file: ATOMICS,
    from: "    if (found !== word) return false;\n    this.wakeAll();\n",
    to:
      "    if (found !== word) return false;\n    if ((found & PHASE_MASK) !== INITIALIZING || (next & PHASE_MASK) !== UNINITIALIZED) this.wakeAll();\n",
    scenarios: ["get-or-init-failing-once-2"],
  },
  {
    name: "missing notify on reset",
    file: ATOMICS,
    from: "    if (found !== word) return false;\n    this.wakeAll();\n",
    to:
      "    if (found !== word) return false;\n    if ((found & PHASE_MASK) !== INITIALIZED) this.wakeAll();\n",
    scenarios: [],
  },
  {
    name: "notify one instead of all (state)",
    file: ATOMICS,
    from:
      "    // I5: pairs with the wait() of everybody who has set the waiters bit\n    Atomics.notify(this.#words, this.#index);\n  }\n\n  /**\n   * Goes from initialized",
    to:
      "    Atomics.notify(this.#words, this.#index, 1);\n  }\n\n  /**\n   * Goes from initialized",
    scenarios: ["reader-during-publication-3", "get-or-init-3"],
  },
  {
    name: "notify one instead of all (mutex)",
    file: ATOMICS,
    from:
      "        if (word & MUTEX_WAITERS) Atomics.notify(words, this.#index);",
    to:
      "        if (word & MUTEX_WAITERS) Atomics.notify(words, this.#index, 1);",
    scenarios: ["mutex-3", "aborted-lock"],
  },
  {
    name: "waiters bit dropped by begin()",
    file: ATOMICS,
    from: "        claim | waiters,\n",
    to: "        claim,\n",
    scenarios: ["waiters-through-a-failure-2"],
  },
  {
    name: "waiters bit not set before the sleep",
    file: ATOMICS,
    from: "      word,\n      word | STATE_WAITERS,\n    ) === word;",
    to: "      word,\n      word,\n    ) === word;",
    scenarios: [],
  },
  {
    name: "unlock without wake",
    file: ATOMICS,
    from:
      "        if (word & MUTEX_WAITERS) Atomics.notify(words, this.#index);\n",
    to: "",
    scenarios: ["mutex-2"],
  },
  {
    name: "unlock by whoever",
    file: ATOMICS,
    from: "    while (this.#isOf(word)) {\n",
    to: "    while (isHeld(word)) {\n",
    scenarios: [
      "holder-declared-dead-2",
      "owner-declared-dead-MutexLazyInit-3",
    ],
  },
  {
    name: "no generation bump by reset()",
    file: ATOMICS,
    from:
      "      this.#replace(word, nextGeneration(word >>> GENERATION_SHIFT));\n",
    to:
      "      this.#replace(word, word >>> GENERATION_SHIFT << GENERATION_SHIFT);\n",
    scenarios: ["reset-and-readers-2"],
  },
  {
    name: "no generation bump by revoke()",
    file: ATOMICS,
    from: "      nextGeneration(word >>> GENERATION_SHIFT) | phase,\n",
    to: "      word >>> GENERATION_SHIFT << GENERATION_SHIFT | phase,\n",
    scenarios: ["owner-declared-dead-MutexLazyInit-3"],
  },
  {
    name: "no re-check after decode",
    file: MUTEX,
    from: "        if (!this.#state.confirm(word)) continue;\n",
    to: "",
    scenarios: ["reset-and-readers-2"],
  },
  {
    name: "cached value kept over reset",
    file: MUTEX,
    from:
      "    return this.#words[this.#index] === this.#word ? this.#value : this.#load();",
    to: "    return this.#word !== undefined ? this.#value : this.#load();",
    scenarios: ["reset-and-readers-2"],
  },
  {
    name: "zero-fill skipped by reset()",
    file: MUTEX,
    from:
      "      if (this.#mutex.heldByThisAgent) zeroFill(this.#slot);\n      return true;\n",
    to: "      return true;\n",
    scenarios: ["reset-and-get-or-init-3"],
  },
  {
    name: "zero-fill skipped on throw",
    file: LAZY,
    from: "    zeroFill(this.#slot);\n    this.#state.rollback(begun);\n",
    to: "    this.#state.rollback(begun);\n",
    scenarios: ["call-once-failing-2"],
  },
  {
    name: "zero-fill before the reset of the state",
    file: MUTEX,
    from: "      if (!held || !this.#state.reset(word)) {\n",
    to:
      "      if (held) zeroFill(this.#slot);\n      if (!held || !this.#state.reset(word)) {\n",
    scenarios: ["reset-and-readers-2"],
  },
  {
    name: "owner not cleared by a failure (mutex kept)",
    file: MUTEX,
    from: "    token.unlock();\n    return failure;\n",
    to: "    return failure;\n",
    scenarios: ["get-or-init-failing-once-2"],
  },
  {
    name: "owner not cleared by a publication (mutex kept)",
    file: MUTEX,
    from: "    this.#value = stored;\n    token.unlock();\n",
    to: "    this.#value = stored;\n",
    scenarios: ["reset-and-get-or-init-3"],
  },
  {
    name: "begins without the mutex",
    file: MUTEX,
    from: "    if (token === null) return undefined;\n",
    to: "",
    scenarios: ["reset-and-get-or-init-3"],
  },
  {
    name: "resets without the mutex",
    file: MUTEX,
    from: "    const token = this.#mutex.lockIfAvailable() ?? blockUntil(",
    to:
      "    const token = { unlock() {} } as unknown as UnlockToken ?? blockUntil(",
    scenarios: ["reset-and-get-or-init-3"],
  },
  {
    name: "publishes a cell that was taken",
    file: ATOMICS,
    from:
      "    const found = Atomics.compareExchange(this.#words, this.#index, word, next);\n    if (found !== word) return false;\n",
    to: "    Atomics.store(this.#words, this.#index, next);\n",
    scenarios: ["owner-declared-dead-LazyInit-2"],
  },
  {
    name: "begins with a mutex that was taken",
    file: MUTEX,
    from: "      begun = this.#state.begin(word);\n",
    to: "      begun = this.#state.begin();\n",
    scenarios: ["owner-declared-dead-MutexLazyInit-3"],
  },
  {
    name: "resets with a mutex that was taken",
    file: MUTEX,
    from: "const held = this.#mutex.heldByThisAgent;",
    to: "const held = true;",
    scenarios: ["resetter-declared-dead-3"],
  },
  {
    name: "token not used up by the next lock",
    file: ATOMICS,
    from: "    if (this.#token !== undefined) useUp(this.#token);\n",
    to: "",
    scenarios: [],
  },
  {
    name: "forgets with the next lock how often the mutex was taken",
    file: ATOMICS,
    from: "    const lock = holder | word & MUTEX_LOSSES;\n",
    to: "    const lock = holder;\n",
    scenarios: ["holder-declared-dead-2"],
  },
  {
    name: "revokes nothing of an initialized cell",
    file: MUTEX,
    from: "        } while (!this.#state.revoke(word));\n",
    to:
      '        } while (phaseOf(word) !== "initialized" && !this.#state.revoke(word));\n',
    scenarios: ["resetter-declared-dead-2"],
  },
  {
    name: "revokes nothing of an uninitialized cell",
    file: MUTEX,
    from: "        } while (!this.#state.revoke(word));\n",
    to:
      '        } while (phaseOf(word) !== "uninitialized" && !this.#state.revoke(word));\n',
    scenarios: ["owner-declared-dead-before-it-dies-2"],
  },
  {
    name: "revokes once only",
    file: MUTEX,
    from: "        } while (!this.#state.revoke(word));\n",
    to:
      "          this.#state.revoke(word);\n        } while (word === NaN);\n",
    scenarios: ["owner-declared-dead-MutexLazyInit-2"],
  },
  {
    name: "sets the generation back",
    file: ATOMICS,
    from:
      "    Atomics.compareExchange(\n      this.#words,\n      this.#index + GENERATION_WORD,\n      generation,\n",
    to:
      "    Atomics.store(\n      this.#words,\n      this.#index + GENERATION_WORD,\n",
    scenarios: ["recoverer-declared-dead-LazyInit-2"],
  },
  {
    name: "begins in whichever generation",
    file: ATOMICS,
    from: "      if ((found ^ word) !== STATE_WAITERS) return false;\n",
    to: '      if (phaseOf(found) !== "uninitialized") return false;\n',
    scenarios: ["owner-declared-dead-before-it-dies-2"],
  },
  {
    name: "begins only if nobody has come to wait",
    file: ATOMICS,
    from: "      if ((found ^ word) !== STATE_WAITERS) return false;\n",
    to: "      if (found !== word) return false;\n",
    scenarios: [],
  },
  {
    name: "resets in whichever generation",
    file: MUTEX,
    from:
      "      if (!held || !this.#state.reset(word)) {\n        throw ownerLost",
    to: "      if (!held || !this.#state.reset()) {\n        throw ownerLost",
    scenarios: ["resetter-declared-dead"],
  },
  {
    name: "revokes whatever has begun since",
    file: ATOMICS,
    from:
      "    return this.#replace(\n      word,\n      nextGeneration(word >>> GENERATION_SHIFT) | phase,\n",
    to:
      "    return this.#replace(\n      this.load(),\n      nextGeneration(word >>> GENERATION_SHIFT) | phase,\n",
    scenarios: ["recoverer-declared-dead-MutexLazyInit"],
  },
  {
    name: "revokes a LazyInit that another agent has taken",
    file: ATOMICS,
    from: "    if (!this.ownedByThisAgent) return false;\n    const next",
    to: "    const next",
    scenarios: ["recoverer-declared-dead-LazyInit"],
  },
  {
    name: "recovers a MutexLazyInit that another agent has taken",
    file: MUTEX,
    from: "          if (!this.#mutex.heldByThisAgent) return;\n",
    to: "",
    scenarios: ["recoverer-declared-dead-MutexLazyInit"],
  },
  {
    name: "does not tell a lost lock from a later one",
    file: ATOMICS,
    from: "const lock = holder | word + MUTEX_LOSS & MUTEX_LOSSES;",
    to: "const lock = holder | word & MUTEX_LOSSES;",
    scenarios: ["holder-declared-dead-2"],
  },
  {
    name: "recovers without zeroing the slot",
    file: MUTEX,
    from:
      '        if (phaseOf(word) !== "initialized" && this.#mutex.heldByThisAgent) {\n          zeroFill(this.#slot);\n        }\n',
    to: "",
    scenarios: ["dead-owner-and-waiters-2", "dead-resetter-2"],
  },
  {
    name: "recovers without a notification in the place of the dead",
    file: MUTEX,
    from:
      "      // In place of an agent that has ended before it could\n      this.#state.wakeAll();\n",
    to: "",
    scenarios: ["dead-owner-and-waiters-3"],
  },
  {
    name: "asks for another Web Lock for each initializer",
    file: ANNOUNCEMENT,
    from: "globals[HOLD] ??= requestHold(agentId);",
    to: "requestHold(agentId);",
    scenarios: [],
  },
  {
    name: "releases the Web Lock with the first initializer that ends",
    file: ANNOUNCEMENT,
    from: "if (hold.holders.size === 0) hold.release();",
    to: "hold.release();",
    scenarios: [],
  },
  {
    name: "never releases the Web Lock",
    file: ANNOUNCEMENT,
    from: "      resolve();\n",
    to: "",
    scenarios: [],
  },
  {
    name: "takes a Web Lock that was released for held",
    file: ANNOUNCEMENT,
    from: "      forget();\n      // If",
    to: "      // If",
    scenarios: [],
  },
  {
    name: "watches alone",
    file: ANNOUNCEMENT,
    from: '{ mode: "shared", signal: request.signal }',
    to: "{ signal: request.signal }",
    scenarios: [],
  },
  {
    name: "withdraws no watch",
    file: ANNOUNCEMENT,
    from: "    request.abort();\n",
    to: "",
    scenarios: [],
  },
  {
    name: "announces without a Web Lock",
    file: ATOMICS,
    from: "    if (!holdsAgentLock()) return false;\n",
    to: "",
    scenarios: [],
  },
  {
    name: "announces an initializer to nobody who waits already",
    file: MUTEX,
    from:
      "        this.#mutex.markAnnounced();\n        this.#state.wakeAll();\n",
    to: "        this.#mutex.markAnnounced();\n",
    scenarios: [],
  },
  {
    name: "takes over from an agent that goes on unannounced",
    file: MUTEX,
    from: "if (this.#mutex.announcedOwner === agentId) this.recover(agentId);",
    to: "if (agentId > 0) this.recover(agentId);",
    scenarios: [],
  },
  {
    name: "wakes nobody in the place of an agent that has unlocked",
    file: MUTEX,
    from: "      else this.#wakeAll();\n",
    to: "",
    scenarios: [],
  },
  {
    name: "believes no probe that comes round",
    file: DEADLOCK,
    from: "const LAST_LEVEL = 3;",
    to: "const LAST_LEVEL = -1;",
    scenarios: [],
  },
  {
    name: "passes no probe on",
    file: DEADLOCK,
    from:
      "write(run, Math.max(greatest - 1, run.probe << HOPS_BITS | MAX_HOPS));",
    to: "write(run, run.probe << HOPS_BITS | MAX_HOPS);",
    scenarios: [],
  },
  {
    name: "passes the last probe on instead of the greatest",
    file: DEADLOCK,
    from: "greatest = Math.max(greatest, seen);",
    to: "greatest = seen;",
    scenarios: [],
  },
  {
    name: "takes every probe for its own",
    file: DEADLOCK,
    from: "if (seen >>> HOPS_BITS === run.probe) comeRound",
    to: "if (seen !== 0) comeRound",
    scenarios: [],
  },
  {
    name: "draws no probe anew",
    file: DEADLOCK,
    from: "Math.random() * LIFETIME < 1",
    to: "LIFETIME < 1",
    scenarios: [],
  },
  {
    name: "blocks without regard to the agent's other initializers",
    file: DEADLOCK,
    from:
      "  const runs = unfinishedRuns();\n  if (runs.length === 0) return blockAlone(block);\n",
    to:
      "  const runs = currentRuns();\n  if (runs.length === 0) return blockAlone(block);\n",
    scenarios: [],
  },
  {
    name: "keeps initializers that have finished",
    file: "_running.ts",
    from: "  run.outer = unfinishedFrom(run.outer);\n",
    to: "",
    scenarios: [],
  },
  {
    name: "asks not whether the agent may block",
    file: CELL,
    from: "    if (!canBlock()) throw cannotBlock(alternative);\n",
    to: "",
    scenarios: [],
  },
];
