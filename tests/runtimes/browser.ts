// Copyright 2026 the lazyinit authors. MIT license.

import { testBrowser } from "./_browsers.ts";
import { launchChromium, launchUsualChromium } from "./_chromium.ts";

testBrowser("Chromium", launchChromium, launchUsualChromium);
