// Copyright 2026 the lazyinit authors. MIT license.
/// <reference lib="deno.worker" />

import {
  announceReady,
  serve,
  type TeamMemory,
  TURNS,
  VALUE,
  work,
  Workplace,
} from "./_team.ts";
import { expect } from "./_suite.ts";

function never(): never {
  throw new Error("The main thread initializes");
}

self.onmessage = ({ data }: MessageEvent<TeamMemory>) => {
  const workplace = new Workplace(data);
  const { flag, mutexCell, bareMutex, mutex, peer } = workplace;
  const index = data.index!;
  self.postMessage("ready");
  serve(workplace, {
    "wait for a flag"() {
      announceReady(workplace);
      while (Atomics.load(flag, 0) === 0) Atomics.wait(flag, 0, 0);
      expect(flag[0], VALUE);
    },
    "wait for a flag and check"() {
      announceReady(workplace);
      while (Atomics.load(flag, 0) === 0) Atomics.wait(flag, 0, 0);
      const { buffer, byteOffset } = flag;
      const value = new DataView(buffer, byteOffset).getInt32(0, true);
      // As a reader of a cell makes sure that no agent has reset it meanwhile
      expect(Atomics.compareExchange(flag, 0, VALUE, VALUE), value);
    },
    "wait for a LazyInit"() {
      const cell = workplace.lazyCell();
      announceReady(workplace);
      expect(cell.wait(), VALUE);
    },
    "wait for a MutexLazyInit"() {
      announceReady(workplace);
      expect(mutexCell.getOrInit(never), VALUE);
    },
    "wait for a mutex of multithreading"() {
      announceReady(workplace);
      const guard = peer.blockingLock();
      expect(guard.value[0], VALUE);
      guard.dispose();
    },
    "take a bare mutex"() {
      for (let i = 0; i < TURNS; i++) {
        bareMutex.lock();
        workplace.take(index);
        bareMutex.unlock();
        work();
      }
    },
    "take a Mutex"() {
      for (let i = 0; i < TURNS; i++) {
        const token = mutex.lock();
        workplace.take(index);
        token.unlock();
        work();
      }
    },
    "take a mutex of multithreading"() {
      for (let i = 0; i < TURNS; i++) {
        const guard = peer.blockingLock();
        workplace.take(index);
        guard.dispose();
        work();
      }
    },
  });
  self.close();
};
