// Copyright 2026 the lazyinit authors. MIT license.

/*
 * Views over a scenario's memory that ask before each word that is read or written
 * through them, and so are recorded. Typed arrays become proxies: their constructors,
 * and what looks into them, are replaced before the modules are loaded. A `DataView` has
 * no elements to intercept, so replaced methods do.
 *
 * What reads an array as a whole, as `join()` does, works on a copy of it that was read
 * word by word; what changes one works on a copy that is written back. So a method may
 * be said to read more than it does, but never less.
 */

/** Asks before a word of a memory is read or written plainly. */
export type Ask = (
  access: "read" | "write",
  memory: ArrayBufferLike,
  word: number,
) => void;

type TypedArray = Uint8Array | Int32Array;
type TypedArrayConstructor = new (...args: unknown[]) => TypedArray;
type Method = (...args: unknown[]) => unknown;

const WORD_SIZE = 4;
const TYPED_ARRAYS = [
  "Int8Array",
  "Uint8Array",
  "Uint8ClampedArray",
  "Int16Array",
  "Uint16Array",
  "Int32Array",
  "Uint32Array",
  "Float16Array",
  "Float32Array",
  "Float64Array",
  "BigInt64Array",
  "BigUint64Array",
];
/** Methods that change an array other than in a part that their arguments tell. */
const REORDERING = ["copyWithin", "reverse", "sort"];

/** What the proxies stand for. */
const targets = new WeakMap<object, TypedArray>();
const { Uint8Array: Bytes, DataView: Numbers } = globalThis;

/** Returns what a recorded view stands for, and every other value as it is. */
export function unwrap<T>(value: T): T {
  return targets.get(value as object) as T ?? value;
}

/** Has every view over one of `memories` ask that is made when it is one of them. */
export function recordViews(
  memories: WeakSet<ArrayBufferLike>,
  ask: Ask,
): void {
  const { prototype } = Object.getPrototypeOf(Bytes) as {
    prototype: TypedArray;
  };
  const { set, slice, subarray } = prototype as Uint8Array;

  /** Copies bytes from or to the memory, and asks for each word. */
  function transfer(
    access: "read" | "write",
    memory: ArrayBufferLike,
    byteOffset: number,
    copy: Uint8Array,
  ): void {
    const end = byteOffset + copy.length;
    for (let from = byteOffset; from < end;) {
      const word = Math.floor(from / WORD_SIZE);
      const to = Math.min(end, (word + 1) * WORD_SIZE);
      ask(access, memory, word);
      const shared = new Bytes(memory, from, to - from);
      const own = new Bytes(
        copy.buffer,
        copy.byteOffset + from - byteOffset,
        to - from,
      );
      if (access === "read") set.call(own, shared);
      else set.call(shared, own);
      from = to;
    }
  }

  function bytesOf({ buffer, byteOffset, byteLength }: TypedArray): Uint8Array {
    return new Bytes(buffer, byteOffset, byteLength);
  }

  /** Copies an array, or some elements of it, without asking. */
  function peek(view: TypedArray, from?: number, to?: number): TypedArray {
    return slice.call(view as Uint8Array, from, to);
  }

  function read(view: TypedArray, from?: number, to?: number): TypedArray {
    const copy = peek(view, from, to);
    const first = from ?? 0;
    const { buffer, byteOffset, BYTES_PER_ELEMENT } = view;
    const at = byteOffset + first * BYTES_PER_ELEMENT;
    transfer("read", buffer, at, bytesOf(copy));
    return copy;
  }

  /** Writes `part`, which is a part of a copy of the whole view. */
  function write(view: TypedArray, part: TypedArray): void {
    const { buffer, byteOffset } = view;
    transfer("write", buffer, byteOffset + part.byteOffset, bytesOf(part));
  }

  /** Calls a method of typed arrays on a recorded view. */
  function call(
    name: string,
    method: Method,
    view: TypedArray,
    args: unknown[],
  ): unknown {
    if (REORDERING.includes(name)) {
      const copy = read(view);
      method.apply(copy, args);
      write(view, copy);
      return proxies.get(view);
    }
    switch (name) {
      case "fill": {
        const [, from, to] = args as [unknown, number?, number?];
        const copy = peek(view);
        method.apply(copy, args);
        write(view, subarray.call(copy, from, to));
        return proxies.get(view);
      }
      case "set": {
        const [source, at = 0] = args as [ArrayLike<number>, number?];
        const copy = peek(view);
        method.apply(copy, args);
        return write(view, subarray.call(copy, at, at + source.length));
      }
      case "subarray": {
        const [from, to] = args as [number?, number?];
        const part = subarray.call(peek(view), from, to);
        return record(
          Reflect.construct(originalOf(view), [
            view.buffer,
            view.byteOffset + part.byteOffset,
            part.length,
          ]),
        );
      }
      default:
        return method.apply(read(view), args);
    }
  }

  const proxies = new WeakMap<TypedArray, TypedArray>();
  const handler: ProxyHandler<TypedArray> = {
    get(view, key, receiver) {
      const index = indexOf(view, key);
      return index === undefined
        ? Reflect.get(view, key, receiver)
        : read(view, index, index + 1)[0];
    },
    set(view, key, value) {
      const index = indexOf(view, key);
      if (index === undefined) return Reflect.set(view, key, value);
      const copy = peek(view, index, index + 1);
      copy[0] = value;
      const { buffer, byteOffset, BYTES_PER_ELEMENT } = view;
      const at = byteOffset + index * BYTES_PER_ELEMENT;
      transfer("write", buffer, at, bytesOf(copy));
      return true;
    },
  };

  function record(view: TypedArray): TypedArray {
    const proxy = new Proxy(view, handler);
    targets.set(proxy, view);
    proxies.set(view, proxy);
    return proxy;
  }

  function indexOf(
    view: TypedArray,
    key: string | symbol,
  ): number | undefined {
    if (typeof key === "symbol") return undefined;
    const index = Number(key);
    return Number.isInteger(index) && index >= 0 && index < view.length
      ? index
      : undefined;
  }

  /** Recorded views among the arguments are read, and given as their copies. */
  function readAll(args: unknown[]): unknown[] {
    return args.map((arg) => {
      const view = targets.get(arg as object);
      return view === undefined ? arg : read(view);
    });
  }

  for (const key of Reflect.ownKeys(prototype)) {
    const property = Object.getOwnPropertyDescriptor(prototype, key)!;
    const { get, value: method } = property;
    if (get !== undefined) {
      property.get = function (this: unknown) {
        return get.call(unwrap(this));
      };
    } else if (typeof method === "function" && key !== "constructor") {
      property.value = function (this: object, ...args: unknown[]) {
        const view = targets.get(this);
        return view === undefined
          ? method.apply(this, readAll(args))
          : call(String(key), method, view, readAll(args));
      };
    }
    Object.defineProperty(prototype, key, property);
  }

  const originals = new Map<unknown, TypedArrayConstructor>();
  function originalOf(view: TypedArray): TypedArrayConstructor {
    return originals.get(view.constructor)!;
  }

  const scope = globalThis as unknown as Record<string, TypedArrayConstructor>;
  for (const name of TYPED_ARRAYS) {
    const original = scope[name];
    if (original === undefined) continue;
    const replacement = new Proxy(original, {
      construct(target, args, newTarget) {
        const view = Reflect.construct(target, readAll(args), newTarget);
        return memories.has(view.buffer) ? record(view) : view;
      },
    });
    originals.set(replacement, original);
    original.prototype.constructor = replacement;
    scope[name] = replacement;
  }

  const { isView } = ArrayBuffer;
  Object.assign(ArrayBuffer, {
    isView: (value: unknown) => isView(unwrap(value)),
  });

  const methods = Numbers.prototype as unknown as Record<string, Method>;
  for (const name of Object.getOwnPropertyNames(methods)) {
    const bits = /^[gs]et\D+(\d+)$/.exec(name)?.[1];
    if (bits === undefined) continue;
    const method = methods[name]!;
    const size = Number(bits) / 8;
    methods[name] = function (
      this: DataView,
      offset: unknown,
      ...args: unknown[]
    ) {
      const at = Number(offset);
      if (
        !memories.has(this.buffer) || !(at >= 0) ||
        at + size > this.byteLength
      ) return method.call(this, offset, ...args);
      const copy = new Bytes(size);
      const numbers = new Numbers(copy.buffer);
      const byteOffset = this.byteOffset + at;
      if (name.startsWith("get")) {
        transfer("read", this.buffer, byteOffset, copy);
        return method.call(numbers, 0, ...args);
      }
      method.call(numbers, 0, ...args);
      transfer("write", this.buffer, byteOffset, copy);
    };
  }
}
