import { freePort as findFreePort } from "../../services/local/free-port.ts";

const taken = new Set<number>();

/** A loopback port nobody listens on; never the same twice in one process. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = await findFreePort();
    if (taken.has(port)) continue;
    taken.add(port);
    return port;
  }
}
