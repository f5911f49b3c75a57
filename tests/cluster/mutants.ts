// Copyright 2026 the lazyinit authors. MIT license.

/** A fault that somebody could make in the protocol. */
export interface Mutant {
  readonly name: string;
  readonly file: string;
  /** Stands in the file once, … */
  readonly from: string;
  /** … and is replaced by this. */
  readonly to: string;
}

const CELL = "cluster/cluster_lazy_init.ts";
const REQUESTS = "cluster/_requests.ts";
const RUN = "cluster/_run.ts";
const VIEW = "cluster/_view.ts";
const PROTOCOL = "cluster/_protocol.ts";

export const mutants: readonly Mutant[] = [
  {
    name: "no fence: published over whatever is there (C2)",
    file: RUN,
    from: "if (!await this.#write(made.record)) return LOST;",
    to: "await this.#view.lookNow();\n" +
      "        this.#version = this.#view.seen.version;\n" +
      "        if (!await this.#write(made.record)) return LOST;",
  },
  {
    name: "no fence: rolled back over whatever is there (C2)",
    file: RUN,
    from: "    const { error } = made;\n",
    to: "    const { error } = made;\n" + "    await this.#view.lookNow();\n" +
      "    this.#version = this.#view.seen.version;\n",
  },
  {
    name: "beat after loss, over the entry of the successor (C2)",
    file: RUN,
    from:
      "    const version = await this.#view.write(record, this.#version, {\n",
    to: '    if (record.phase === "initializing") {\n' +
      "      await this.#view.lookNow();\n" +
      "      this.#version = this.#view.seen.version;\n    }\n" +
      "    const version = await this.#view.write(record, this.#version, {\n",
  },
  {
    name: "judged entry and replaced entry not the same (C1)",
    file: RUN,
    from: "const version = await this.#view.write(this.#record, seen.version);",
    to: "await this.#view.lookNow();\n" +
      "    const version = await this.#view.write(this.#record, this.#view.seen.version);",
  },
  {
    name: "reset of another entry than the one judged (C1)",
    file: CELL,
    from:
      "this.#view.write(reset(record, this.#requests.clock.nonce()), version),",
    to: "this.#view.lookNow().then(() =>\n" +
      "          this.#view.write(reset(record, this.#requests.clock.nonce()), this.#view.seen.version)),",
  },
  {
    name: "no nonce check: a write of unknown outcome counts as landed (C5)",
    file: VIEW,
    from: "const hasLanded = () => this.seen.record?.nonce === record.nonce;",
    to: "const hasLanded = () => this.seen.version > expected;",
  },
  {
    name: "no nonce check: a write of unknown outcome counts as refused (C5)",
    file: VIEW,
    from: "const hasLanded = () => this.seen.record?.nonce === record.nonce;",
    to: "const hasLanded = () => false;",
  },
  {
    name: "the same nonce for the last beat and the value (C5)",
    file: PROTOCOL,
    from:
      '  return { ...own, phase: "initialized", failures: 0, value, nonce };',
    to: "  nonce = own.nonce;\n" +
      '  return { ...own, phase: "initialized", failures: 0, value, nonce };',
  },
  {
    name: "version ordering ignored (C6)",
    file: VIEW,
    from: "    if (version <= this.#highest) return;\n",
    to: "    if (version === this.seen.version) return;\n",
  },
  {
    name: "an absence is believed, however old (C6)",
    file: VIEW,
    from: "      if (highest !== this.#highest) return;\n",
    to: "",
  },
  {
    name: "watch trusted: an absence that it tells of is believed (C6)",
    file: VIEW,
    from: "this.lookNow().catch((error) => this.#doubt(error));",
    to: "this.#observe(null, this.#highest);",
  },
  {
    name: "watch trusted: a waiter never looks itself",
    file: CELL,
    from:
      "      await this.#view.sleepOrLook(this.#view.nextLookAt(), signal);\n",
    to: "      await this.#view.sleep(Infinity, signal);\n",
  },
  {
    name: "lease by the wall clock (C4)",
    file: VIEW,
    from: "    this.seen = { ...seen, since: now(), jitter: random() };",
    to:
      "    this.seen = { ...seen, since: Date.now() + 0 * now(), jitter: random() };",
  },
  {
    name: "lease from the first sight of the run, not of the entry (C4)",
    file: VIEW,
    from: "    this.seen = { ...seen, since: now(), jitter: random() };",
    to: "    const same = seen.record?.owner === this.seen.record?.owner;\n" +
      "    this.seen = {\n      ...seen,\n" +
      "      since: same ? this.seen.since : now(),\n" +
      "      jitter: random(),\n    };",
  },
  {
    name: "taken over before the lease is over (C4)",
    file: PROTOCOL,
    from: "return since + record.lease * (1 + jitter * TAKE_OVER_SPREAD);",
    to: "return since + record.lease / 2 * (1 + jitter * TAKE_OVER_SPREAD);",
  },
  {
    name: "never taken over",
    file: PROTOCOL,
    from: "return since + record.lease * (1 + jitter * TAKE_OVER_SPREAD);",
    to: "return since + jitter + Infinity;",
  },
  {
    name: "no beats",
    file: RUN,
    from: "      if (!await this.#beat()) return LOST;\n    }\n",
    to: "      this.#sent = Infinity;\n    }\n",
  },
  {
    name: "published without waiting for the last beat (C5)",
    file: RUN,
    from: "made === STOPPED || await beats === LOST) {",
    to: "made === STOPPED) {",
  },
  {
    name: "generation kept on reset",
    file: PROTOCOL,
    from:
      '    ...record,\n    phase: "uninitialized",\n    generation: generation + 1,',
    to:
      '    ...record,\n    phase: "uninitialized",\n    generation: generation + 0,',
  },
  {
    name: "generation kept on take-over",
    file: PROTOCOL,
    from: "generation: takesOver ? generation + 1 : generation,",
    to: "generation: takesOver ? generation : generation,",
  },
  {
    name: "delete on reset: generations begin again (C7)",
    file: PROTOCOL,
    from:
      '    ...record,\n    phase: "uninitialized",\n    generation: generation + 1,',
    to:
      '    ...record,\n    phase: "uninitialized",\n    generation: 0 * generation,',
  },
  {
    name:
      "refused writes are not settled: the network may have sent them twice (C5)",
    file: VIEW,
    from:
      "      await this.lookNow();\n      if (hasLanded()) return this.seen.version;\n      if (this.seen.version === expected) {",
    to:
      "      await this.lookNow();\n      if (this.seen.version === expected) {",
  },
  {
    name: "taken over by a look that was not due (C4)",
    file: VIEW,
    from: "        if (isDue) return;",
    to: "        return;",
  },
  {
    name: "a run gives up in an outage",
    file: RUN,
    from: "const isPatient = () => this.#failed === undefined;",
    to: "const isPatient = () => false;",
  },
  {
    name: "a run that has lost the cell goes on (C2)",
    file: RUN,
    from: '    if (typeof version !== "bigint") return false;',
    to: '    if (typeof version !== "bigint") return true;',
  },
  {
    name: "refresh joins a request that began before",
    file: VIEW,
    from: "    return this.#nextLook ??= (this.#look ?? Promise.resolve())",
    to: "    if (this.#look !== undefined) return this.#look;\n" +
      "    return this.#nextLook ??= Promise.resolve()",
  },
  {
    name: "a lost owner does not go on as a waiter",
    file: CELL,
    from: "      if (result === LOST) continue;",
    to: "      if (result === LOST) throw ownerLost(this.#requests.label);",
  },
  {
    name: "the signal of a lost owner is not aborted",
    file: RUN,
    from: "        running.abort(ownerLost(label));\n",
    to: "",
  },
  {
    name: "a failed run is not rolled back",
    file: RUN,
    from: "    return await this.#rollBack(true)\n",
    to: "    return true || await this.#rollBack(true)\n",
  },
  {
    name: "the turn of this process is not passed on",
    file: CELL,
    from: "    this.#contended = false;\n    this.#view.wake();\n",
    to: "    this.#view.wake();\n",
  },
  {
    name: "two calls of a process contend at once",
    file: CELL,
    from: "      if (this.#contended) {",
    to: "      if (this.#contended && initializer === undefined) {",
  },
  {
    name: "a request that gets no answer is waited for",
    file: REQUESTS,
    from: "      }, patience);",
    to: "      }, patience * 1e9);",
  },
  {
    name: "the value is remembered over a reset",
    file: VIEW,
    from: "    this.value = value;\n",
    to: "    this.value = value ?? this.value;\n",
  },
];
