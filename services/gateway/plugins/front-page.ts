import type { FastifyInstance } from "fastify";
import { writeJson } from "../answer.ts";

/** For people who open the address to see whether anybody is there; what any 401 tells, and no version. */
const frontPage = {
  name: "sluice",
  message:
    "A gateway for the Anthropic Messages API. Give this address to an SDK as its base URL, with a key in x-api-key or as a bearer token.",
  links: { messages: "/v1/messages", count_tokens: "/v1/messages/count_tokens", models: "/v1/models" },
  health: "/livez and /readyz on the ops port",
};

/** `GET /`, for everybody. Register before authentication, and after CORS. */
export function registerFrontPage(app: FastifyInstance): void {
  app.addHook("onRequest", (request, reply, done) => {
    const { url, method } = request;
    if (!(url === "/" || url.startsWith("/?")) || !(method === "GET" || method === "HEAD")) {
      done();
      return;
    }
    reply.hijack();
    writeJson(reply.raw, request.id, frontPage);
  });
}
