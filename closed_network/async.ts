// Copyright 2026 the lazyinit authors. MIT license.

// Not from `mod.js`, which wants a module that the package lacks
// @ts-types="./async.d.ts"
export { Lazy } from "deno-std/async/lazy.js";
