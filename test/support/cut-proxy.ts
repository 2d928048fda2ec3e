import { connect, createServer, type AddressInfo, type Socket } from "node:net";

/** A wire between two processes that a test can cut. */
export interface CutProxy {
  readonly address: string;
  /** Breaks every connection and takes no more. */
  cut(): void;
  close(): void;
}

/** Passes bytes on to `target` (`host:port`) as they come. */
export async function startCutProxy(target: string): Promise<CutProxy> {
  const { hostname, port } = new URL(`tcp://${target}`);
  const sockets = new Set<Socket>();
  const keep = (socket: Socket): Socket => {
    sockets.add(socket);
    return socket.on("error", () => {}).once("close", () => sockets.delete(socket));
  };
  const server = createServer((from) => {
    const to = keep(connect(Number(port), hostname));
    keep(from).pipe(to).pipe(from);
    from.once("close", () => to.destroy());
    to.once("close", () => from.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const proxy: CutProxy = {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    cut() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
    close: () => proxy.cut(),
  };
  return proxy;
}
