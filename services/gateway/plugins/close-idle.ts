import type { FastifyInstance } from "fastify";

const everyMs = 100;

/** While the app closes, connections are closed as they become idle: a caller's pool would hold it open for minutes. */
export function closeIdleWhileClosing(app: FastifyInstance): void {
  let timer: NodeJS.Timeout | undefined;
  app.addHook("preClose", (done) => {
    timer = setInterval(() => app.server.closeIdleConnections(), everyMs);
    app.server.once("close", () => clearInterval(timer));
    done();
  });
}
