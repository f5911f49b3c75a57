// Copyright 2026 the lazyinit authors. MIT license.
/// <reference lib="deno.worker" />

/* An agent that does the jobs that a test sends, one after the other. */

// First, as the modules may keep what they find of `Atomics`
import { Sleepers } from "../_sleepers.ts";
import { agentId, LazyInit, Mutex, MutexLazyInit, uint32 } from "../../mod.ts";
import { codecs } from "../_codecs.ts";
import { Flag } from "../_flag.ts";
import { type Job, pair, pairOf, view } from "../_jobs.ts";

async function perform(job: Job): Promise<unknown> {
  switch (job.kind) {
    case "agentId":
      return agentId();

    case "race": {
      const calls = new Int32Array(job.calls);
      const make = () => {
        Atomics.add(calls, 0, 1);
        return job.value;
      };
      if (job.method === "callOnce") {
        const cell = LazyInit.from(job.handle, pair);
        new Flag(job.start).block();
        return { won: cell.callOnce(make) !== undefined, value: cell.wait() };
      }
      if (job.method === "initOnce") {
        const cell = LazyInit.from(job.handle, pair);
        new Flag(job.start).block();
        let won = true;
        try {
          cell.initOnce(job.value);
        } catch (error) {
          if ((error as Error).name !== "AlreadyInitializedError") throw error;
          won = false;
        }
        return { won, value: cell.wait() };
      }
      const cell = MutexLazyInit.from(job.handle, pair);
      new Flag(job.start).block();
      const value = await cell[job.method](make);
      return { won: value.left === job.value.left, value };
    }

    case "raceForView": {
      const cell = MutexLazyInit.from(job.handle, view);
      new Flag(job.start).block();
      const value = cell.getOrInit((slot) => {
        Atomics.add(new Int32Array(job.calls), 0, 1);
        slot.fill(-1);
      });
      cell.getMut()![job.index] = job.index;
      return cell.getMut() === value;
    }

    case "initialize": {
      const { outcome } = job;
      const cell = MutexLazyInit.from(job.handle, pair);
      return await cell[job.method](() => {
        if (job.entered) new Flag(job.entered).raise();
        if (job.leave) new Flag(job.leave).block();
        if ("error" in outcome) throw new Error(outcome.error);
        return outcome.value;
      });
    }

    case "callOnce":
      return LazyInit.from(job.handle, pair).callOnce(() => {
        new Flag(job.entered).raise();
        new Flag(job.leave).block();
        return job.value;
      });

    case "nest": {
      const { method, value } = job;
      const enter = () => {
        new Flag(job.entered).raise();
        new Flag(job.leave).block();
      };
      if (job.handle.kind === "LazyInit") {
        const inner = LazyInit.from(job.inner, pair);
        return LazyInit.from(job.handle, pair).callOnce(() => {
          enter();
          return inner.wait();
        });
      }
      const cell = MutexLazyInit.from(job.handle, pair);
      const inner = MutexLazyInit.from(job.inner, pair);
      if (method === "getOrInitAsync") {
        return await cell.getOrInitAsync(async () => {
          enter();
          // Not on the stack any more
          await Promise.resolve();
          return await inner.getOrInitAsync(() => value);
        });
      }
      return cell.getOrInit(() => {
        enter();
        if (method === "getOrInit") return inner.getOrInit(() => value);
        if (method === "wait") return inner.wait();
        inner.reset();
        return value;
      });
    }

    case "wait":
      return job.handle.kind === "LazyInit"
        ? await LazyInit.from(job.handle, pair)[job.method]()
        : await MutexLazyInit.from(job.handle, pair)[job.method]();

    case "reset":
      return await MutexLazyInit.from(job.handle, pair)[job.method]();

    case "read": {
      const cell = MutexLazyInit.from(job.handle, pair);
      const stop = new Int32Array(job.stop);
      const seen = new Int32Array(job.seen);
      let torn = 0;
      while (Atomics.load(stop, 0) === 0) {
        try {
          const value = cell.get();
          if (value === undefined) continue;
          const { left, right, padding } = value;
          if (left !== right || padding !== pairOf(left).padding) torn++;
          Atomics.store(seen, job.index, left);
        } catch {
          // Half a text is no JSON
          torn++;
        }
      }
      return { torn };
    }

    case "count": {
      const mutex = new Mutex(job.mutex);
      const counter = new Int32Array(job.counter);
      new Flag(job.start).block();
      for (let round = 0; round < job.rounds;) {
        const token = job.method === "lockIfAvailable"
          ? mutex.lockIfAvailable()
          : await mutex[job.method]();
        if (token === null) continue;
        using _token = token;
        counter[0]! += 1;
        round++;
      }
      return undefined;
    }

    case "hold": {
      using _token = new Mutex(job.mutex).lock();
      new Flag(job.entered).raise();
      new Flag(job.leave).block();
      return undefined;
    }

    case "readAll":
      return Object.entries(codecs).map(([name, codec]) =>
        LazyInit.from(job.handles[name]!, codec).value
      );

    case "place": {
      new Flag(job.start).block();
      const cell = new LazyInit(uint32, {
        buffer: job.memory,
        byteOffset: job.byteOffset,
      });
      return {
        won: cell.callOnce(() => job.value) !== undefined,
        value: cell.wait(),
      };
    }
  }
}

self.onmessage = async ({ data }: MessageEvent<Job>) => {
  try {
    self.postMessage({ result: await perform(data) });
  } catch (error) {
    const { name, message } = error as Error;
    self.postMessage({ error: { name, message } });
  }
};
const sleepers = new Sleepers();
sleepers.countThisAgent();
self.postMessage({ result: sleepers.buffer });
