// Copyright 2026 the lazyinit authors. MIT license.

/** The headers that let a page share memory, or do not. */
const HEADERS = {
  "cross-origin": {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
  },
  "document": { "Document-Isolation-Policy": "isolate-and-require-corp" },
  "none": {},
};

/** By which headers a page is isolated. */
export type Isolation = keyof typeof HEADERS;

/** A page at `/` that is empty, and the scripts of a directory, on localhost. */
export interface Site extends AsyncDisposable {
  readonly address: string;
}

/** Serves a site whose pages are isolated in that way. */
export function serve(directory: string, isolation: Isolation): Site {
  const headers = HEADERS[isolation];
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    async ({ url }) => {
      const { pathname } = new URL(url);
      if (pathname === "/") {
        return new Response("<!doctype html><title>lazyinit</title>", {
          headers: { ...headers, "Content-Type": "text/html" },
        });
      }
      try {
        return new Response(await Deno.readFile(directory + pathname), {
          headers: { ...headers, "Content-Type": "text/javascript" },
        });
      } catch {
        return new Response(null, { status: 404 });
      }
    },
  );
  return {
    address: `http://localhost:${server.addr.port}/`,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}
