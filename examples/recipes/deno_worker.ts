// Copyright 2026 the lazyinit authors. MIT license.
/// <reference lib="deno.worker" />
// deno-lint-ignore-file no-console

import { json, MutexLazyInit } from "@lazyinit/lazyinit";

self.onmessage = async ({ data: handle }) => {
  const cell = MutexLazyInit.from(handle, json<{ greeting: string }>());
  const settings = await cell.getOrInitAsync(async () => {
    console.log("Fetching the settings"); // in one worker only
    const response = await fetch(new URL("./settings.json", import.meta.url));
    return await response.json();
  });
  console.log(settings.greeting); // in all four
  self.close();
};
