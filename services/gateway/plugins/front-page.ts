import type { FastifyInstance } from "fastify";
import { GatewayError } from "#shared/messages/error.ts";
import { writeJson } from "../answer.ts";
import { sendError } from "./errors.ts";

const opsPort = "on the gateway's ops port, 9464 unless configured otherwise (`npm start` prints which it took)";

/** For people who open the address to see whether anybody is there; what the documentation says, and no version. */
const frontPage = {
  name: "sluice",
  message:
    "A gateway for the Anthropic Messages API. Give this address to an SDK as its base URL, with a key in x-api-key or as a bearer token.",
  links: {
    messages: "/v1/messages",
    count_tokens: "/v1/messages/count_tokens",
    batches: "/v1/messages/batches",
    models: "/v1/models",
    jobs: "/v1/jobs",
    requests: "/v1/requests/{id}",
    usage: "/v1/usage",
    limits: "/v1/limits",
  },
  documentation: "docs/api.md of this gateway's source",
  health: `/livez, /readyz and /metrics ${opsPort}`,
};

/** What load balancers and monitoring look for, without a key. */
const opsPaths: ReadonlySet<string> = new Set(["/livez", "/readyz", "/healthz", "/metrics"]);

/** `GET /`, and where the ops endpoints are, for everybody. Register before authentication, and after CORS. */
export function registerFrontPage(app: FastifyInstance): void {
  app.addHook("onRequest", (request, reply, done) => {
    const { method } = request;
    const path = method === "GET" || method === "HEAD" ? request.url.split("?", 1)[0] : undefined;
    if (path === "/") {
      reply.hijack();
      writeJson(reply.raw, request.id, frontPage);
    } else if (path !== undefined && opsPaths.has(path)) {
      sendError(request, reply, new GatewayError("not_found", `/livez, /readyz and /metrics are ${opsPort}.`));
    } else {
      done();
    }
  });
}
