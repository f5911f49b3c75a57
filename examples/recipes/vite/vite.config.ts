// Copyright 2026 the lazyinit authors. MIT license.

// Without these, browsers do not share memory
const headers = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};

export default { server: { headers }, preview: { headers } };
