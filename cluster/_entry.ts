// Copyright 2026 the lazyinit authors. MIT license.

/*
 * The bytes of an entry, little-endian:
 *
 *    0  "lazyinit"
 *    8  version of this layout
 *    9  phase
 *   10  byte order of the machine, as views lie in memory in that order
 *   11  zero
 *   12  failures, 32 bits
 *   16  generation, 64 bits
 *   24  nonce, 64 bits
 *   32  owner, 64 bits
 *   40  lease, 32 bits
 *   44  length of the codec's tag, 32 bits
 *   48  length of the codec's slot, 32 bits
 *   52  length of the value, 32 bits: the slot without the zeroes at its end
 *   56  tag, in UTF-8
 *       value
 */

import { LayoutMismatchError } from "../errors.ts";
import type { Phase } from "../mod.ts";
import type { Encoded } from "./_scratch.ts";

/** What a cell writes under its key. */
export interface EntryRecord {
  readonly phase: Phase;
  /** Grows if and only if a value is reset, or a cell is taken from its owner. */
  readonly generation: number;
  /** Drawn for each write, so that a process recognizes its own (C5). */
  readonly nonce: bigint;
  /** Drawn for each run of an initializer: the run that owns, or has made the value. */
  readonly owner: bigint;
  /** How long the owner may be silent, in ms (C4). */
  readonly lease: number;
  /** How many runs have failed, or were lost, in a row. */
  readonly failures: number;
  /** The tag of the codec. */
  readonly tag: string;
  readonly value: Encoded;
}

/** The value of an entry that has none. */
export const NO_VALUE: Encoded = { byteLength: 0, bytes: new Uint8Array(0) };

/** A lease below this leaves no time for beats. */
export const MIN_LEASE = 1_000;
/** What a timer of the platform can count. */
export const MAX_LEASE = 2 ** 31 - 1;

const PHASES: readonly Phase[] = [
  "uninitialized",
  "initializing",
  "initialized",
];
const MAGIC = new TextEncoder().encode("lazyinit");
const LAYOUT_VERSION = 1;
const LITTLE_ENDIAN = true;
const BYTE_ORDER = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1 ? 1 : 2;

const VERSION_AT = 8;
const PHASE_AT = 9;
const BYTE_ORDER_AT = 10;
const FAILURES_AT = 12;
const GENERATION_AT = 16;
const NONCE_AT = 24;
const OWNER_AT = 32;
const LEASE_AT = 40;
const TAG_LENGTH_AT = 44;
const SLOT_LENGTH_AT = 48;
const VALUE_LENGTH_AT = 52;
const HEADER_LENGTH = 56;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Returns how many bytes {@linkcode encodeRecord} makes of `record`. */
export function recordByteLength({ tag, value }: EntryRecord): number {
  return HEADER_LENGTH + encoder.encode(tag).length + value.bytes.length;
}

/** Returns the bytes of `record`. */
export function encodeRecord(record: EntryRecord): Uint8Array {
  const tag = encoder.encode(record.tag);
  const { byteLength, bytes } = record.value;
  const entry = new Uint8Array(HEADER_LENGTH + tag.length + bytes.length);
  const view = new DataView(entry.buffer);
  entry.set(MAGIC);
  entry[VERSION_AT] = LAYOUT_VERSION;
  entry[PHASE_AT] = PHASES.indexOf(record.phase);
  entry[BYTE_ORDER_AT] = BYTE_ORDER;
  view.setUint32(FAILURES_AT, record.failures, LITTLE_ENDIAN);
  view.setBigUint64(GENERATION_AT, BigInt(record.generation), LITTLE_ENDIAN);
  view.setBigUint64(NONCE_AT, record.nonce, LITTLE_ENDIAN);
  view.setBigUint64(OWNER_AT, record.owner, LITTLE_ENDIAN);
  view.setUint32(LEASE_AT, record.lease, LITTLE_ENDIAN);
  view.setUint32(TAG_LENGTH_AT, tag.length, LITTLE_ENDIAN);
  view.setUint32(SLOT_LENGTH_AT, byteLength, LITTLE_ENDIAN);
  view.setUint32(VALUE_LENGTH_AT, bytes.length, LITTLE_ENDIAN);
  entry.set(tag, HEADER_LENGTH);
  entry.set(bytes, HEADER_LENGTH + tag.length);
  return entry;
}

/** Returns what `entry` says. Throws unless this version of the package has written it. */
export function decodeRecord(entry: Uint8Array): EntryRecord {
  if (
    entry.length < HEADER_LENGTH ||
    MAGIC.some((byte, index) => entry[index] !== byte)
  ) throw foreign("it was written by another program");
  if (entry[VERSION_AT] !== LAYOUT_VERSION) {
    throw foreign(`it has version ${entry[VERSION_AT]} of the layout`);
  }
  if (entry[BYTE_ORDER_AT] !== BYTE_ORDER) {
    throw foreign("it was written by a machine of another byte order");
  }
  const view = new DataView(entry.buffer, entry.byteOffset, entry.byteLength);
  const phase = PHASES[entry[PHASE_AT]!];
  const generation = Number(view.getBigUint64(GENERATION_AT, LITTLE_ENDIAN));
  const lease = view.getUint32(LEASE_AT, LITTLE_ENDIAN);
  const tagLength = view.getUint32(TAG_LENGTH_AT, LITTLE_ENDIAN);
  const byteLength = view.getUint32(SLOT_LENGTH_AT, LITTLE_ENDIAN);
  const valueLength = view.getUint32(VALUE_LENGTH_AT, LITTLE_ENDIAN);
  const valueAt = HEADER_LENGTH + tagLength;
  if (
    phase === undefined || !Number.isSafeInteger(generation) ||
    lease < MIN_LEASE || lease > MAX_LEASE || valueLength > byteLength ||
    valueAt + valueLength !== entry.length
  ) throw foreign("it is damaged");
  let tag: string;
  try {
    tag = decoder.decode(entry.subarray(HEADER_LENGTH, valueAt));
  } catch {
    throw foreign("it is damaged");
  }
  return {
    phase,
    generation,
    nonce: view.getBigUint64(NONCE_AT, LITTLE_ENDIAN),
    owner: view.getBigUint64(OWNER_AT, LITTLE_ENDIAN),
    lease,
    failures: view.getUint32(FAILURES_AT, LITTLE_ENDIAN),
    tag,
    value: { byteLength, bytes: entry.subarray(valueAt) },
  };
}

function foreign(found: string): LayoutMismatchError {
  return new LayoutMismatchError(
    `Cannot read the entry as it must be an entry of ClusterLazyInit: ${found}`,
  );
}
