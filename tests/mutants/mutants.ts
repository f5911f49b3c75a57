// Copyright 2026 the lazyinit authors. MIT license.

/** A fault that somebody could make in the modules. */
export interface Mutant {
  readonly name: string;
  readonly file: string;
  /** Stands in the file once, … */
  readonly from: string;
  /** … and is replaced by this. */
  readonly to: string;
  /** Which scenarios are asked first, by the beginning of their names, … */
  readonly scenarios?: readonly string[];
  /**
   * … and which test files then, by their names without `_test.ts`; after a colon, which
   * of their tests.
   */
  readonly tests?: readonly string[];
}

const AGENT = "_agent.ts";
const ATOMICS = "atomics.ts";
const CELL = "_cell.ts";
const DEADLOCK = "_deadlock.ts";
const LAYOUT = "_layout.ts";
const MUTEX = "mutex_lazy_init.ts";
const RESETTING = "_resetting.ts";
const RUNNING = "_running.ts";
const VALUE = "_value.ts";
const WAITING = "_waiting.ts";

export const mutants: readonly Mutant[] = [
  {
    name: "sleeps beside a cell that it might have",
    file: CELL,
    from: "      if (wantsCell && !this.isOwned(word)) return undefined;\n",
    to: "",
    scenarios: ["get-or-init-failing-twice-2"],
  },
  {
    name: "publish before write",
    file: VALUE,
    from:
      "      codec.encode(value, slot);\n      return codec.decode(slot);\n",
    to:
      "      queueMicrotask(() => codec.encode(value, slot));\n      return value;\n",
    scenarios: ["init-once-race-2"],
  },
  {
    name: "publish before write, as the crate does: by begin()",
    file: ATOMICS,
    from: "        claimant() | waiters,\n",
    to:
      "        (bits === UNINITIALIZED ? word | INITIALIZED : claimant()) | waiters,\n",
    scenarios: ["reader-during-publication-2"],
  },
  {
    name: "publish by a plain store",
    file: ATOMICS,
    from:
      "      const found = Atomics.compareExchange(words, index, word, next);\n",
    to:
      "      const found = words[index]!;\n      if (found === word) words[index] = next;\n",
    scenarios: ["init-once-race-2"],
  },
  {
    name: "no rollback on throw",
    file: CELL,
    from: "    const isLost = !this.rollbackRun(generation);\n",
    to: "    const isLost = false;\n",
    scenarios: ["call-once-failing-2", "get-or-init-failing-once-2"],
  },
  {
    name: "missing notify on publish and rollback",
    file: ATOMICS,
    from:
      "        if ((word & STATE_WAITERS) !== 0) Atomics.notify(words, index);\n",
    to: "",
    scenarios: ["reader-during-publication-2"],
  },
  {
    name: "missing notify on publish",
    file: ATOMICS,
    from:
      "        if ((word & STATE_WAITERS) !== 0) Atomics.notify(words, index);\n",
    to:
      "        if ((word & STATE_WAITERS) !== 0 && (next & PHASE_MASK) !== INITIALIZED) Atomics.notify(words, index);\n",
    scenarios: ["reader-during-publication-2"],
  },
  {
    name: "missing notify on rollback",
    file: ATOMICS,
    from:
      "        if ((word & STATE_WAITERS) !== 0) Atomics.notify(words, index);\n",
    to:
      "        if ((word & STATE_WAITERS) !== 0 && (next & PHASE_MASK) === INITIALIZED) Atomics.notify(words, index);\n",
    scenarios: ["get-or-init-failing-once-2"],
  },
  {
    name: "missing notify on reset",
    file: ATOMICS,
    from: "    return this.rollbackRun(next(generation));\n",
    to:
      "    const word = this.load();\n    return (word & OWNED_MASK) === OWNED && Atomics.compareExchange(\n          this.words,\n          this.index,\n          word,\n          next(generation) << GENERATION_SHIFT,\n        ) === word;\n",
    scenarios: ["reset-and-get-or-init-2"],
  },
  {
    name: "notify one instead of all (state)",
    file: ATOMICS,
    from:
      "        if ((word & STATE_WAITERS) !== 0) Atomics.notify(words, index);\n",
    to:
      "        if ((word & STATE_WAITERS) !== 0) Atomics.notify(words, index, 1);\n",
    scenarios: ["reader-during-publication-3"],
  },
  {
    name: "notify one instead of all (mutex)",
    file: ATOMICS,
    from:
      "        if (word & MUTEX_WAITERS) {\n          Atomics.notify(words, this.#index);\n",
    to:
      "        if (word & MUTEX_WAITERS) {\n          Atomics.notify(words, this.#index, 1);\n",
    scenarios: ["mutex-3", "aborted-lock"],
  },
  {
    name: "waiters bit dropped by begin()",
    file: ATOMICS,
    from: "        claimant() | waiters,\n",
    to: "        claimant(),\n",
    scenarios: ["waiters-through-a-failure-2"],
  },
  {
    name: "waiters bit not set before the sleep (state)",
    file: ATOMICS,
    from: "      word,\n      word | STATE_WAITERS,\n    ) === word;",
    to: "      word,\n      word,\n    ) === word;",
    scenarios: ["reader-during-publication-2"],
  },
  {
    name: "waiters bit not set before the sleep (mutex)",
    file: ATOMICS,
    from: "      const announced = word | MUTEX_WAITERS;\n",
    to: "      const announced = word;\n",
    scenarios: ["mutex-2"],
  },
  {
    name: "sleeps on the word without the waiters bit (state)",
    file: ATOMICS,
    from:
      "    return Atomics.wait(this.words, this.index, word | STATE_WAITERS, timeout);",
    to: "    return Atomics.wait(this.words, this.index, word, timeout);",
    tests: ["waiting:Waits"],
  },
  {
    name: "sleeps on the word without the waiters bit (state, asynchronously)",
    file: ATOMICS,
    from: "    const value = word | STATE_WAITERS;\n",
    to: "    const value = word;\n",
    tests: ["sleeping"],
  },
  {
    name: "sleeps on the word without the waiters bit (mutex)",
    file: ATOMICS,
    from: "      if (found === word) return announced;\n",
    to: "      if (found === word) return word;\n",
    tests: ["waiting:Waits"],
  },
  {
    name: "unlock without wake",
    file: ATOMICS,
    from:
      "        if (word & MUTEX_WAITERS) {\n          Atomics.notify(words, this.#index);\n",
    to: "        if (word & MUTEX_WAITERS) {\n",
    scenarios: ["mutex-2"],
  },
  {
    name: "unlock by whoever",
    file: ATOMICS,
    from: "      if (!this.#isOf(found)) return false;\n",
    to: "      if (!isHeld(found)) return false;\n",
    scenarios: ["holder-declared-dead-2"],
  },
  {
    name: "begins only if nobody has come to wait",
    file: ATOMICS,
    from:
      "        return word;\n      }\n      word = found;\n    }\n    phaseOf(word);\n",
    to:
      "        return word;\n      }\n      return NOT_TAKEN;\n    }\n    phaseOf(word);\n",
    scenarios: ["waiters-through-a-failure-2"],
  },
  {
    name: "begins by a store",
    file: ATOMICS,
    from:
      "      const found = Atomics.compareExchange(\n        words,\n        index,\n        word,\n        claimant() | waiters,\n      );\n      if (found === word) {\n        // Those",
    to:
      "      Atomics.store(words, index, claimant() | waiters);\n      const found = word;\n      if (found === word) {\n        // Those",
    scenarios: ["init-once-race-2"],
  },
  {
    name: "begins and recovers whatever it finds instead",
    file: ATOMICS,
    from: "    while ((word & mask) === bits) {\n",
    to: "    for (const fits = (word & mask) === bits; fits;) {\n",
    scenarios: ["init-once-race-2"],
  },
  {
    name: "resets without taking the cell",
    file: ATOMICS,
    from:
      "    const generation = this.tryBeginReset();\n    if (generation === NOT_TAKEN) return false;\n    if (this.empty(generation)) return true;\n",
    to:
      "    const word = this.loadInitialized();\n    if (word === undefined) return false;\n    const generation = word >>> GENERATION_SHIFT;\n    this.zero();\n    const state = next(generation) << GENERATION_SHIFT;\n    Atomics.store(this.words, this.index + GENERATION_WORD, next(generation));\n    Atomics.compareExchange(this.words, this.index, word, state);\n    if (this.load() === state) return true;\n",
    scenarios: ["reset-and-readers-2"],
  },
  {
    name: "zero before the state changes",
    file: ATOMICS,
    from: "    const word = this.take(PHASE_MASK, INITIALIZED);\n",
    to:
      '    if (this.phase === "initialized") this.zero();\n    const word = this.take(PHASE_MASK, INITIALIZED);\n',
    scenarios: ["reset-and-readers-2"],
  },
  {
    name: "zero-fill skipped on throw",
    file: CELL,
    from: "    if (this.owns(generation)) this.zero();\n",
    to: "",
    scenarios: ["refused-halfway-2"],
  },
  {
    name: "zero-fill on throw of a cell that was taken",
    file: CELL,
    from: "    if (this.owns(generation)) this.zero();\n",
    to: "    this.zero();\n",
    tests: ["recover:from zeroing the slot"],
  },
  {
    name: "zero-fill after the rollback",
    file: CELL,
    from:
      "    if (this.owns(generation)) this.zero();\n    const isLost = !this.rollbackRun(generation);\n",
    to:
      "    const isLost = !this.rollbackRun(generation);\n    if (!isLost) this.zero();\n",
    scenarios: ["refused-halfway-2"],
  },
  {
    name: "zero-fill skipped by reset()",
    file: ATOMICS,
    from: "    if (this.empty(generation)) return true;\n",
    to:
      "    this.words[this.index + 5] = 0;\n    if (this.empty(generation)) return true;\n",
    scenarios: ["reset-and-get-or-init-2"],
  },
  {
    name: "recovers without zeroing the slot",
    file: ATOMICS,
    from: "    if (taken) this.empty(this.#loadGeneration());\n",
    to:
      "    if (taken) {\n      this.words[this.index + 5] = 0;\n      this.empty(this.#loadGeneration());\n    }\n",
    scenarios: ["dead-owner-2"],
  },
  {
    name: "recovers without a notification in the place of the dead",
    file: ATOMICS,
    from: "    this.notifyAll();\n    return taken;\n",
    to: "    return taken;\n",
    scenarios: ["dead-owner-and-waiters-3"],
  },
  {
    name: "no generation bump by reset()",
    file: ATOMICS,
    from: "    if (this.empty(generation)) return true;\n",
    to:
      "    this.zero();\n    if (this.rollbackRun(generation)) return true;\n",
    scenarios: ["reset-and-readers-2"],
  },
  {
    name: "no generation bump by recover()",
    file: ATOMICS,
    from: "    if (taken) this.empty(this.#loadGeneration());\n",
    to:
      "    if (taken) {\n      this.zero();\n      this.rollbackRun(this.#loadGeneration());\n    }\n",
    scenarios: ["owner-declared-dead-MutexLazyInit-2"],
  },
  {
    name: "generation that does not wrap",
    file: ATOMICS,
    from: "  return generation + 1 & GENERATION_MASK;\n",
    to: "  return generation + 1;\n",
    tests: ["atomics"],
  },
  {
    name: "sets the generation back",
    file: ATOMICS,
    from:
      "    Atomics.compareExchange(\n      this.words,\n      this.index + GENERATION_WORD,\n      generation,\n      next(generation),\n    );\n",
    to:
      "    Atomics.store(\n      this.words,\n      this.index + GENERATION_WORD,\n      next(generation),\n    );\n",
    scenarios: ["recoverer-declared-dead-LazyInit-2"],
  },
  {
    name: "empties a cell that was taken over in turn",
    file: ATOMICS,
    from: "    if (!this.ownedByThisAgent) return false;\n    this.zero();\n",
    to: "    this.zero();\n",
    scenarios: [
      "resetter-declared-dead-2",
      "recoverer-declared-dead-MutexLazyInit",
    ],
  },
  {
    name: "publishes a cell that was taken",
    file: ATOMICS,
    from: "      if ((found & OWNED_MASK) !== OWNED) return false;\n",
    to: "",
    scenarios: ["owner-declared-dead-LazyInit-2"],
  },
  {
    name: "publishes a later run of the same agent",
    file: ATOMICS,
    from:
      "    if (words[index + GENERATION_WORD] !== generation) return false;\n",
    to: "",
    tests: ["recover:keeps an earlier run"],
  },
  {
    name: "takes a later run of the same agent for the run that asks",
    file: ATOMICS,
    from:
      "    return (Atomics.load(this.words, this.index) & OWNED_MASK) === OWNED &&\n      this.words[this.index + GENERATION_WORD] === generation;\n",
    to:
      "    return (Atomics.load(this.words, this.index) & OWNED_MASK) === OWNED;\n",
    tests: ["recover:keeps an earlier run"],
  },
  {
    name: "takes a cell without room on the stack for giving it back",
    file: ATOMICS,
    from: "    useStack(false);\n    // Plain (stale-state)",
    to: "    // Plain (stale-state)",
    tests: ["stack"],
  },
  {
    name: "no re-check after decode",
    file: VALUE,
    from: "      return this.confirm(word) ? { result } : undefined;\n",
    to: "      return { result };\n",
    scenarios: ["reset-and-readers-2"],
  },
  {
    name: "confirm by a plain load",
    file: ATOMICS,
    from:
      "    return Atomics.compareExchange(this.words, this.index, word, word) === word;\n",
    to: "    return this.words[this.index] === word;\n",
    scenarios: ["reset-and-readers-2"],
  },
  {
    name: "confirm by an atomic load",
    file: ATOMICS,
    from:
      "    return Atomics.compareExchange(this.words, this.index, word, word) === word;\n",
    to: "    return this.load() === word;\n",
    scenarios: ["reset-and-readers-2"],
  },
  {
    name: "cached value kept over reset",
    file: MUTEX,
    from:
      "    return this.#state[0] === this.#word ? this.#value : this.#load();",
    to: "    return this.#word !== undefined ? this.#value : this.#load();",
    scenarios: ["reset-and-readers-2"],
  },
  {
    name: "decodes without a look at the state",
    file: ATOMICS,
    from:
      '    const word = this.load();\n    return phaseOf(word) === "initialized" ? word : undefined;\n',
    to:
      '    const word = this.words[this.index]!;\n    return phaseOf(word) === "initialized" ? word : undefined;\n',
    scenarios: ["reader-during-publication-2"],
  },
  {
    name: "claim without the layout word",
    file: LAYOUT,
    from:
      "  const found = Atomics.compareExchange(words, index, 0, claimed);\n",
    to: "  const found = claimed === 0 ? Atomics.load(words, index) : 0;\n",
    scenarios: ["placing-two-kinds-2"],
  },
  {
    name: "claim by a store of the layout word",
    file: LAYOUT,
    from:
      "  const found = Atomics.compareExchange(words, index, 0, claimed);\n",
    to:
      "  const found = Atomics.load(words, index);\n  if (found === 0 && claimed !== 0) Atomics.store(words, index, layout);\n",
    scenarios: ["placing-two-kinds-2"],
  },
  {
    name: "second look at the layout word by a load",
    file: LAYOUT,
    from:
      "  const found = Atomics.compareExchange(words, index, 0, claimed);\n",
    to:
      "  const found = claimed === 0\n    ? Atomics.load(words, index)\n    : Atomics.compareExchange(words, index, 0, layout);\n",
    scenarios: ["placing-2"],
  },
  {
    name: "token not used up by the next lock",
    file: ATOMICS,
    from:
      "    if (words === undefined || this.#latest.token !== this) return false;\n",
    to: "    if (words === undefined) return false;\n",
    tests: ["recover:worthless"],
  },
  {
    name: "forgets with the next lock how often the mutex was taken",
    file: ATOMICS,
    from: "    const lock = holder() | word & MUTEX_LOSSES;\n",
    to: "    const lock = holder();\n",
    scenarios: ["holder-declared-dead-2"],
  },
  {
    name: "does not tell a lost lock from a later one",
    file: ATOMICS,
    from: "const lock = holder() | word + MUTEX_LOSS & MUTEX_LOSSES;",
    to: "const lock = holder() | word & MUTEX_LOSSES;",
    scenarios: ["holder-declared-dead-2"],
  },
  {
    name: "frees the lock of the dead without waking anyone",
    file: ATOMICS,
    from: "    } finally {\n      this.#notifyAll();\n    }\n",
    to: "    } finally {\n      this.#load();\n    }\n",
    scenarios: ["dead-holder-of-a-mutex-3"],
  },
  {
    name: "sleeps without a timer that keeps the event loop alive",
    file: WAITING,
    from: "  } else timer ??= startTimer(look, LOOK_INTERVAL);\n",
    to: "  }\n",
    tests: ["sleeping"],
  },
  {
    name: "leaves the timer of an asynchronous sleep behind",
    file: WAITING,
    from: "  if (open.size === 0) {\n    stopTimer(timer);\n",
    to: "  if (open.size === 0) {\n",
    tests: ["waiting:pile up"],
  },
  {
    name: "leaves the timer of the deadlock search behind",
    file: DEADLOCK,
    from: "    stopTimer(timer);\n",
    to: "",
    tests: ["sleeping"],
  },
  {
    name: "leaves a pending waitAsync behind",
    file: WAITING,
    from:
      "    // Pairs with the wait of open()\n    Atomics.notify(this.#words, this.#index);\n",
    to: "",
    tests: ["waiting:pile up"],
  },
  {
    name: "ends the sleep of others who sleep on the word",
    file: WAITING,
    from: "    if (this.#sleepers.size > 0) return;\n",
    to: "",
    scenarios: ["aborted-waiter-beside-live-ones-2"],
    tests: ["sleeping"],
  },
  {
    name: "sleeps for each task",
    file: WAITING,
    from: "  if (found?.value === value) return found;\n",
    to: "",
    tests: ["sleeping"],
  },
  {
    name: "lets all tasks in line sleep on the word",
    file: WAITING,
    from: "  if (first === step) step();\n",
    to: "  step();\n",
    tests: ["waiting:twice as many"],
  },
  {
    name: "overtakes the tasks in line",
    file: MUTEX,
    from: "    const first = this.#cell.hasLine && !this.#refresh()\n",
    to: "    const first = this.#cell.hasLine && !this.#cell\n",
    tests: ["waiting:starvation"],
  },
  {
    name: "overtakes the tasks in line for a mutex",
    file: ATOMICS,
    from: "    const isNext = !hasLine(this.#words, this.#index);\n",
    to: "    const isNext = true;\n",
    tests: ["waiting:hands the mutex"],
  },
  {
    name: "hands a mutex to a task of its agent in a later turn",
    file: ATOMICS,
    from: "          wakeTasks(words, this.#index);\n",
    to: "",
    tests: ["waiting:hands the mutex"],
  },
  {
    name: "stands in line though there is a value",
    file: MUTEX,
    from: "    const first = this.#cell.hasLine && !this.#refresh()\n",
    to: "    const first = this.#cell.hasLine\n",
    tests: ["waiting:does not wait in line"],
  },
  {
    name: "gets in line though it was aborted before",
    file: CELL,
    from:
      "    throwIfAborted(signal);\n    // Taken once, as browsers cannot say it",
    to: "    // Taken once, as browsers cannot say it",
    tests: ["waiting:does not wait in line"],
  },
  {
    name: "leaves the line without calling the next",
    file: WAITING,
    from: "    else next();\n",
    to: "",
    scenarios: ["aborted-lock-beside-live-ones-2"],
    tests: ["sleeping"],
  },
  {
    name: "stays in line though it was aborted",
    file: WAITING,
    from:
      '    signal?.addEventListener("abort", abort, { once: true });\n    await turn;',
    to: "    await turn;",
    tests: ["abort"],
  },
  {
    name: "remaining time not computed anew (OnceState.wait)",
    file: ATOMICS,
    from:
      "    for (let left = timeout;; left = end - now()) {\n      const word",
    to:
      "    for (let left = timeout;; left = end > 0 ? timeout : 0) {\n      const word",
    tests: ["waiting:what is left"],
  },
  {
    name: "remaining time not computed anew (Mutex.lockIfAvailable)",
    file: ATOMICS,
    from: "    for (let left = timeout; left > 0; left = end - now()) {\n",
    to:
      "    for (let left = timeout; left > 0; left = end > 0 ? timeout : 0) {\n",
    tests: ["waiting:what is left"],
  },
  {
    name: "remaining time not computed anew (cells)",
    file: CELL,
    from: "      const left = end - now();\n",
    to: "      const left = timeout;\n",
    tests: ["waiting:what is left"],
  },
  {
    name: "takes the end of a look for the end of the wait",
    file: CELL,
    from: '      const isOver = slept === "timed-out" && left <= interval;\n',
    to: '      const isOver = slept === "timed-out";\n',
    tests: ["waiting:after each look"],
  },
  {
    name: "goes on after a sleep of the whole rest (OnceState.wait)",
    file: ATOMICS,
    from:
      '      if (this.sleep(word, left, "waitAsync()") === "timed-out") {\n        return this.phase === "initialized";\n      }\n',
    to: '      this.sleep(word, left, "waitAsync()");\n',
    tests: ["waiting:Waits"],
  },
  {
    name: "goes on after a sleep of the whole rest (Mutex.lockIfAvailable)",
    file: ATOMICS,
    from: '      if (token !== null || slept === "timed-out") return token;\n',
    to: "      if (token !== null || slept === undefined) return token;\n",
    tests: ["waiting:Waits"],
  },
  {
    name: "goes on after a sleep of the whole rest (cells)",
    file: CELL,
    from: '      const isOver = slept === "timed-out" && left <= interval;\n',
    to: "      const isOver = slept === undefined;\n",
    tests: ["waiting:Waits"],
  },
  {
    name: "asks not whether the agent may block (state)",
    file: ATOMICS,
    from: "    if (!canBlock()) throw cannotBlock(alternative);\n",
    to: "",
    tests: ["mutex_lazy_init:names the way out"],
  },
  {
    name: "asks not whether the agent may block (mutex)",
    file: ATOMICS,
    from: '    if (!canBlock()) throw cannotBlock("lockAsync()");\n',
    to: "",
    tests: ["atomics"],
  },
  {
    name: "misses an abort in the initializer's first turn",
    file: MUTEX,
    from: "    if (signal.aborted) abort();\n",
    to: "",
    tests: ["waiting:abort"],
  },
  {
    name: "calls the initializer though the signal was aborted before",
    file: MUTEX,
    from: "    throwIfAborted(signal);\n    // In the same turn",
    to: "    // In the same turn",
    tests: ["abort"],
  },
  {
    name: "resetAsync ignores a signal that was aborted before",
    file: MUTEX,
    from: "    throwIfAborted(signal);\n    const { result } = attempt() ??",
    to: "    const { result } = attempt() ??",
    tests: ["waiting:abort"],
  },
  {
    name: "zeroes slices of a cell that was taken",
    file: CELL,
    from: "      () => this.owns(generation) && this.zeroSlice(),\n",
    to: "      () => this.zeroSlice(),\n",
    scenarios: ["sliced-resetter-declared-dead-2"],
    tests: ["open_values"],
  },
  {
    name: "writes to the slot of a cell that was taken",
    file: VALUE,
    from:
      '    if (!this.owns(run.generation)) throw this.lost("write to");\n    // Checked',
    to: "    // Checked",
    tests: ["recover:from writing to the slot"],
  },
  {
    name: "ends a reset that another agent has ended",
    file: ATOMICS,
    from: "    return this.owns(generation) && this.empty(generation);\n",
    to: "    return this.empty(generation);\n",
    scenarios: ["sliced-resetter-declared-dead-2"],
    tests: ["open_values"],
  },
  {
    name: "zeroes no more of a reset that is finished at once",
    file: CELL,
    from: "        const isReset = this.emptyLater(generation);\n",
    to:
      "        this.words[this.index + 5] = 0;\n        const isReset = this.emptyLater(generation);\n",
    scenarios: ["sliced-reset-finished-at-once-2"],
  },
  {
    name: "says that a slice is zeroed before it is",
    file: VALUE,
    from:
      "    new Uint8Array(this.buffer, byteOffset, used - byteLength).fill(0);\n    this.used = byteLength;\n",
    to:
      "    this.used = byteLength;\n    new Uint8Array(this.buffer, byteOffset, used - byteLength).fill(0);\n",
    scenarios: ["dead-sliced-resetter-2"],
  },
  {
    name: "gives a cell free between two slices of its reset",
    file: CELL,
    from:
      "    const conceal = this.#announce(generation);\n    return zeroInTurns(\n",
    to:
      "    const conceal = this.#announce(generation);\n    this.emptyLater(generation);\n    return zeroInTurns(\n",
    scenarios: ["sliced-reset-and-get-or-init-2"],
  },
  {
    name: "finishes no reset at all before it blocks",
    file: RESETTING,
    from: "  for (const finish of unfinished) finish();\n",
    to: "",
    scenarios: ["sliced-reset-finished-before-blocking-2"],
  },
  {
    name: "finishes no reset before it blocks (cells)",
    file: CELL,
    from: "    finishResets();\n",
    to: "",
    scenarios: ["sliced-reset-finished-at-once-2"],
    tests: ["open_values"],
  },
  {
    name: "finishes no reset before it blocks (state)",
    file: ATOMICS,
    from: "    finishResets();\n    if (!this.#announceWaiter",
    to: "    if (!this.#announceWaiter",
    tests: ["open_values"],
  },
  {
    name: "finishes no reset before it blocks (mutex)",
    file: ATOMICS,
    from: "    finishResets();\n    const word",
    to: "    const word",
    tests: ["open_values"],
  },
  {
    name: "the search keeps an abort to itself",
    file: DEADLOCK,
    from: '    signal?.addEventListener("abort", abort);\n    wait.begin();\n',
    to: "    wait.begin();\n",
    tests: ["abort"],
  },
  {
    name: "leaves a listener on the signal (waits)",
    file: WAITING,
    from:
      '      signal?.removeEventListener("abort", abort);\n      resolve();\n',
    to: "      resolve();\n",
    tests: ["mutex_lazy_init:leaves no listener"],
  },
  {
    name: "leaves a listener on the signal (search)",
    file: DEADLOCK,
    from: '    signal?.removeEventListener("abort", abort);\n',
    to: "",
    tests: ["abort"],
  },
  {
    name: "leaves a listener on the signal (initializer)",
    file: MUTEX,
    from: '      signal.removeEventListener("abort", abort)\n',
    to: "      undefined\n",
    tests: ["mutex_lazy_init:leaves no listener"],
  },
  {
    name: "takes a generation for an owner",
    file: ATOMICS,
    from: "    return (word & (PHASE_MASK | STATE_ANNOUNCED)) === announced\n",
    to: "    return (word & announced) >= STATE_ANNOUNCED\n",
    tests: ["watching"],
  },
  {
    name: "watches a holder that is unannounced (mutex)",
    file: ATOMICS,
    from:
      "    return word & MUTEX_ANNOUNCED ? word & HOLDER_MASK : undefined;\n",
    to: "    return isHeld(word) ? word & HOLDER_MASK : undefined;\n",
    tests: ["watching"],
  },
  {
    name: "takes over from an agent that goes on unannounced",
    file: WAITING,
    from: "      if (this.#watched.announcedOwner() === owner) {\n",
    to: "      if (owner > 0) {\n",
    tests: ["atomics:sleepAsync()"],
  },
  {
    name: "wakes nobody in the place of an agent that has unlocked",
    file: WAITING,
    from: "      else this.#watched.notifyAll();\n",
    to: "",
    tests: ["atomics:sleepAsync()"],
  },
  {
    name: "watches nobody who takes the word after the sleep has begun",
    file: WAITING,
    from: "    if (open.has(dormitory)) dormitory.watch();\n",
    to: "",
    tests: ["atomics:sleepAsync()"],
  },
  {
    name: "asks for the owner before the sleep begins",
    file: WAITING,
    from: "    if (Atomics.waitAsync === undefined) {\n      startTimer",
    to:
      "    this.watch();\n    if (Atomics.waitAsync === undefined) {\n      startTimer",
    tests: ["atomics:sleepAsync()"],
  },
  {
    name: "goes on to watch an owner that has left",
    file: WAITING,
    from: "    this.#stopWatching();\n    this.#owner = owner;\n",
    to: "    this.#owner = owner;\n",
    tests: ["atomics:sleepAsync()"],
  },
  {
    name: "goes on to watch after the sleep",
    file: WAITING,
    from: "    keepAwake();\n    this.#stopWatching();\n",
    to: "    keepAwake();\n",
    tests: ["atomics:sleepAsync()"],
  },
  {
    name: "announces an initializer to nobody who waits already",
    file: ATOMICS,
    from: "      if (found === word) return this.notifyAll();\n",
    to: "      if (found === word) return;\n",
    tests: ["watching"],
  },
  {
    name: "begins without telling those who wait whom to watch",
    file: ATOMICS,
    from:
      "        if (waiters !== 0 && isAnnounced()) Atomics.notify(words, index);\n",
    to: "",
    tests: ["watching"],
  },
  {
    name: "begins unannounced in an agent that is announced",
    file: ATOMICS,
    from: "  return isAnnounced() ? OWNED | STATE_ANNOUNCED : OWNED;\n",
    to: "  return OWNED;\n",
    scenarios: ["announced-owner-dies-2"],
  },
  {
    name: "locks unannounced in an agent that is announced",
    file: ATOMICS,
    from: "  return isAnnounced() ? thisAgent | MUTEX_ANNOUNCED : thisAgent;\n",
    to: "  return thisAgent;\n",
    tests: ["recover:lets Mutex.lockAsync() take over"],
  },
  {
    name: "asks for another Web Lock for each initializer",
    file: AGENT,
    from: "announcement.hold ??= requestHold();",
    to: "announcement.hold = requestHold();",
    tests: ["agent"],
  },
  {
    name: "releases the Web Lock with the first initializer that ends",
    file: AGENT,
    from: "  if (hold.holders > 0) return;\n",
    to: "",
    tests: ["agent"],
  },
  {
    name: "never releases the Web Lock",
    file: AGENT,
    from: "  forget(hold);\n  hold.release();\n",
    to: "  forget(hold);\n",
    tests: ["agent"],
  },
  {
    name: "gives a Web Lock that was released to the next initializer",
    file: AGENT,
    from: "  if (announcement.hold === hold) announcement.hold = undefined;\n",
    to: "",
    tests: ["agent"],
  },
  {
    name: "announces without a Web Lock",
    file: AGENT,
    from: "  if (hold.granted) held();\n  else {",
    to: "  held();\n  if (!hold.granted) {",
    scenarios: ["owner-goes-on-unannounced-2"],
  },
  {
    name: "announces an initializer that has ended",
    file: AGENT,
    from: "      if (granted && isWanted) held();\n",
    to: "      if (granted) held();\n",
    tests: ["watching"],
  },
  {
    name: "watches alone",
    file: AGENT,
    from: '{ mode: "shared", signal }',
    to: "{ signal }",
    tests: ["recover:even if another agent"],
  },
  {
    name: "withdraws no watch",
    file: AGENT,
    from: "  return () => request.abort();\n",
    to: "  return () => {};\n",
    tests: ["atomics:sleepAsync()", "agent"],
  },
  {
    name: "believes no probe that comes round",
    file: DEADLOCK,
    from: "  if (returned !== undefined && returned === waiter.suspect) {\n",
    to: "  if (returned !== undefined && returned === null) {\n",
    tests: ["atomics:Looking()"],
  },
  {
    name: "believes a probe that comes round once",
    file: DEADLOCK,
    from: "  if (returned !== undefined && returned === waiter.suspect) {\n",
    to: "  if (returned !== undefined) {\n",
    tests: ["atomics:Looking()"],
  },
  {
    name: "believes a probe that comes round by another wait",
    file: DEADLOCK,
    from: "  if (returned !== undefined && returned === waiter.suspect) {\n",
    to: "  if (returned !== undefined && waiter.suspect !== undefined) {\n",
    tests: ["atomics:Looking()"],
  },
  {
    name: "passes no probe on",
    file: DEADLOCK,
    from: "    : Math.max(greatest - 1, waiter.probe);\n",
    to: "    : waiter.probe;\n",
    tests: ["atomics:Looking()"],
  },
  {
    name: "passes a probe on for ever",
    file: DEADLOCK,
    from: "    : Math.max(greatest - 1, waiter.probe);\n",
    to: "    : Math.max(greatest, waiter.probe);\n",
    tests: ["atomics:Looking()"],
  },
  {
    name: "passes a probe on for half as long",
    file: DEADLOCK,
    from: "    : Math.max(greatest - 1, waiter.probe);\n",
    to: "    : Math.max(greatest - 2, waiter.probe);\n",
    tests: ["atomics:Looking()"],
  },
  {
    name: "passes on a probe that has come to its end",
    file: DEADLOCK,
    from: "    const passable = isSpent(shown) ? MAX_DEPTH : shown;\n",
    to: "    const passable = shown;\n",
    tests: ["atomics:Looking()"],
  },
  {
    name: "passes the last probe on instead of the greatest",
    file: DEADLOCK,
    from: "    if (passable <= greatest) continue;\n",
    to: "",
    tests: ["atomics:Looking()"],
  },
  {
    name: "passes its own probe on instead of a greater one",
    file: DEADLOCK,
    from: "    : Math.max(greatest - 1, waiter.probe);\n",
    to: "    : Math.min(greatest - 1, waiter.probe);\n",
    tests: ["atomics:Looking()"],
  },
  {
    name: "takes every probe for its own",
    file: DEADLOCK,
    from: "    const isOwn = (shown ^ waiter.probe) >>> NONCE_SHIFT === 0;\n",
    to: "    const isOwn = shown > MAX_DEPTH;\n",
    tests: ["atomics:Looking()"],
  },
  {
    name: "draws no probe anew",
    file: DEADLOCK,
    from: "  return idleLooks > QUICK_LOOKS && drawNonce() % LIFETIME === 0;\n",
    to: "  return false;\n",
    tests: ["atomics:Looking()"],
  },
  {
    name: "draws a probe once a run",
    file: DEADLOCK,
    from:
      "      if (waiter.waits.size === 0) waiters.delete(id);\n      else if (waiter.source !== this) continue;\n",
    to:
      "      if (waiter.waits.size > 0 && waiter.source !== this) continue;\n",
    tests: ["atomics:Looking()"],
  },
  {
    name: "draws a second probe that is no greater",
    file: DEADLOCK,
    from: "  waiter.probe = drawProbe(suspect === undefined ? 0 : SECOND);\n",
    to: "  waiter.probe = drawProbe(0);\n",
    tests: ["atomics:Looking()"],
  },
  {
    name: "reads a probe in a cell that is not initializing",
    file: DEADLOCK,
    from: '    if (phase !== "initializing") return 0;\n',
    to: "",
    tests: ["atomics:Looking()"],
  },
  {
    name: "shows what a wait has seen that has ended",
    file: DEADLOCK,
    from: "      show(waiter, 0, undefined);\n",
    to: "",
    tests: ["atomics:Looking()"],
  },
  {
    name: "shows a probe for a run that has finished",
    file: DEADLOCK,
    from: "  if (!isOwner(run)) return false;\n",
    to: "",
    tests: ["sleeping"],
  },
  {
    name: "leaves a probe in a cell that is taken meanwhile",
    file: DEADLOCK,
    from: "    Atomics.compareExchange(words, index + PROBE_WORD, word, 0);\n",
    to: "",
    tests: ["atomics:Looking()"],
  },
  {
    name: "lets a run look whose cell was taken",
    file: DEADLOCK,
    from:
      "    if (isOwner(waiter.run)) lookFor(waiter);\n    else waiters.delete(id);\n",
    to: "    lookFor(waiter);\n",
    tests: ["deadlock:polls for no wait"],
  },
  {
    name: "ignores memory that was overwritten",
    file: DEADLOCK,
    from: "    wait.fail(error);\n    return -1;\n",
    to: "    return -1;\n",
    tests: ["atomics:Looking()"],
  },
  {
    name: "finds no cycle within the agent",
    file: DEADLOCK,
    from:
      "  if (closed !== undefined) throw deadlock(closed, target, unfinished);\n",
    to: "",
    tests: ["deadlock:at once"],
  },
  {
    name: "blocks without regard to the agent's other initializers",
    file: DEADLOCK,
    from: "  const runs = unfinishedRuns();\n",
    to: "  const runs = unfinishedRuns().slice(-1);\n",
    tests: ["atomics:Looking()"],
  },
  {
    name: "keeps initializers that have finished",
    file: RUNNING,
    from: "  while (run.outer?.finished) run.outer = run.outer.outer;\n",
    to: "",
    tests: ["atomics:keeps no initializers"],
  },
  {
    name: "keeps finished runs on the list of unfinished ones",
    file: RUNNING,
    from: "    if (run.finished) finishRun(run);\n    else found.push(run);\n",
    to: "    found.push(run);\n",
    tests: ["atomics:Looking()"],
  },
  {
    name: "run ids of 8 bits",
    file: RUNNING,
    from: "    this.id = drawNonce();\n",
    to: "    this.id = drawNonce() & 255;\n",
    tests: ["deadlock:takes none of many"],
  },
  {
    name: "leaves the probe of an earlier owner",
    file: RUNNING,
    from: "    Atomics.store(words, index + PROBE_WORD, 0);\n",
    to: "",
    tests: ["atomics:beginRun()"],
  },
  {
    name: "takes an asynchronous context for what is on the stack",
    file: RUNNING,
    from:
      "  return unfinishedFrom(runs.onStackWithin) === context\n    ? unfinishedFrom(runs.onStack) ?? context\n    : context;\n",
    to: "  return unfinishedFrom(runs.onStack) ?? context;\n",
    tests: ["atomics:within()"],
  },
  {
    name: "asks again after a sleep within which initializer a call is",
    file: CELL,
    from:
      "    const runs = currentRuns();\n    if (isWithin(this, runs)) throw this.recursive();\n    return await sleepLooking",
    to:
      "    await undefined;\n    const runs = currentRuns();\n    if (isWithin(this, runs)) throw this.recursive();\n    return await sleepLooking",
    tests: ["deadlock:asynchronous contexts"],
  },
];
