// Copyright 2026 the lazyinit authors. MIT license.

import { testBrowser } from "./_browsers.ts";
import { launchFirefox } from "./_firefox.ts";

testBrowser("Firefox", launchFirefox);
