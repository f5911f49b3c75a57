// Copyright 2026 the lazyinit authors. MIT license.

/*
 * What happens between threads: how long it takes until the last of many workers
 * that sleep runs again, how fast a mutex goes from one to the other, and what it
 * takes to give a large value to all.
 */

import {
  buildIndex,
  coordinatesCodec,
  indexCodec,
} from "../examples/nearest_city_index.ts";
import { LazyInit, MutexLazyInit } from "../mod.ts";
import type { Order } from "./_share_worker.ts";
import {
  expect,
  type Group,
  note,
  register,
  type Subject,
  type Suite,
} from "./_suite.ts";
import { type Task, Team, TURN, TURNS, VALUE } from "./_team.ts";

const UNLOCKED = 0;

function wakers(team: Team): Subject[] {
  const { workplace } = team;
  const { flag, counter, mutexCell, peer } = workplace;
  return [
    {
      name: "Atomics.notify",
      baseline: true,
      run(timer) {
        flag[0] = UNLOCKED;
        team.beginAndRest("wait for a flag");
        timer.start();
        Atomics.store(flag, 0, VALUE);
        Atomics.notify(flag, 0);
        team.finish();
        timer.end();
      },
    },
    {
      // What the protocol of a cell adds, with none of its code around it
      name: "bare protocol of a cell",
      run(timer) {
        flag[0] = UNLOCKED;
        team.beginAndRest("wait for a flag and check");
        timer.start();
        // As if nobody waited, and then as it is
        Atomics.compareExchange(flag, 0, VALUE, VALUE);
        Atomics.compareExchange(flag, 0, UNLOCKED, VALUE);
        Atomics.notify(flag, 0);
        team.finish();
        timer.end();
      },
    },
    {
      name: "LazyInit.callOnce()",
      run(timer) {
        workplace.clearLazyCell();
        workplace.lazyCell().callOnce(() => {
          team.beginAndRest("wait for a LazyInit");
          timer.start();
          return VALUE;
        });
        team.finish();
        timer.end();
      },
    },
    {
      name: "MutexLazyInit.getOrInit()",
      run(timer) {
        mutexCell.reset();
        mutexCell.getOrInit(() => {
          team.beginAndRest("wait for a MutexLazyInit");
          timer.start();
          return VALUE;
        });
        team.finish();
        timer.end();
      },
    },
    {
      name: "Mutex of multithreading",
      baseline: true,
      run(timer) {
        const guard = peer.blockingLock();
        team.beginAndRest("wait for a mutex of multithreading");
        timer.start();
        counter[0] = VALUE;
        guard.dispose();
        team.finish();
        timer.end();
      },
    },
  ];
}

function takers(team: Team): Subject[] {
  const { counter, size } = team.workplace;
  const take = (task: Task) => {
    counter.fill(0);
    team.begin(task);
    team.finish();
    expect(counter[TURN], size * TURNS);
  };
  return [
    {
      name: "bare mutex",
      baseline: true,
      run: () => take("take a bare mutex"),
    },
    { name: "Mutex", run: () => take("take a Mutex") },
    {
      name: "Mutex of multithreading",
      baseline: true,
      run: () => take("take a mutex of multithreading"),
    },
  ];
}

/** As many as there are cities in the demo. */
const PLACES = 171_075;
const SHARERS = 4;
/** What Flatbush takes for them. */
const MEGABYTES = 6.6;

/** Starts workers that each want the index, and returns how to give an order to all. */
async function startSharers(): Promise<(order: Order) => Promise<void>> {
  const url = new URL("./_share_worker.ts", import.meta.url);
  const workers = Array.from(
    { length: SHARERS },
    () => new Worker(url, { type: "module" }),
  );
  const answers = () =>
    Promise.all(
      workers.map((worker) =>
        new Promise((resolve) => worker.onmessage = resolve)
      ),
    );
  await answers();
  return async (order) => {
    const answered = answers();
    for (const worker of workers) worker.postMessage(order);
    await answered;
  };
}

function placesAtRandom(): LazyInit<Float64Array> {
  const cell = new LazyInit(coordinatesCodec(PLACES));
  cell.callOnce((slot) => {
    for (let i = 0; i < slot.length; i += 2) {
      slot[i] = 360 * Math.random() - 180;
      slot[i + 1] = 180 * Math.random() - 90;
    }
  });
  return cell;
}

async function builders(): Promise<Subject[]> {
  const order = await startSharers();
  const places = placesAtRandom();
  const { handle: coordinates } = places;
  const cell = new MutexLazyInit(indexCodec);
  return [
    {
      name: "MutexLazyInit.getOrInit()",
      async run(timer) {
        cell.reset();
        timer.start();
        await order({
          kind: "get or build",
          places: PLACES,
          coordinates,
          index: cell.handle,
        });
        timer.end();
      },
    },
    {
      name: "copies by postMessage",
      baseline: true,
      async run() {
        const { data } = buildIndex(places.value as Float64Array);
        await order({ kind: "read", index: data });
      },
    },
    {
      name: "one built by each",
      baseline: true,
      run: async () =>
        await order({ kind: "build", places: PLACES, coordinates }),
    },
  ];
}

async function givers(): Promise<Subject[]> {
  const order = await startSharers();
  const index = buildIndex(placesAtRandom().value as Float64Array);
  const cell = new MutexLazyInit(indexCodec);
  cell.init(() => index);
  return [
    {
      name: "MutexLazyInit.from().value",
      run: async () =>
        await order({ kind: "attach", places: PLACES, index: cell.handle }),
    },
    {
      name: "copies by postMessage",
      baseline: true,
      run: async () => await order({ kind: "read", index: index.data }),
    },
  ];
}

function wakeGroup(
  size: number,
  name: string,
  rest: Pick<Group, "rounds" | "warmUpRounds">,
): Group {
  return {
    name,
    operation: "publication",
    operations: 1,
    single: true,
    ...rest,
    create: async () => wakers(await Team.start(size)),
  };
}

const wakeGroups = [2, 4, 8, 16].map((size) =>
  wakeGroup(size, `wake ${size} blocked workers`, {
    rounds: 120,
    // By then each worker's engine has compiled what it does; the design asks of eight
    warmUpRounds: size === 8 ? 900 : 150,
  })
);

/** What programs see in which each worker waits but once or twice. */
const coldWakeGroup = wakeGroup(
  8,
  "wake 8 blocked workers, which have hardly ever waited before",
  { rounds: 10, warmUpRounds: 0 },
);

const takeGroups = [2, 4].map((size): Group => ({
  name: `hand a mutex over among ${size} workers`,
  operation: "turn",
  operations: size * TURNS,
  rounds: 30,
  warmUpRounds: 10,
  create: async () => takers(await Team.start(size)),
}));

export const suite: Suite = {
  name: "across_threads",
  groups: [
    ...wakeGroups,
    coldWakeGroup,
    ...takeGroups,
    {
      name: `build an index of ${MEGABYTES} MB for ${SHARERS} workers`,
      operation: "index for all",
      operations: 1,
      single: true,
      rounds: 4,
      warmUpRounds: 1,
      create: builders,
    },
    {
      name: `give an index of ${MEGABYTES} MB to ${SHARERS} workers`,
      operation: "index for all",
      operations: 1,
      single: true,
      rounds: 20,
      warmUpRounds: 5,
      create: givers,
    },
  ],
};

if (Deno.mainModule === import.meta.url) {
  // To start workers takes it; `deno bench` at a terminal asks
  const { state } = await Deno.permissions.request({ name: "read" });
  if (state === "granted") await register(suite);
  else note("What happens across threads is left out: it takes --allow-read");
}
