// Copyright 2026 the lazyinit authors. MIT license.

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import {
  AlreadyInitializedError,
  DeadlockError,
  LayoutMismatchError,
  NotInitializedError,
  OwnerLostError,
  RecursiveInitializationError,
} from "../errors.ts";
import {
  type Codec,
  float64,
  int32,
  json,
  LazyInit,
  type LazyInitHandle,
  MutexLazyInit,
  OnceState,
} from "../mod.ts";
import { Agents } from "./_agents.ts";
import { run } from "./_commands.ts";
import { pair, pairOf } from "./_jobs.ts";

const ERRORS = {
  AlreadyInitializedError,
  NotInitializedError,
  RecursiveInitializationError,
  LayoutMismatchError,
  OwnerLostError,
  DeadlockError,
};

/** How errors call a cell with this name. */
const NAMES = [
  ["", ""],
  ["answer", ' "answer"'],
  ['say "hi"\n', ' "say \\"hi\\"\\n"'],
] as const;

for (const [name, ErrorClass] of Object.entries(ERRORS)) {
  Deno.test(`${name}() is an Error of its own name and class`, () => {
    const error: Error = new ErrorClass("what went wrong");
    assertInstanceOf(error, Error);
    assertEquals(error.name, name);
    assertEquals(error.message, "what went wrong");
    assertEquals(String(error), `${name}: what went wrong`);
    assert(error.stack?.includes("errors_test.ts"));
    assertEquals(error.cause, undefined);
    // Neither of the others, so that callers can tell them apart
    const classes = Object.values(ERRORS).filter((C) => error instanceof C);
    assertEquals<unknown>(classes, [ErrorClass]);
  });
}

Deno.test("Error classes have their names where Error.prototype is frozen", async () => {
  const output = await run(Deno.execPath(), [
    "run",
    "--no-config",
    "tests/testdata/frozen_errors.ts",
  ]);
  const lines = Object.keys(ERRORS).sort().map((name) => `${name}: frozen`);
  assertEquals(output.split("\n"), lines);
});

Deno.test("AlreadyInitializedError.value is what was given, undefined by default", () => {
  const value = { a: 1 };
  assertStrictEquals(new AlreadyInitializedError("m", value).value, value);
  assertStrictEquals(new AlreadyInitializedError<null>("m", null).value, null);
  assertStrictEquals(new AlreadyInitializedError("m").value, undefined);
});

Deno.test("AlreadyInitializedError.value is the cell's value if that is initialized", () => {
  for (const value of [{ a: 1 }, null, 0, false, ""]) {
    const cell = new LazyInit(json(16));
    const made = cell.initOnce(value);
    const error = assertThrows(
      () => cell.initOnce(1),
      AlreadyInitializedError,
      "Cannot initialize LazyInit as it must be uninitialized: it is initialized, use get() or wait() instead",
    );
    assertStrictEquals(error.value, made);
  }
});

Deno.test("AlreadyInitializedError.value is the cell's value where this agent has not read it before", async () => {
  const cell = new MutexLazyInit(int32);
  cell.init(() => 1);
  const message =
    "Cannot initialize MutexLazyInit as it must be uninitialized: it is initialized, use get() or wait() instead";
  const attach = () => MutexLazyInit.from(cell.handle, int32);
  const error = assertThrows(
    () => attach().init(() => 2),
    AlreadyInitializedError,
    message,
  );
  assertEquals(error.value, 1);
  const rejected = await assertRejects(
    () => attach().initAsync(() => 2),
    AlreadyInitializedError,
    message,
  );
  assertEquals(rejected.value, 1);
});

Deno.test("AlreadyInitializedError.value is undefined while the cell is being initialized", async () => {
  using agents = await Agents.start(1);
  const cell = new LazyInit(pair);
  const made = await agents.callOnce(0, cell, pairOf(1));
  const error = assertThrows(
    () => cell.initOnce(pairOf(2)),
    AlreadyInitializedError,
    "Cannot initialize LazyInit as it must be uninitialized: it is being initialized, use get() or wait() instead",
  );
  assertStrictEquals(error.value, undefined);
  made.leave();
  await made.done;
});

Deno.test("AlreadyInitializedError.message names the cell", () => {
  for (const [name, shown] of NAMES) {
    const cell = new LazyInit(int32, { name });
    cell.initOnce(1);
    // The name goes with the handle
    for (const reader of [cell, LazyInit.from(cell.handle, int32)]) {
      assertThrows(
        () => reader.initOnce(2),
        AlreadyInitializedError,
        `Cannot initialize LazyInit${shown} as it must be`,
      );
    }
    const mutexCell = new MutexLazyInit(int32, { name });
    mutexCell.init(() => 1);
    assertThrows(
      () => mutexCell.init(() => 2),
      AlreadyInitializedError,
      `Cannot initialize MutexLazyInit${shown} as it must be`,
    );
  }
});

Deno.test("NotInitializedError.message names the cell", () => {
  for (const [name, shown] of NAMES) {
    for (const Cell of [LazyInit, MutexLazyInit]) {
      const cell = new Cell(int32, { name });
      assertThrows(
        () => cell.value,
        NotInitializedError,
        `Cannot read ${Cell.name}${shown} as it must be initialized: use get() or wait() instead`,
      );
    }
  }
});

Deno.test("NotInitializedError is thrown while the cell is being initialized", () => {
  for (const Cell of [LazyInit, MutexLazyInit]) {
    const cell = new Cell(int32);
    const { buffer, byteOffset } = cell.handle;
    assert(new OnceState(buffer, byteOffset).begin());
    assertThrows(
      () => cell.value,
      NotInitializedError,
      `Cannot read ${Cell.name} as`,
    );
  }
});

Deno.test("RecursiveInitializationError.message names the cell", async () => {
  for (const [name, shown] of NAMES) {
    const message = (kind: string) =>
      `Cannot enter ${kind}${shown} again as its initializer is running in this agent: use an asynchronous method from outside of the initializer instead`;
    const cell = new LazyInit(int32, { name });
    const mutexCell = new MutexLazyInit(int32, { name });
    for (
      const enter of [
        () => cell.initOnce(1),
        () => cell.callOnce(() => 1),
        () => cell.wait(),
      ]
    ) {
      assertThrows(
        () => cell.callOnce(() => (enter(), 1)),
        RecursiveInitializationError,
        message("LazyInit"),
      );
    }
    for (
      const enter of [
        () => mutexCell.init(() => 1),
        () => mutexCell.wait(),
        () => mutexCell.reset(),
      ]
    ) {
      assertThrows(
        () => mutexCell.init(() => (enter(), 1)),
        RecursiveInitializationError,
        message("MutexLazyInit"),
      );
    }
    await assertRejects(
      () =>
        mutexCell.initAsync(async () => {
          await Promise.resolve();
          return await mutexCell.getOrInitAsync(() => 1);
        }),
      RecursiveInitializationError,
      message("MutexLazyInit"),
    );
  }
});

Deno.test("LayoutMismatchError.message tells what was expected and what was found", () => {
  const buffer = new SharedArrayBuffer(64);
  const cell = new LazyInit(int32, { buffer, byteOffset: 8 });
  const { handle } = cell;
  const cases: [() => unknown, string][] = [
    [
      () => LazyInit.from(handle as LazyInitHandle, float64),
      "Cannot attach to LazyInit at byte 8 as it must be a LazyInit of float64 with 8 bytes: its handle says int32 with 4 bytes",
    ],
    [
      () =>
        LazyInit.from(
          { ...handle, tag: "float64", byteLength: 8 } as never,
          float64,
        ),
      "Cannot attach to LazyInit at byte 8 as it must be a LazyInit of float64 with 8 bytes: another kind, codec or capacity was placed there",
    ],
    [
      () => new MutexLazyInit(int32, { buffer, byteOffset: 8 }),
      "as it must be a MutexLazyInit of int32 with 4 bytes: another kind, codec or capacity was placed there",
    ],
    [
      // A type error, too
      () => MutexLazyInit.from(handle as never, int32),
      "Cannot attach to MutexLazyInit at byte 8 as it must be a MutexLazyInit of int32 with 4 bytes: its handle says LazyInit",
    ],
    [
      () => LazyInit.from({ ...handle, byteOffset: 40 }, int32),
      "Cannot attach to LazyInit at byte 40 as it must be a LazyInit of int32 with 4 bytes: no cell was placed there",
    ],
    [
      () => new LazyInit(int32, { buffer, byteOffset: 0 }),
      "Cannot place LazyInit at byte 0 as the memory must be zeroed or hold a cell: it holds something else",
    ],
  ];
  for (const [attempt, message] of cases) {
    assertThrows(attempt, LayoutMismatchError, message);
  }
});

Deno.test("AlreadyInitializedError tells an undefined value from one that is being made", () => {
  const codec: Codec<undefined> = {
    tag: "unit",
    byteLength: 0,
    encode() {},
    decode: () => undefined,
  };
  const cell = new LazyInit(codec);
  cell.initOnce(undefined);
  assertThrows(
    () => cell.initOnce(undefined),
    AlreadyInitializedError,
    "it is initialized",
  );
  const blocking = new MutexLazyInit(codec);
  blocking.init(() => undefined);
  assertThrows(
    () => blocking.init(() => undefined),
    AlreadyInitializedError,
    "it is initialized",
  );
});

Deno.test("LayoutMismatchError names the cell", () => {
  const buffer = new SharedArrayBuffer(LazyInit.byteLength(int32));
  const { handle } = new LazyInit(int32, { buffer, name: "answer" });
  for (
    const [attach, kind] of [
      [() => LazyInit.from(handle as never, float64), "LazyInit"],
      [() => MutexLazyInit.from(handle as never, int32), "MutexLazyInit"],
      [() => new LazyInit(float64, { buffer, name: "answer" }), "LazyInit"],
    ] as const
  ) {
    assertThrows(
      attach,
      LayoutMismatchError,
      `Cannot attach to ${kind} "answer" at byte 0`,
    );
  }
  const dirty = new SharedArrayBuffer(LazyInit.byteLength(int32));
  new Uint8Array(dirty)[20] = 1;
  assertThrows(
    () => new MutexLazyInit(int32, { buffer: dirty, name: "answer" }),
    LayoutMismatchError,
    'Cannot place MutexLazyInit "answer" at byte 0',
  );
});

for (
  const [where, remedy] of [
    [
      "not isolated",
      "serve the page with the headers 'Cross-Origin-Opener-Policy: same-origin' and 'Cross-Origin-Embedder-Policy: require-corp', or with 'Document-Isolation-Policy: isolate-and-require-corp' where the browser knows it",
    ],
    [
      "isolated",
      "the page is cross-origin isolated, so use a browser that has it",
    ],
  ] as const
) {
  Deno.test(`LazyInit says what to do where there is no SharedArrayBuffer (${where})`, async () => {
    const output = await run(Deno.execPath(), [
      "run",
      "--no-config",
      "tests/testdata/without_shared_memory.ts",
      where,
    ]);
    assertEquals(
      output,
      `TypeError: Cannot use shared memory as SharedArrayBuffer is not defined: ${remedy}`,
    );
  });
}
