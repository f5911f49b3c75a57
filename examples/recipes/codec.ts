// Copyright 2026 the lazyinit authors. MIT license.
// deno-lint-ignore-file no-console

import { type Codec, LazyInit } from "@lazyinit/lazyinit";
import { decode, encode } from "@msgpack/msgpack";

function messagePack<T>(): Codec<T> {
  return {
    tag: "messagePack",
    open: true, // values have no size before they are encoded
    byteLength: 2 ** 30, // the most that one may take; what is not used costs nothing
    encode(value, slot) {
      const bytes = encode(value);
      const { buffer, byteOffset } = slot.resize(bytes.length);
      new Uint8Array(buffer, byteOffset).set(bytes);
    },
    decode({ buffer, byteOffset, byteLength }) {
      // A copy, as many decoders do not take shared memory
      return decode(
        new Uint8Array(buffer, byteOffset, byteLength).slice(),
      ) as T;
    },
  };
}

const codec = messagePack<{ at: Date; tags: string[] }>();
const cell = new LazyInit(codec);
cell.initOnce({ at: new Date(0), tags: ["epoch"] });

// As in another agent, which gets the handle
const { at, tags } = LazyInit.from(cell.handle, codec).value;
console.log(at.toISOString(), ...tags);
