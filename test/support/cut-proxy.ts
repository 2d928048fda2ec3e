import { connect, createServer, type AddressInfo, type Socket } from "node:net";

/** A wire between two processes that a test can cut. */
export interface CutProxy {
  readonly address: string;
  /** Is told what was sent to the target, as it comes. */
  onSent(listener: (bytes: Buffer) => void): void;
  /** Breaks every connection and takes no more. */
  cut(): void;
  /** Takes no more, and ends the connection on which the target says this, behind what it said. */
  cutBehind(words: string): void;
  close(): void;
}

/** Passes bytes on to `target` (`host:port`) as they come. */
export async function startCutProxy(target: string): Promise<CutProxy> {
  const { hostname, port } = new URL(`tcp://${target}`);
  const sockets = new Set<Socket>();
  let heard: (bytes: Buffer) => void = () => {};
  let lastWords: string | undefined;
  const keep = (socket: Socket): Socket => {
    sockets.add(socket);
    return socket.on("error", () => {}).once("close", () => sockets.delete(socket));
  };
  const server = createServer((from) => {
    const to = keep(connect(Number(port), hostname));
    keep(from).on("data", (bytes: Buffer) => heard(bytes));
    from.pipe(to).pipe(from);
    let said = "";
    to.on("data", (bytes: Buffer) => {
      if (lastWords === undefined) return;
      said += bytes.toString("latin1");
      if (!said.includes(lastWords)) return;
      to.unpipe(from);
      from.end();
    });
    from.once("close", () => to.destroy());
    to.once("close", () => from.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const proxy: CutProxy = {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    onSent: (listener) => void (heard = listener),
    cut() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
    cutBehind(words) {
      server.close();
      lastWords = words;
    },
    close: () => proxy.cut(),
  };
  return proxy;
}
