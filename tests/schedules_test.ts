// Copyright 2026 the lazyinit authors. MIT license.

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { ALLOWED_RACES } from "./schedules/allowed_races.ts";
import { Explorer } from "./schedules/explorer.ts";
import { scenarios as ofMaps } from "./schedules/map_scenarios.ts";
import { scenarios } from "./schedules/scenarios.ts";
import { scenarios as toys } from "./testdata/toy_scenarios.ts";

const SCENARIOS = import.meta.resolve("./schedules/scenarios.ts");
const MAP_SCENARIOS = import.meta.resolve("./schedules/map_scenarios.ts");
const TOYS = import.meta.resolve("./testdata/toy_scenarios.ts");

function startToy(name: string): Promise<Explorer> {
  return Explorer.start(toys.find((toy) => toy.name === name)!, TOYS);
}

for (
  const [scenario, module] of [
    ...scenarios.map((scenario) => [scenario, SCENARIOS] as const),
    ...ofMaps.map((scenario) => [scenario, MAP_SCENARIOS] as const),
  ]
) {
  // `deno task explore` has more of them
  Deno.test(`Explorer.explore() finds nothing wrong with one preemption in ${scenario.name}`, async () => {
    const bounded = { ...scenario, preemptions: 1 };
    using explorer = await Explorer.start(bounded, module);
    const { schedules, failure } = explorer.explore();
    assertEquals(failure, undefined);
    assert(schedules > 1);
  });
}

Deno.test("Explorer.explore() comes to each state once", async () => {
  using explorer = await startToy("independent");
  const { schedules, pruned, states, failure } = explorer.explore();
  assertEquals({ schedules, pruned, states, failure }, {
    schedules: 2,
    pruned: 3,
    states: 8,
    failure: undefined,
  });
});

Deno.test("Explorer.explore() counts preemptions", async () => {
  const toy = toys.find(({ name }) => name === "independent")!;
  using explorer = await Explorer.start({ ...toy, preemptions: 0 }, TOYS);
  assertEquals(explorer.explore().schedules, 2);
});

const SOUND = [
  "seqlock",
  "placing",
  "woken",
  "outlived",
  "slow-with-a-look",
  "lock",
  "lock-of-a-mortal",
];

for (const name of SOUND) {
  Deno.test(`Explorer.explore() finds nothing wrong with ${name}`, async () => {
    using explorer = await startToy(name);
    const { schedules, failure } = explorer.explore();
    assertEquals(failure, undefined);
    assert(schedules > 1);
  });
}

for (const { name } of toys.filter(({ name }) => name.startsWith("beside-"))) {
  Deno.test(`Explorer.explore() records the plain access ${name}`, async () => {
    using explorer = await startToy(name);
    const { failure } = explorer.explore();
    assertStringIncludes(failure!.message, "Data race on next: ");
  });
}

Deno.test("ALLOWED_RACES are those that the top comment of atomics.ts argues for", async () => {
  const source = await Deno.readTextFile(
    new URL("../atomics.ts", import.meta.url),
  );
  const comment = source.slice(0, source.indexOf("*/"))
    .replaceAll(/\s+\*?\s*/g, " ");
  for (const { name } of ALLOWED_RACES) assertStringIncludes(comment, name);
});

const BROKEN = {
  "flag-before-value":
    "Data race on value: nothing orders the plain write by thread 0 in step 2 and the plain read by thread 1 in step 4",
  "no-notification": "Lost wake-up: thread 1 would sleep for ever",
  "one-notification-for-two": "Lost wake-up: thread 2 would sleep for ever",
  "asynchronous": "The time is up",
  "mortal": "It died halfway",
  "spinning":
    "Thread 1 spins: it waits for a value that the word does not have, again and again",
  "endless": "There is no end after 2000 steps",
  "slow-without-a-look": "It wrote without a look",
  "plain-publication":
    "Data race on state: nothing orders the plain write by thread 0 in step 2 and the atomic read by thread 1 in step 3",
  "plain-flag":
    "Data race on slot: nothing orders the plain write by thread 0 in step 1 and the plain read by thread 1 in step 4",
  "confirmed-by-a-load":
    "Data race on slot: nothing orders the plain read by thread 1 in step 2 and the plain write by thread 0 in step 5",
  "zeroed-before-the-reset":
    "Data race on slot: nothing orders the plain write by thread 0 in step 1 and the plain read by thread 1 in step 3 (torn-decode: the value may be used)",
  "placed-without-a-claim":
    "Data race on state: nothing orders the atomic write by thread 0 in step 4 and the plain read by thread 1 in step 6",
};

for (const [name, message] of Object.entries(BROKEN)) {
  Deno.test(`Explorer.explore() finds what is wrong with ${name}, and its seed replays`, async () => {
    using explorer = await startToy(name);
    const { failure } = explorer.explore();
    assert(failure !== undefined);
    assertEquals(failure.message, message);
    assertStringIncludes(failure.trace[0]!, "  1  thread ");
    const { seed, ...expected } = failure;
    assertEquals(explorer.replay(seed), expected);
    // In threads that have run nothing before, too
    using other = await startToy(name);
    assertEquals(other.replay(seed), expected);
  });
}
