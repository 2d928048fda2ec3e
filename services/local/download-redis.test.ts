import { expect, test } from "vitest";
import { libraryNames } from "./download-redis.ts";

test("the libraries a package names are found, of alternatives the first, everything else is left out", () => {
  const depends = [
    "Pre-Depends: init-system-helpers (>= 1.54~)",
    "Depends: adduser, libc6 (>= 2.34), libjemalloc2:any (>= 3.5.0), libssl3 | libssl1.1, lua-cjson (>= 2.1), redis-tools (= 5:7)",
  ].join("\n");
  expect(libraryNames(depends)).toEqual(["libc6", "libjemalloc2", "libssl3", "lua-cjson"]);
});

test("a package that names nothing needs nothing", () => {
  expect(libraryNames("\n")).toEqual([]);
});
