// Copyright 2026 the lazyinit authors. MIT license.

import { testBrowser } from "../testdata/browsers.ts";
import { launchFirefox } from "../testdata/firefox.ts";

testBrowser("Firefox", launchFirefox);
