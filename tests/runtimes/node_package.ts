// Copyright 2026 the lazyinit authors. MIT license.

/*
 * The package as npm users get it, for their type checker. Not named `_test.ts`, as
 * it asks npm for packages: `deno task test:node` runs it.
 */

import { assertEquals, assertNotEquals } from "@std/assert";
import { run } from "../_commands.ts";
import { install } from "./_packed.ts";

/** The last of versions 5 and 6, and the first that was written anew. */
const COMPILERS = ["5.9.3", "6.0.3", "7.0.2"];

const CONFIGURATIONS = [
  { module: "esnext", moduleResolution: "bundler" },
  { module: "nodenext", moduleResolution: "nodenext" },
].flatMap((resolution) =>
  ["ES2024", "ESNext"].flatMap((lib) =>
    [false, true].map((skipLibCheck) => ({
      ...resolution,
      lib: [lib],
      skipLibCheck,
    }))
  )
);

Deno.test("the package type-checks in programs of npm users", async (t) => {
  await using installation = await install(
    // Where the compiler finds what is neither the language's nor the package's
    "@types/node@24.19.2",
    ...COMPILERS.map((version) =>
      `typescript-${version}@npm:typescript@${version}`
    ),
  );
  const { path } = installation;
  await Deno.copyFile(
    new URL("../testdata/npm_consumer.ts", import.meta.url),
    `${path}/consumer.ts`,
  );

  await t.step("declarations import no module that has none", async () => {
    const modules = `${path}/node_modules/@lazyinit/lazyinit`;
    const names: string[] = [];
    for (const folder of ["", "cluster/"]) {
      for await (const { name } of Deno.readDir(`${modules}/${folder}`)) {
        names.push(`${folder}${name}`);
      }
    }
    const imported = [];
    for (const name of names.filter((name) => name.endsWith(".d.ts"))) {
      const source = await Deno.readTextFile(`${modules}/${name}`);
      for (const [, file] of source.matchAll(/\bfrom "(\.\.?\/.+)\.js"/g)) {
        const { pathname } = new URL(`${file}.d.ts`, `file:///${name}`);
        imported.push(pathname.slice(1));
      }
    }
    assertNotEquals(imported, []);
    assertEquals(imported.filter((name) => !names.includes(name)), []);
  });

  for (const version of COMPILERS) {
    for (const options of CONFIGURATIONS) {
      const told = Object.entries(options).map(([name, value]) =>
        `${name}: ${value}`
      );
      await t.step(`by TypeScript ${version}, ${told.join(", ")}`, async () => {
        const compilerOptions = {
          ...options,
          noEmit: true,
          strict: true,
          target: "ES2022",
          types: ["node"],
        };
        await Deno.writeTextFile(
          `${path}/tsconfig.json`,
          JSON.stringify({ compilerOptions, files: ["consumer.ts"] }),
        );
        const compiler = `node_modules/typescript-${version}/bin/tsc`;
        await run("node", [compiler], path);
      });
    }
  }
});
