import { unlinkSync } from "node:fs";
import { connect } from "node:net";
import type { Server, ServerCredentials } from "@grpc/grpc-js";

/** Binds to `host:port` (port 0: any) or `unix:/path` and resolves with the address that clients can use. */
export async function bindAddress(server: Server, listen: string, credentials: ServerCredentials): Promise<string> {
  const path = /^unix:(?:\/\/(?=\/))?(.+)$/.exec(listen)?.[1];
  if (path !== undefined) await removeStaleSocket(path);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(path === undefined ? listen : `unix:${path}`, credentials, (error, bound) => {
      if (error) reject(new Error(`cannot listen on ${listen}`, { cause: error }));
      else resolve(bound);
    });
  });
  return path === undefined ? listen.replace(/:\d+$/, `:${port}`) : `unix:${path}`;
}

/** A killed worker leaves its socket file behind, and nobody could listen there again. */
async function removeStaleSocket(path: string): Promise<void> {
  const code = await new Promise<string | undefined>((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(undefined);
    });
    socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code));
  });
  if (code === "ECONNREFUSED") unlinkSync(path);
}
