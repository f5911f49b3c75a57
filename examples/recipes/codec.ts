// Copyright 2026 the lazyinit authors. MIT license.
// deno-lint-ignore-file no-console

import { type Codec, LazyInit } from "@lazyinit/lazyinit";
import { decode, encode } from "@msgpack/msgpack";

function messagePack<T>(maxByteLength: number): Codec<T> {
  return {
    tag: `messagePack[${maxByteLength}]`,
    byteLength: 4 + maxByteLength,
    encode(value, { buffer, byteOffset }) {
      const bytes = encode(value);
      if (bytes.length > maxByteLength) {
        throw new RangeError(
          `Cannot encode ${bytes.length} bytes as at most ${maxByteLength} fit`,
        );
      }
      new DataView(buffer).setUint32(byteOffset, bytes.length);
      new Uint8Array(buffer, byteOffset + 4).set(bytes);
    },
    decode({ buffer, byteOffset }) {
      const length = new DataView(buffer).getUint32(byteOffset);
      // A copy, as many decoders do not take shared memory
      const bytes = new Uint8Array(buffer, byteOffset + 4, length).slice();
      return decode(bytes) as T;
    },
  };
}

const codec = messagePack<{ at: Date; tags: string[] }>(256);
const cell = new LazyInit(codec);
cell.initOnce({ at: new Date(0), tags: ["epoch"] });

// As in another agent, which gets the handle
const { at, tags } = LazyInit.from(cell.handle, codec).value;
console.log(at.toISOString(), ...tags);
