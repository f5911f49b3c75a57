// Copyright 2026 the lazyinit authors. MIT license.

type Message =
  | { value: unknown }
  | { error: { name: string; message: string } };

/** One end of a conversation between two agents, whatever carries the messages. */
export class Port {
  readonly #post: (message: Message) => void;
  readonly #received: Message[] = [];
  readonly #wanted: ((message: Message) => void)[] = [];

  constructor(post: (message: Message) => void) {
    this.#post = post;
  }

  send(value: unknown): void {
    this.#post({ value });
  }

  /** Makes the other end's {@linkcode next} reject. */
  fail(error: unknown): void {
    const { name, message } = error as Error;
    this.#post({ error: { name, message } });
  }

  /** Resolves with what the other end sends next. */
  // deno-lint-ignore no-explicit-any
  async next(): Promise<any> {
    const message = this.#received.shift() ??
      await new Promise<Message>((resolve) => this.#wanted.push(resolve));
    if ("value" in message) return message.value;
    const error = new Error(message.error.message);
    error.name = message.error.name;
    throw error;
  }

  /** Takes a message that was carried here. */
  receive(message: Message): void {
    const resolve = this.#wanted.shift();
    if (resolve) resolve(message);
    else this.#received.push(message);
  }
}
