// Copyright 2026 the lazyinit authors. MIT license.
// deno-lint-ignore-file no-console

/**
 * Serves a folder with the headers without which browsers have no shared memory.
 *
 * @module
 */

const HEADERS = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};
const TYPES: Readonly<Record<string, string>> = {
  html: "text/html; charset=utf-8",
  css: "text/css",
  js: "text/javascript",
  json: "application/json",
};

/** Serves the files of a folder on localhost, and prints the address. */
export function serve(folder: URL, port: number): void {
  // Only these are ever opened, whatever is asked for
  const names = new Set(Array.from(Deno.readDirSync(folder), (it) => it.name));
  const onListen = ({ port }: Deno.NetAddr) =>
    console.log(`http://localhost:${port}/`);
  Deno.serve({ hostname: "localhost", port, onListen }, async (request) => {
    const path = new URL(request.url).pathname.slice(1);
    const bare = path === "without-headers";
    const name = path === "" || bare ? "index.html" : path;
    const headers = new Headers(bare ? {} : HEADERS);
    if (!names.has(name)) {
      return new Response("Not found", { status: 404, headers });
    }
    headers.set("Content-Type", TYPES[name.split(".").at(-1)!]!);
    const { readable } = await Deno.open(new URL(name, folder));
    return new Response(readable, { headers });
  });
}
