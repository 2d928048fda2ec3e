import { tmpdir } from "node:os";
import { join } from "node:path";

/** For NODE_COMPILE_CACHE: half of a start is stripping and compiling, and a test run starts processes dozens of times. */
export const compileCache = join(tmpdir(), "sluice-test-compile-cache");
