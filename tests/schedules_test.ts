// Copyright 2026 the lazyinit authors. MIT license.

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { Explorer } from "./schedules/explorer.ts";
import { scenarios } from "./schedules/scenarios.ts";
import { scenarios as toys } from "./testdata/toy_scenarios.ts";

const SCENARIOS = import.meta.resolve("./schedules/scenarios.ts");
const TOYS = import.meta.resolve("./testdata/toy_scenarios.ts");

function startToy(name: string): Promise<Explorer> {
  return Explorer.start(toys.find((toy) => toy.name === name)!, TOYS);
}

for (const scenario of scenarios) {
  // `deno task explore` has more of them
  Deno.test(`Explorer.explore() finds nothing wrong with one preemption in ${scenario.name}`, async () => {
    const bounded = { ...scenario, preemptions: 1 };
    using explorer = await Explorer.start(bounded, SCENARIOS);
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

const BROKEN = {
  "flag-before-value": "The value is 0",
  "no-notification": "Lost wake-up: thread 1 would sleep for ever",
  "one-notification-for-two": "Lost wake-up: thread 2 would sleep for ever",
  "asynchronous": "The time is up",
  "mortal": "It died halfway",
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
