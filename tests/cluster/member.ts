// Copyright 2026 the lazyinit authors. MIT license.

import type { Answer, Command } from "./member_process.ts";
import type { StoreAddress } from "./stores.ts";

/** A call that a member was told to make. */
export interface Told {
  /** Resolves when its initializer runs. */
  readonly running: Promise<void>;
  /** Settles as the call, with what it resolves with and when. */
  readonly settled: Promise<Settled>;
}

/** What a call has resolved with. */
export interface Settled {
  readonly value: unknown;
  /** When, in ms of the machine. */
  readonly at: number;
  /** When its initializer had made the value, if it did. */
  readonly made?: number;
}

interface Pending {
  readonly running: () => void;
  readonly resolve: (settled: Settled) => void;
  readonly reject: (error: Error) => void;
}

const PROGRAM = new URL("member_process.ts", import.meta.url).pathname;
const CONFIG = new URL("../../deno.json", import.meta.url).pathname;

/** A process of a cluster, as the test that has started it sees it. */
export class Member implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #pending = new Map<number, Pending>();
  readonly #started = Promise.withResolvers<void>();
  readonly #answers: Promise<void>;
  #last = 0;

  private constructor(address: StoreAddress, lease: number) {
    this.#child = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--no-check",
        "--allow-all",
        "--unstable-kv",
        `--config=${CONFIG}`,
        PROGRAM,
        JSON.stringify(address),
        String(lease),
      ],
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    this.#input = this.#child.stdin.getWriter();
    this.#answers = this.#listen();
  }

  /** The id of the process. */
  get pid(): number {
    return this.#child.pid;
  }

  /** Starts a process, and resolves when it takes commands. */
  static async start(address: StoreAddress, lease: number): Promise<Member> {
    const member = new Member(address, lease);
    await member.#started.promise;
    return member;
  }

  /** Makes the process call something. */
  tell(command: Omit<Command, "id">): Told {
    const id = ++this.#last;
    const running = Promise.withResolvers<void>();
    const settled = Promise.withResolvers<Settled>();
    // A process that is killed never answers
    settled.promise.catch(() => {});
    this.#pending.set(id, {
      running: running.resolve,
      resolve: settled.resolve,
      reject: settled.reject,
    });
    const line = `${JSON.stringify({ id, ...command })}\n`;
    this.#input.write(new TextEncoder().encode(line)).catch(() => {});
    return { running: running.promise, settled: settled.promise };
  }

  /** Makes the process call something, and resolves with what that resolves with. */
  async call(command: Omit<Command, "id">): Promise<unknown> {
    return (await this.tell(command).settled).value;
  }

  /** Ends, stops or continues the process. */
  signal(signal: "SIGKILL" | "SIGSTOP" | "SIGCONT"): void {
    this.#child.kill(signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#input.close().catch(() => {});
    await this.#child.status;
    await this.#answers;
  }

  async #listen(): Promise<void> {
    let rest = "";
    const text = this.#child.stdout.pipeThrough(new TextDecoderStream());
    for await (const chunk of text) {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop()!;
      for (const line of lines) this.#take(JSON.parse(line));
    }
    const ended = new Error("The process has ended");
    for (const { reject } of this.#pending.values()) reject(ended);
  }

  #take({ id, running, value, error, at, made }: Answer): void {
    if (id === 0) return this.#started.resolve();
    const pending = this.#pending.get(id)!;
    if (running) return pending.running();
    this.#pending.delete(id);
    if (error === undefined) {
      return pending.resolve({
        value,
        at: at!,
        ...(made === undefined ? {} : { made }),
      });
    }
    const thrown = new Error(error.message);
    thrown.name = error.name;
    pending.reject(thrown);
  }
}
