// Copyright 2026 the lazyinit authors. MIT license.

/*
 * Prints the flags that `deno test` and the like need on this network: none where
 * JSR answers; otherwise an import map in which stand-ins from npm take the place
 * of the packages that only tests, benches and examples use.
 *
 * None either where the environment says `STAND_INS=never`, as the workflows do: what
 * passes with the stand-ins only must fail somewhere.
 */

import config from "../deno.json" with { type: "json" };

const STAND_INS = {
  "@std/assert": import.meta.resolve("./assert.ts"),
  "@std/async": import.meta.resolve("./async.ts"),
  "@std/testing/types": import.meta.resolve("./testing_types.ts"),
  "deno-std/": "npm:/deno-std@1.4.0/",
  "conditional-type-checks": "npm:conditional-type-checks@1.0.6",
};

async function jsrAnswers(): Promise<boolean> {
  try {
    const response = await fetch("https://jsr.io/@std/assert/meta.json", {
      signal: AbortSignal.timeout(5_000),
    });
    await response.body?.cancel();
    return response.ok;
  } catch {
    return false;
  }
}

if (Deno.env.get("STAND_INS") !== "never" && !await jsrAnswers()) {
  // In deno.json an npm package stands for all of its entry points, but not here
  const entryPoints = Object.entries(config.imports)
    .filter(([, address]) => address.startsWith("npm:"))
    .map(([name, address]) => [
      `${name}/`,
      `${address.replace("npm:", "npm:/")}/`,
    ]);
  const imports = {
    ...config.imports,
    ...Object.fromEntries(entryPoints),
    ...STAND_INS,
  };
  const map = encodeURIComponent(JSON.stringify({ imports }));
  await Deno.stdout.write(
    new TextEncoder().encode(`--import-map=data:application/json,${map}`),
  );
}
