// Copyright 2026 the lazyinit authors. MIT license.

/*
 * Real processes over real engines: what the simulation cannot know. ROUNDS sets how often
 * eight race; ENGINES chooses engines.
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { EtcdStore } from "../../cluster/etcd.ts";
import { ClusterLazyInit, PermanentStoreError } from "../../cluster/mod.ts";
import { SqliteStore } from "../../cluster/sqlite.ts";
import { string } from "../../codec.ts";
import { Member } from "./member.ts";
import { startEngine } from "./engines.ts";
import {
  type EtcdCluster,
  startEtcd,
  startPostgres,
  startWay,
} from "./servers.ts";
import { type Engine, openStore, type StoreAddress } from "./stores.ts";

/** Makes etcd ask for users: "app" may read and write what begins with "app/". */
async function enableAuth({ ask }: EtcdCluster): Promise<void> {
  for (
    const [path, body] of [
      ["user/add", { name: "root", password: "root" }],
      ["user/grant", { user: "root", role: "root" }],
      ["user/add", { name: "app", password: "secret" }],
      ["role/add", { name: "app" }],
      ["role/grant", {
        name: "app",
        perm: { permType: 2, key: btoa("app/"), range_end: btoa("app0") },
      }],
      ["user/grant", { user: "app", role: "app" }],
      ["enable", {}],
    ] as const
  ) await ask(`auth/${path}`, body);
}

/** Changes the roles of a cluster that asks for users. */
async function addRole(
  { ask, endpoints }: EtcdCluster,
  name: string,
): Promise<void> {
  const root = { name: "root", password: "root" };
  const { token } = Object(await ask("auth/authenticate", root));
  const added = await fetch(`${endpoints[0]}/v3/auth/role/add`, {
    method: "POST",
    headers: { Authorization: token },
    body: JSON.stringify({ name }),
  });
  const answer = await added.text();
  assert(added.ok, answer);
}

const LEASE = 3_000;
const RACERS = 8;
const ROUNDS = Number(Deno.env.get("ROUNDS") ?? 100);
const KEYS = 100;
const ENGINES = (Deno.env.get("ENGINES") ?? "sqlite,deno-kv,etcd,postgres")
  .split(",") as Engine[];

async function startMembers(
  address: StoreAddress,
  count: number,
): Promise<Member[]> {
  return await Promise.all(
    Array.from({ length: count }, () => Member.start(address, LEASE)),
  );
}

/** Whether a call has not settled before another has. */
async function first<A, B>(a: Promise<A>, b: Promise<B>): Promise<"a" | "b"> {
  return await Promise.race([
    a.then(() => "a" as const),
    b.then(() => "b" as const),
  ]);
}

for (const engine of ENGINES) {
  Deno.test(`${engine}: processes initialize once`, async (t) => {
    await using running = await startEngine(engine);
    const { address } = running;
    const members = await startMembers(address, RACERS);
    await using cleanup = new AsyncDisposableStack();
    for (const member of members) cleanup.use(member);
    const [a, b, c] = members as [Member, Member, Member];

    await t.step("eight race for each of many keys", async () => {
      for (let round = 0; round < ROUNDS; round++) {
        const key = `race ${round}`;
        const settled = await Promise.all(
          members.map((member, index) =>
            member.tell({ key, call: "getOrInit", value: `by ${index}` })
              .settled
          ),
        );
        const maker = settled.findIndex(({ made }) => made !== undefined);
        assertEquals(
          settled.filter(({ made }) => made !== undefined).length,
          1,
        );
        for (const { value } of settled) assertEquals(value, `by ${maker}`);
      }
    });

    await t.step("a reset is seen by all", async () => {
      const key = "reset";
      assertEquals(await a.call({ key, call: "getOrInit", value: "1" }), "1");
      for (const member of members) {
        assertEquals(await member.call({ key, call: "wait" }), "1");
      }
      const resets = await Promise.all(
        members.map((member) => member.call({ key, call: "reset" })),
      );
      assertEquals(resets.filter((reset) => reset).length, 1);
      for (const member of members) {
        assertEquals(await member.call({ key, call: "refresh" }), undefined);
      }
      assertEquals(await b.call({ key, call: "getOrInit", value: "2" }), "2");
      for (const member of members) {
        assertEquals(await member.call({ key, call: "wait" }), "2");
      }
    });

    await t.step(
      "of initializers that fail each caller gets its error, and the next goes on",
      async () => {
        const key = "failing";
        const failing = members.slice(1).map((member) =>
          member.tell({ key, call: "getOrInit" }).settled
        );
        for (const call of failing) {
          await assertRejects(() => call, Error, "No value");
        }
        assertEquals(await a.call({ key, call: "getOrInit", value: "1" }), "1");
        assertEquals(await b.call({ key, call: "wait" }), "1");
      },
    );

    await t.step("a hundred cells", async () => {
      const values = await Promise.all(
        members.slice(0, 3).map((member, index) =>
          Promise.all(Array.from({ length: KEYS }, (_, number) =>
            member.call({
              key: `cell ${number}`,
              call: "getOrInit",
              value: `${number} by ${index}`,
            })))
        ),
      );
      assertEquals(values[0]!.length, KEYS);
      assertEquals(values[1], values[0]);
      assertEquals(values[2], values[0]);
    });

    if (running.kill !== undefined) {
      await t.step("a server that stops and starts is waited for", async () => {
        const key = "outage";
        const owner = a.tell({
          key,
          call: "getOrInit",
          value: "1",
          duration: 500,
        });
        await owner.running;
        await running.kill!();
        const waiter = b.tell({ key, call: "getOrInit", value: "2" });
        const other = c.tell({
          key: "outage 2",
          call: "getOrInit",
          value: "3",
        });
        await running.restart!();
        const { value } = await owner.settled;
        assertEquals((await waiter.settled).value, value);
        assertEquals((await other.settled).value, "3");
      });
    }

    await t.step(
      "an owner that is paused for longer than its lease is succeeded, and takes the value of its successor",
      async () => {
        const key = "paused";
        const paused = a.tell({
          key,
          call: "getOrInit",
          value: "1",
          duration: LEASE,
        });
        const strict = c.tell({
          key: "paused 2",
          call: "init",
          value: "1",
          duration: LEASE,
        });
        await Promise.all([paused.running, strict.running]);
        a.signal("SIGSTOP");
        c.signal("SIGSTOP");
        try {
          assertEquals(
            await b.call({ key, call: "getOrInit", value: "2" }),
            "2",
          );
          assertEquals(
            await b.call({ key: "paused 2", call: "getOrInit", value: "2" }),
            "2",
          );
        } finally {
          a.signal("SIGCONT");
          c.signal("SIGCONT");
        }
        assertEquals((await paused.settled).value, "2");
        const error = await assertRejects(() => strict.settled);
        assertEquals((error as Error).name, "OwnerLostError");
      },
    );

    await t.step(
      "an owner that is killed is succeeded when its lease is over",
      async () => {
        const key = "killed";
        const owner = a.tell({
          key,
          call: "getOrInit",
          value: "1",
          duration: -1,
        });
        await owner.running;
        const waiters = members.slice(1).map((member, index) =>
          member.tell({ key, call: "getOrInit", value: `by ${index}` }).settled
        );
        const reset = b.tell({ key: "another", call: "reset" }).settled;
        assertEquals(await first(reset, Promise.any(waiters)), "a");
        a.signal("SIGKILL");
        const values = (await Promise.all(waiters)).map(({ value }) => value);
        assert(/^by \d$/.test(String(values[0])), String(values[0]));
        assertEquals(new Set(values).size, 1);
      },
    );
  });
}

if (ENGINES.includes("postgres")) {
  Deno.test("postgres: dropped connections are survived", async () => {
    await using server = await startPostgres();
    const address = {
      engine: "postgres",
      places: ["127.0.0.1", String(server.port)],
    } as const;
    const members = await startMembers(address, 2);
    await using cleanup = new AsyncDisposableStack();
    for (const member of members) cleanup.use(member);
    const [a, b] = members as [Member, Member];
    const key = "dropped";
    const owner = a.tell({ key, call: "getOrInit", value: "1", duration: 500 });
    await owner.running;
    const waiter = b.tell({ key, call: "wait" });
    await server.dropConnections();
    assertEquals((await owner.settled).value, "1");
    assertEquals((await waiter.settled).value, "1");
    // By the notification, which has come back
    await server.dropConnections();
    assertEquals(await a.call({ key, call: "reset" }), true);
    while (await b.call({ key, call: "get" }) !== undefined);
  });

  Deno.test("postgres: small entries are told with the change, and of large ones that there is another", async () => {
    await using server = await startPostgres();
    await using opened = await openStore({
      engine: "postgres",
      places: ["127.0.0.1", String(server.port)],
    });
    const { store } = opened;
    const controller = new AbortController();
    const key = "a key\nof two lines";
    const changes = store.watch(key, controller.signal)[Symbol.asyncIterator]();
    assertEquals((await changes.next()).value, null);
    let version = 0n;
    for (
      const value of [
        Uint8Array.of(0, 255),
        new Uint8Array(4_500),
        new Uint8Array(4_501),
      ]
    ) {
      await store.set("another key", Uint8Array.of(1), 0n);
      version = (await store.set(key, value, version))!;
      const isTold = value.length <= 4_500;
      assertEquals(
        (await changes.next()).value,
        isTold ? { value, version } : null,
      );
      assertEquals(await store.get(key), { value, version });
    }
    controller.abort();
    assertEquals((await changes.next()).done, true);
    await assertRejects(
      () => store.get("\0"),
      PermanentStoreError,
      "Cannot use the store as PostgreSQL refuses: invalid byte sequence",
    );
  });
}

if (ENGINES.includes("etcd")) {
  Deno.test("etcd: three members lose their leader", async () => {
    await using cluster = await startEtcd(3);
    const address = { engine: "etcd", places: cluster.endpoints } as const;
    const members = await startMembers(address, 3);
    await using cleanup = new AsyncDisposableStack();
    for (const member of members) cleanup.use(member);
    const [a, b, c] = members as [Member, Member, Member];
    const key = "leader";
    const owner = a.tell({
      key,
      call: "getOrInit",
      value: "1",
      duration: 1_000,
    });
    await owner.running;
    const waiter = b.tell({ key, call: "getOrInit", value: "2" });
    const leader = cluster.members[await cluster.leader()]!;
    await leader.kill();
    const other = c.tell({ key: "leader 2", call: "getOrInit", value: "3" });
    const { value } = await owner.settled;
    assertEquals((await waiter.settled).value, value);
    assertEquals((await other.settled).value, "3");
    await leader.restart();
    assertEquals(await c.call({ key, call: "wait" }), value);
  });

  Deno.test("etcd: users, permissions, tokens that run out, and limits", async () => {
    await using cluster = await startEtcd(1);
    const { endpoints, members } = cluster;
    await enableAuth(cluster);

    await using stranger = new EtcdStore(endpoints);
    await assertRejects(() => stranger.get("app/a"), PermanentStoreError);
    await using liar = new EtcdStore(endpoints, {
      username: "app",
      password: "wrong",
      prefix: "",
    });
    await assertRejects(
      () => liar.get("app/a"),
      PermanentStoreError,
      "authentication failed",
    );
    await using store = new EtcdStore(endpoints, {
      username: "app",
      password: "secret",
      prefix: "",
      maxByteLength: 10_000_000,
    });
    await assertRejects(
      () => store.set("other", Uint8Array.of(1), 0n),
      PermanentStoreError,
      "permission denied",
    );
    const version = await store.set("app/a", Uint8Array.of(1), 0n);
    assert(version !== null);
    await assertRejects(
      () => store.set("app/a", new Uint8Array(4_000_000), version),
      PermanentStoreError,
    );
    assertEquals((await store.get("app/a"))?.version, version);

    // It forgets all tokens
    await members[0]!.kill();
    await members[0]!.restart();
    assertEquals((await store.get("app/a"))?.version, version);

    await using ours = new EtcdStore(endpoints, {
      username: "app",
      password: "secret",
      prefix: "app/",
    });
    await using here = new ClusterLazyInit(ours, "b", string(64));
    const waiting = here.wait();
    await using there = new ClusterLazyInit(store, "app/b", string(64));
    assertEquals(await there.getOrInit(() => "b"), "b");
    assertEquals(await waiting, "b");
  });
}

if (ENGINES.includes("etcd")) {
  Deno.test("etcd: a watch goes on after its revision was compacted", async () => {
    await using cluster = await startEtcd(1);
    const { endpoints, ask } = cluster;
    await using way = startWay(endpoints[0]!);
    await using direct = new EtcdStore(endpoints);
    await using store = new EtcdStore([way.endpoint]);
    const controller = new AbortController();
    const changes = store.watch("key", controller.signal)
      [Symbol.asyncIterator]();
    assertEquals((await changes.next()).value, null);
    const first = await direct.set("key", Uint8Array.of(1), 0n);
    assertEquals((await changes.next()).value?.version, first);
    way.close();
    const second = await direct.set("key", Uint8Array.of(2), first!);
    await direct.set("other", Uint8Array.of(3), 0n);
    await ask("kv/compaction", { revision: String(second! + 1n) });
    way.open();
    // That it is not known which entry there is
    assertEquals((await changes.next()).value, null);
    assertEquals((await store.get("key"))?.version, second);
    const third = await direct.set("key", Uint8Array.of(4), second!);
    assertEquals((await changes.next()).value?.version, third);
    controller.abort();
    assertEquals((await changes.next()).done, true);
  });

  Deno.test("etcd: a watch that is not permitted is refused for good, and one whose token has run out gets another", async () => {
    await using cluster = await startEtcd(1);
    const { endpoints, members } = cluster;
    await enableAuth(cluster);
    const user = { username: "app", password: "secret" };
    const { signal } = new AbortController();
    const watch = (store: EtcdStore) =>
      store.watch("a", signal)[Symbol.asyncIterator]();

    await using narrow = new EtcdStore(endpoints, { ...user, prefix: "a" });
    await assertRejects(
      () => watch(narrow).next(),
      PermanentStoreError,
      "permission denied",
    );
    await using stranger = new EtcdStore(endpoints, { prefix: "app/" });
    await assertRejects(
      () => watch(stranger).next(),
      PermanentStoreError,
      "user name is empty",
    );
    await using liar = new EtcdStore(endpoints, { token: "x", prefix: "app/" });
    await assertRejects(
      () => watch(liar).next(),
      PermanentStoreError,
      "invalid auth token",
    );

    await using store = new EtcdStore(endpoints, { ...user, prefix: "app/" });
    const changes = watch(store);
    assertEquals((await changes.next()).value, null);
    // It forgets all tokens
    await members[0]!.kill();
    await members[0]!.restart();
    // The watch alone has to get a new one
    await using other = new EtcdStore(endpoints, { ...user, prefix: "app/" });
    const version = await other.set("a", Uint8Array.of(1), 0n);
    for (;;) {
      const { value } = await changes.next();
      if (value !== null) {
        assertEquals(value.version, version);
        break;
      }
    }
  });

  Deno.test("etcd: a token from before roles have changed is replaced", async () => {
    await using cluster = await startEtcd(1, "jwt");
    const { endpoints } = cluster;
    await enableAuth(cluster);
    await using store = new EtcdStore(endpoints, {
      username: "app",
      password: "secret",
      prefix: "app/",
    });
    const version = await store.set("a", Uint8Array.of(1), 0n);
    await addRole(cluster, "other");
    assertEquals((await store.get("a"))?.version, version);
  });

  Deno.test("etcd: a member that takes connections and never answers is left", async () => {
    await using cluster = await startEtcd(1);
    using silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = silent.addr as Deno.NetAddr;
    const endpoints = [`http://127.0.0.1:${port}`, ...cluster.endpoints];
    await using store = new EtcdStore(endpoints);
    await using cell = new ClusterLazyInit(store, "key", string(64), {
      lease: 1_000,
    });
    assertEquals(await cell.getOrInit(() => "value"), "value");
  });

  Deno.test("etcd: a server that is not etcd is refused", async () => {
    await using server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen() {} },
      () => Response.json({}),
    );
    await using store = new EtcdStore([`http://127.0.0.1:${server.addr.port}`]);
    await using cell = new ClusterLazyInit(store, "key", string(64));
    await assertRejects(
      () => cell.getOrInit(() => "value"),
      PermanentStoreError,
      "'revision' must be the text of a number: current value is undefined",
    );
  });
}

/** A disk of 300 KiB, where the machine lets this process have one. */
async function mountSmallDisk(folder: string): Promise<boolean> {
  const { success } = await new Deno.Command("mount", {
    args: ["-t", "tmpfs", "-o", "size=300k", "tmpfs", folder],
    stderr: "null",
  }).output();
  return success;
}

Deno.test("sqlite: a file on a full disk", async () => {
  const folder = await Deno.makeTempDir();
  const mounted = await mountSmallDisk(folder);
  try {
    await using store = new SqliteStore(`${folder}/store.db`);
    await using small = new ClusterLazyInit(store, "small", string(1_000_000));
    await using large = new ClusterLazyInit(store, "large", string(1_000_000));
    assertEquals(await small.getOrInit(() => "small"), "small");
    // Elsewhere the codec is what is full
    const error = await assertRejects(() =>
      large.getOrInit(() => "x".repeat(mounted ? 500_000 : 1_000_001))
    );
    assertEquals(error instanceof PermanentStoreError, mounted);
    assert(!mounted || String(error).includes("database or disk is full"));
    assertEquals(await large.refresh(), undefined);
    assertEquals(await small.refresh(), "small");
    assertEquals(await large.getOrInit(() => "large"), "large");
  } finally {
    if (mounted) await new Deno.Command("umount", { args: [folder] }).output();
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("sqlite: a file that is not a database, and a damaged one", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/text`, "x".repeat(10_000));
    for (const path of [`${folder}/text`, folder, `${folder}/none/at/all`]) {
      await using store = new SqliteStore(path);
      await assertRejects(() => store.get("key"), PermanentStoreError, path);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("sqlite: a file that was deleted or replaced is refused, as other processes use another", async () => {
  for (const replace of [false, true]) {
    const folder = await Deno.makeTempDir();
    const path = `${folder}/store.db`;
    try {
      await using store = new SqliteStore(path);
      await using cell = new ClusterLazyInit(store, "key", string(64));
      await cell.getOrInit(() => "old");
      for (const suffix of ["", "-wal", "-shm"]) {
        await Deno.remove(path + suffix);
      }
      await using successor = new SqliteStore(path);
      if (replace) await successor.set("key", Uint8Array.of(1), 0n);
      for (const call of [() => cell.refresh(), () => cell.reset()]) {
        await assertRejects(
          call as () => Promise<unknown>,
          PermanentStoreError,
          `Cannot use the store ${
            JSON.stringify(path)
          } as its file must be the one that was opened: it was deleted or replaced`,
        );
      }
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  }
});

Deno.test("sqlite: tables that another program has made or changed are refused, and left as they are", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const foreign = new DatabaseSync(`${folder}/foreign.db`);
    foreign.exec("CREATE TABLE lazyinit_entry (id INTEGER)");
    foreign.close();
    await using stranger = new SqliteStore(`${folder}/foreign.db`);
    await assertRejects(
      () => stranger.get("key"),
      PermanentStoreError,
      "no such column",
    );
    await using store = new SqliteStore(`${folder}/store.db`);
    const value = Uint8Array.of(1);
    await store.set("key", value, 0n);
    const other = new DatabaseSync(`${folder}/store.db`);
    other.exec("UPDATE lazyinit_version SET last = 0");
    // A version that another key has must not take its place
    await assertRejects(
      () => store.set("other", value, 0n),
      PermanentStoreError,
      "UNIQUE constraint failed",
    );
    assertEquals(await store.get("key"), { value, version: 1n });
    other.exec("DROP TABLE lazyinit_entry");
    other.close();
    await assertRejects(
      () => store.get("key"),
      PermanentStoreError,
      "no such table",
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("sqlite: a file that stays locked is told as busy, which is not for good", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await using store = new SqliteStore(`${folder}/store.db`);
    await store.get("key");
    const other = new DatabaseSync(`${folder}/store.db`);
    other.exec("BEGIN IMMEDIATE");
    const error = await assertRejects(
      () => store.set("key", Uint8Array.of(1), 0n),
      Error,
      "database is locked",
    );
    assert(!(error instanceof PermanentStoreError));
    other.exec("COMMIT");
    other.close();
    assertEquals(await store.set("key", Uint8Array.of(1), 0n), 1n);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("sqlite: while another process writes, the event loop goes on", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await using store = new SqliteStore(`${folder}/store.db`);
    await store.get("key");
    const other = new DatabaseSync(`${folder}/store.db`);
    other.exec("BEGIN IMMEDIATE");
    const writing = store.set("key", Uint8Array.of(1), 0n);
    let turns = 0;
    while (turns < 20) {
      await new Promise((resolve) => setTimeout(resolve, 1));
      turns++;
    }
    assertEquals(
      await Promise.race([writing, Promise.resolve("pending")]),
      "pending",
    );
    // Readers do not wait
    assertEquals(await store.get("key"), null);
    other.exec("COMMIT");
    other.close();
    assertEquals(await writing, 1n);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

/** Returns the path of a runtime that npx brings. */
async function findRuntime(name: string): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command("npx", {
    args: ["-y", name, "--print", "process.execPath"],
  }).output();
  const decoder = new TextDecoder();
  if (!success) throw new Error(decoder.decode(stderr));
  return decoder.decode(stdout).trim();
}

Deno.test("sqlite: Deno, Node and Bun share a file", async () => {
  const folder = await Deno.makeTempDir();
  const program = new URL("portable.ts", import.meta.url).pathname;
  const runtimes = [
    [Deno.execPath(), "run", "--no-check", "--allow-all"],
    [await findRuntime("node@24")],
    [await findRuntime("node@26")],
    [await findRuntime("bun@1.4.5")],
  ];
  try {
    const printed = await Promise.all(
      runtimes.map(async ([command, ...args], index) => {
        const { stdout, stderr } = await new Deno.Command(command!, {
          args: [...args, program, `${folder}/store.db`, `runtime ${index}`],
        }).output();
        const decoder = new TextDecoder();
        return decoder.decode(stdout) || decoder.decode(stderr);
      }),
    );
    const [name, ...numbers] = JSON.parse(printed[0]!);
    assert(/^runtime \d$/.test(name), name);
    assertEquals(numbers, [1, 2, 3]);
    assertEquals(printed, printed.map(() => printed[0]!));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

if (ENGINES.includes("deno-kv")) {
  Deno.test("deno-kv: Deno and Node, by npm's @deno/kv, share a file", async () => {
    await using running = await startEngine("deno-kv");
    const [path] = running.address.places;
    const folder = await Deno.makeTempDir();
    const decoder = new TextDecoder();
    try {
      const installed = await new Deno.Command("npm", {
        args: ["install", "--prefix", folder, "@deno/kv@0.14.0"],
      }).output();
      assert(installed.success, decoder.decode(installed.stderr));
      // Where Node finds the package
      await Deno.writeTextFile(
        `${folder}/kv.mjs`,
        'export { openKv } from "@deno/kv";\n',
      );
      const node = await findRuntime("node@24");
      const program = new URL("node_kv.ts", import.meta.url).pathname;
      await using member = await Member.start(running.address, 5_000);
      const call = member.call({
        key: "node",
        call: "getOrInit",
        value: "by Deno",
        duration: 200,
      });
      const printed = await Promise.all(
        ["by Node 0", "by Node 1"].map(async (name) => {
          const { stdout, stderr } = await new Deno.Command(node, {
            args: [program, `file://${folder}/kv.mjs`, path!, name],
            signal: AbortSignal.timeout(60_000),
          }).output();
          return decoder.decode(stdout) || decoder.decode(stderr);
        }),
      );
      const value = await call;
      assert(/^by (Deno|Node \d)$/.test(String(value)), String(value));
      for (const text of printed) {
        assertEquals(
          text,
          `${value}\nPermanentStoreError: Cannot use the store as Deno KV refuses: ValueTooLong\n`,
        );
      }
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}

/** Runs a program of the repository, and returns what it prints. */
async function run(program: string, cwd: string): Promise<string> {
  const path = (name: string) =>
    new URL(`../../${name}`, import.meta.url).pathname;
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--no-check",
      "--allow-all",
      `--config=${path("deno.json")}`,
      path(program),
    ],
    cwd,
  }).output();
  const decoder = new TextDecoder();
  assert(success, decoder.decode(stderr));
  return decoder.decode(stdout);
}

Deno.test("the recipe for two levels renews shared memory when the cluster's cell is reset, even if a load fails", async () => {
  const folder = await Deno.makeTempDir();
  try {
    assertEquals(
      await run("tests/cluster/two_levels_process.ts", folder),
      "1\n3\n",
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("the demo of a cluster survives the process that computes", async () => {
  const printed = await run("examples/cluster.ts", ".");
  assert(/is killed/.test(printed), printed);
  assert(
    /has taken over after \d+\.\d+ s, as the lease is 2 s/.test(printed),
    printed,
  );
  assert(/Checked: one process computed the index/.test(printed), printed);
});
