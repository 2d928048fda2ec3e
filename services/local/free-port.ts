import { createServer } from "node:net";

/** Resolves with a loopback port that was free a moment ago. */
export async function freePort(): Promise<number> {
  return await tryListen("127.0.0.1", 0);
}

/** Resolves when `host:port` can be listened on; rejects with the system's error (`EADDRINUSE`, `EACCES`) otherwise. */
export async function assertPortFree(host: string, port: number): Promise<void> {
  await tryListen(host, port);
}

function tryListen(host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen({ host, port, exclusive: true }, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address ? address.port : port));
    });
  });
}
