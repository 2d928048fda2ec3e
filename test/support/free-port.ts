import { assertPortFree } from "../../services/local/free-port.ts";

// Below what systems give to outgoing connections (from 32768 on, on Linux): a port that the system had picked would be
// somebody's connection by the time a process listens on it, or while the process is down between two starts.
const lowest = 10_240;
const highest = 32_767;

const taken = new Set<number>();

/** A loopback port nobody listens on; never the same twice in one process, and hardly ever in two. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = lowest + Math.floor(Math.random() * (highest - lowest + 1));
    if (taken.has(port)) continue;
    taken.add(port);
    const isFree = await assertPortFree("127.0.0.1", port).then(
      () => true,
      () => false,
    );
    if (isFree) return port;
  }
}
