// Copyright 2026 the lazyinit authors. MIT license.

import { readFileSync } from "node:fs";
import * as module from "node:module";

const { Bun } = globalThis as {
  Bun?: {
    Transpiler: new (
      options: { loader: "ts" },
    ) => { transformSync(source: string): string };
  };
};

function stripTypes(source: string): string {
  return Bun
    ? new Bun.Transpiler({ loader: "ts" }).transformSync(source)
    : module.stripTypeScriptTypes(source);
}

/** The body of a module, which may stand in a function. */
function bodyOf(name: string): string {
  return stripTypes(
    readFileSync(new URL(`../../${name}`, import.meta.url), "utf8"),
  )
    .replaceAll(/^import\b[^;]*;/gm, "")
    .replaceAll(/^export (?=\w)/gm, "");
}

/**
 * Returns a script that evaluates to what `_agent.ts` and `_thread.ts` export: run
 * twice in one thread, it makes two copies that share no module.
 */
export function agentScript(): string {
  const names = [
    ...["agentId", "announceAgent", "canAnnounce", "canBlock", "drawNonce"],
    ...["holdAgentLock", "isAnnounced", "isDeno", "isNode"],
    ...["recoverWhenWorkersEnd", "sharedByThread", "watchAgent"],
    "whenFrameEnds",
  ];
  return `"use strict";
(() => {
  ${bodyOf("_thread.ts")}
  return (() => {
    ${bodyOf("_agent.ts")}
    return { ${names.join(", ")} };
  })();
})()`;
}

/** What the script evaluates to. */
export type Copy =
  & typeof import("../../_agent.ts")
  & typeof import("../../_thread.ts");
