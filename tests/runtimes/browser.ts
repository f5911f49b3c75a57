// Copyright 2026 the lazyinit authors. MIT license.

import { testBrowser } from "../testdata/browsers.ts";
import { launchChromium } from "../testdata/chromium.ts";

testBrowser("Chromium", launchChromium);
