// Copyright 2026 the lazyinit authors. MIT license.

/** The headers that let a page share memory, or do not. */
const HEADERS = {
  "cross-origin": {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    // Pages of another site may have it in a frame
    "Cross-Origin-Resource-Policy": "cross-origin",
  },
  "document": { "Document-Isolation-Policy": "isolate-and-require-corp" },
  "none": {},
};

/** By which headers a page is isolated. */
export type Isolation = keyof typeof HEADERS;

/**
 * On localhost: a page at `/` that is empty, one at `/frame?ADDRESS` that has a frame with
 * that address, and the scripts of a directory.
 */
export interface Site extends AsyncDisposable {
  readonly address: string;
  /** The address of the same pages on another site. */
  readonly foreignAddress: string;
}

/** Serves a site whose pages are isolated in that way. */
export function serve(directory: string, isolation: Isolation): Site {
  const headers = HEADERS[isolation];
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    async ({ url }) => {
      const { pathname, search } = new URL(url);
      if (pathname === "/" || pathname === "/frame") {
        const address = decodeURIComponent(search.slice(1));
        const frame = pathname === "/"
          ? ""
          : `<iframe src="${address}" allow="cross-origin-isolated"></iframe>`;
        return new Response(
          `<!doctype html><title>lazyinit</title>${frame}`,
          { headers: { ...headers, "Content-Type": "text/html" } },
        );
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
    foreignAddress: `http://127.0.0.1:${server.addr.port}/`,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}
