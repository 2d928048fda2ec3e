import { assertPortFree } from "../../services/local/free-port.ts";

// Below what systems give to outgoing connections (from 32768 on, on Linux): a port that the system had picked would be
// somebody's connection by the time a process listens on it, or while the process is down between two starts.
const lowest = 10_240;
const highest = 32_767;

// Each of the test runner's processes has ports of its own: one is free until somebody listens on it, seconds later.
const shares = 8;
const share = Number(process.env["VITEST_POOL_ID"] ?? 0) % shares;

const taken = new Set<number>();

/** A loopback port nobody listens on; never the same twice in one process, nor in two that run side by side. */
export async function freePort(): Promise<number> {
  for (;;) {
    const draw = Math.floor((Math.random() * (highest - lowest + 1)) / shares);
    const port = lowest + draw * shares + share;
    if (taken.has(port)) continue;
    taken.add(port);
    const isFree = await assertPortFree("127.0.0.1", port).then(
      () => true,
      () => false,
    );
    if (isFree) return port;
  }
}
