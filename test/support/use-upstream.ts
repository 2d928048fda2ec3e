import { afterAll, afterEach } from "vitest";

import { startUpstream, type Upstream } from "./upstream.ts";

/** An upstream for all tests of a file, which forgets everything after each of them. */
export async function useUpstream(): Promise<Upstream> {
  const upstream = await startUpstream();
  afterAll(() => upstream.close());
  afterEach(() => upstream.clear());
  return upstream;
}
