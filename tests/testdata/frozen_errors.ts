// Copyright 2026 the lazyinit authors. MIT license.

/* Prints each error of this package, made where a hardened environment has frozen errors. */

import process from "node:process";

Object.freeze(Error.prototype);

const errors = Object.values(await import("../../errors.ts"));
process.stdout.write(
  errors.map((Class) => `${new Class("frozen")}`).join("\n"),
);
