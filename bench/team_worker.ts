// Copyright 2026 the lazyinit authors. MIT license.
/// <reference lib="deno.worker" />

import { announceReady, type TeamMemory, TURNS, VALUE, work } from "./team.ts";

function expect(value: number | undefined): void {
  if (value !== VALUE) {
    throw new Error(`${value} was read in place of ${VALUE}`);
  }
}

function never(): never {
  throw new Error("The main thread initializes");
}

self.onmessage = ({ data }: MessageEvent<TeamMemory>) => {
  self.postMessage("ready");
  work(data, (workplace) => {
    const { flag, counter, mutexCell, bareMutex, mutex, peer } = workplace;
    return {
      "wait for a flag"() {
        announceReady(workplace);
        while (Atomics.load(flag, 0) === 0) Atomics.wait(flag, 0, 0);
        expect(flag[0]);
      },
      "wait for a LazyInit"() {
        const cell = workplace.lazyCell();
        announceReady(workplace);
        expect(cell.wait());
      },
      "wait for a MutexLazyInit"() {
        announceReady(workplace);
        expect(mutexCell.getOrInit(never));
      },
      "wait for a mutex of multithreading"() {
        announceReady(workplace);
        const guard = peer.blockingLock();
        expect(guard.value[0]);
        guard.dispose();
      },
      "take a bare mutex"() {
        for (let i = 0; i < TURNS; i++) {
          bareMutex.lock();
          counter[0]!++;
          bareMutex.unlock();
        }
      },
      "take a Mutex"() {
        for (let i = 0; i < TURNS; i++) {
          const token = mutex.lock();
          counter[0]!++;
          token.unlock();
        }
      },
      "take a mutex of multithreading"() {
        for (let i = 0; i < TURNS; i++) {
          const guard = peer.blockingLock();
          guard.value[0]!++;
          guard.dispose();
        }
      },
    };
  });
};
