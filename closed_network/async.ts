// Copyright 2026 the lazyinit authors. MIT license.

// @ts-types="./async.d.ts"
export { deadline, delay, Lazy } from "deno-std/async/mod.js";
