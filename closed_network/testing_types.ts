// Copyright 2026 the lazyinit authors. MIT license.

export {
  assert as assertType,
  type Has,
  type IsExact,
} from "conditional-type-checks";
