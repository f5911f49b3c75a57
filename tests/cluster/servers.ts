// Copyright 2026 the lazyinit authors. MIT license.

/** A server of a test, on a port of this machine alone. */
export interface Server extends AsyncDisposable {
  /** Ends it at once, and resolves when it has ended. */
  kill(): Promise<void>;
  /** Starts it again with the data that it had. */
  restart(): Promise<void>;
}

const POSTGRES_FOLDERS = [
  "/usr/lib/postgresql/15/bin",
  "/usr/lib/postgresql/17/bin",
];
const POLL_INTERVAL = 50;
/** For servers that may not be there, in ms. */
const SHORT_TIMEOUT = 1_000;
/** For what takes a server long, such as hashing passwords on a busy machine. */
const LONG_TIMEOUT = 30_000;

/** Ports that nobody listens on now. */
function freePorts(count: number): number[] {
  const listeners = Array.from(
    { length: count },
    () => Deno.listen({ hostname: "127.0.0.1", port: 0 }),
  );
  return listeners.map((listener) => {
    const { port } = listener.addr as Deno.NetAddr;
    listener.close();
    return port;
  });
}

function isMissing(error: unknown): boolean {
  return error instanceof Deno.errors.NotFound;
}

/** Starts `command` until the returned server is killed. */
function keep(
  command: string,
  args: readonly string[],
  options: Deno.CommandOptions,
  ready: () => Promise<boolean>,
  end: Deno.Signal = "SIGKILL",
): Server {
  let child: Deno.ChildProcess | undefined;
  function spawn(): void {
    const started = new Deno.Command(command, {
      args: [...args],
      stdin: "null",
      stdout: "null",
      stderr: "null",
      ...options,
    }).spawn();
    child = started;
    // What it has left behind may keep it from starting for a moment
    started.status.then(() =>
      setTimeout(() => {
        if (child === started) spawn();
      }, POLL_INTERVAL)
    );
  }
  async function restart(): Promise<void> {
    spawn();
    while (!await ready()) {
      await new Promise((resolve) => setTimeout(resolve, POLL_INTERVAL));
    }
  }
  async function kill(): Promise<void> {
    if (child === undefined) return;
    const ended = child;
    child = undefined;
    try {
      ended.kill(end);
    } catch {
      // It has ended itself
    }
    await ended.status;
  }
  return { kill, restart, [Symbol.asyncDispose]: kill };
}

/** A cluster of etcd members. */
export interface EtcdCluster extends AsyncDisposable {
  readonly endpoints: readonly string[];
  readonly members: readonly Server[];
  /** The index of the member that leads. */
  leader(): Promise<number>;
  /** Asks the first member something that the store never asks. */
  ask(path: string, body: unknown): Promise<unknown>;
}

async function ask(
  url: string,
  body: unknown,
  timeout: number,
): Promise<unknown> {
  const response = await fetch(url, {
    method: "POST",
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(timeout),
  });
  return await response.json();
}

/** Starts so many members of etcd (Debian: apt-get install etcd-server). */
export async function startEtcd(
  count: number,
  tokens: "simple" | "jwt" = "simple",
): Promise<EtcdCluster> {
  const folder = await Deno.makeTempDir();
  const secret = `${folder}/secret`;
  await Deno.writeTextFile(secret, crypto.randomUUID());
  const ports = freePorts(2 * count);
  const clients = ports.slice(0, count).map((port) =>
    `http://127.0.0.1:${port}`
  );
  const peers = ports.slice(count).map((port) => `http://127.0.0.1:${port}`);
  const members = clients.map((client, index) =>
    keep(
      "etcd",
      [
        `--name=m${index}`,
        `--data-dir=${folder}/m${index}`,
        `--listen-client-urls=${client}`,
        `--advertise-client-urls=${client}`,
        `--listen-peer-urls=${peers[index]}`,
        `--initial-advertise-peer-urls=${peers[index]}`,
        `--initial-cluster=${
          peers.map((peer, index) => `m${index}=${peer}`).join()
        }`,
        tokens === "simple"
          ? "--auth-token=simple"
          : `--auth-token=jwt,priv-key=${secret},sign-method=HS256`,
        "--unsafe-no-fsync",
      ],
      {},
      async () => {
        try {
          const answer = await ask(
            `${client}/v3/kv/range`,
            { key: "AA==" },
            SHORT_TIMEOUT,
          );
          const { header, error } = Object(answer);
          // It may ask for a user first
          return header !== undefined || String(error).includes("user name");
        } catch {
          return false;
        }
      },
    )
  );
  try {
    await Promise.all(members.map((member) => member.restart()));
  } catch (error) {
    if (!isMissing(error)) throw error;
    throw new Error(
      "Cannot find etcd: install it (Debian: apt-get install etcd-server)",
    );
  }
  return {
    endpoints: clients,
    members,
    ask: (path, body) => ask(`${clients[0]}/v3/${path}`, body, LONG_TIMEOUT),
    async leader() {
      for (let index = 0;; index = (index + 1) % count) {
        const status = Object(
          await ask(
            `${clients[index]}/v3/maintenance/status`,
            {},
            SHORT_TIMEOUT,
          ).catch(() => ({})),
        );
        if (status.leader && status.leader === status.header.member_id) {
          return index;
        }
      }
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(members.map((member) => member.kill()));
      await Deno.remove(folder, { recursive: true });
    },
  };
}

/** A way to a server, which can be closed for a time. */
export interface Way extends AsyncDisposable {
  readonly endpoint: string;
  /** Cuts all connections, and lets no others through. */
  close(): void;
  open(): void;
}

/** Starts a way to the server of that URL. */
export function startWay(endpoint: string): Way {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  const connections = new Set<Deno.Conn>();
  let isOpen = true;
  function end(connection: Deno.Conn): void {
    if (connections.delete(connection)) connection.close();
  }
  async function pass(from: Deno.Conn, to: Deno.Conn): Promise<void> {
    const buffer = new Uint8Array(65_536);
    try {
      for (;;) {
        const length = await from.read(buffer);
        if (length === null) break;
        for (let sent = 0; sent < length;) {
          sent += await to.write(buffer.subarray(sent, length));
        }
      }
    } catch {
      // It was cut
    }
    end(from);
    end(to);
  }
  async function listen(): Promise<void> {
    for await (const client of listener) {
      connections.add(client);
      if (!isOpen) {
        end(client);
        continue;
      }
      const server = await Deno.connect({
        hostname: "127.0.0.1",
        port: Number(new URL(endpoint).port),
      });
      connections.add(server);
      pass(client, server);
      pass(server, client);
    }
  }
  const listening = listen();
  const close = () => {
    isOpen = false;
    for (const connection of connections) end(connection);
  };
  return {
    endpoint: `http://127.0.0.1:${port}`,
    close,
    open: () => void (isOpen = true),
    async [Symbol.asyncDispose]() {
      close();
      listener.close();
      await listening;
    },
  };
}

/** A server of PostgreSQL. */
export interface PostgresServer extends Server {
  readonly port: number;
  /** Ends all connections of clients. */
  dropConnections(): Promise<void>;
}

/** Starts PostgreSQL (Debian: apt-get install postgresql). */
export async function startPostgres(): Promise<PostgresServer> {
  const binaries = await findPostgres();
  const folder = await Deno.makeTempDir();
  const [port] = freePorts(1);
  // It refuses to run as root
  const asRoot = Deno.uid() === 0;
  const asUser = (command: string, args: string[]): [string, string[]] =>
    asRoot
      ? ["setpriv", [
        "--reuid=postgres",
        "--regid=postgres",
        "--clear-groups",
        command,
        ...args,
      ]]
      : [command, args];
  if (asRoot) await run("chown", ["postgres", folder]);
  await run(...asUser(`${binaries}/initdb`, [
    "--auth=trust",
    "--username=postgres",
    "--no-sync",
    `${folder}/data`,
  ]));
  const [command, args] = asUser(`${binaries}/postgres`, [
    "-D",
    `${folder}/data`,
    "-c",
    "listen_addresses=127.0.0.1",
    "-c",
    `port=${port}`,
    "-c",
    `unix_socket_directories=${folder}`,
    "-c",
    "max_connections=200",
  ]);
  const server = keep(command, args, { cwd: folder }, async () => {
    const { success } = await new Deno.Command(`${binaries}/pg_isready`, {
      args: ["-h", "127.0.0.1", "-p", String(port)],
      stdout: "null",
    }).output();
    return success;
    // At once, but with its children
  }, "SIGQUIT");
  await server.restart();
  return {
    ...server,
    port: port!,
    dropConnections: () =>
      run("psql", [
        "--host=127.0.0.1",
        `--port=${port}`,
        "--username=postgres",
        "--command=SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()",
      ]),
    async [Symbol.asyncDispose]() {
      await server.kill();
      await Deno.remove(folder, { recursive: true });
    },
  };
}

async function findPostgres(): Promise<string> {
  for (const folder of POSTGRES_FOLDERS) {
    try {
      await Deno.stat(`${folder}/initdb`);
      return folder;
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
  }
  throw new Error(
    "Cannot find PostgreSQL: install it (Debian: apt-get install postgresql)",
  );
}

async function run(command: string, args: readonly string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(command, {
    args: [...args],
    cwd: "/",
    stdout: "null",
    stderr: "piped",
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
}
