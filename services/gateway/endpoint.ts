import type { FastifyInstance, HTTPMethods, RouteHandlerMethod } from "fastify";
import { sendError, wrongMethod } from "./plugins/errors.ts";

export type EndpointHandlers = Readonly<Partial<Record<"GET" | "POST" | "DELETE", RouteHandlerMethod>>>;

const allMethods: readonly HTTPMethods[] = [
  "DELETE",
  "GET",
  "HEAD",
  "OPTIONS",
  "PATCH",
  "POST",
  "PUT",
  "QUERY",
  "TRACE",
];

/**
 * One path with everything that can be asked of it: other methods are 405, and a doubled `/v1/v1`, from a base URL
 * that ends in `/v1`, is the same path.
 */
export function serveEndpoint(app: FastifyInstance, path: string, handlers: EndpointHandlers): void {
  const served = new Set<string>(Object.keys(handlers));
  if (served.has("GET")) served.add("HEAD");
  const refuse = refuseMethod([...served]);
  for (const url of [path, path.replace("/v1/", "/v1/v1/")]) {
    for (const [method, handler] of Object.entries(handlers)) app.route({ method, url, handler });
    app.route({ method: allMethods.filter((method) => !served.has(method)), url, handler: refuse });
  }
}

function refuseMethod(allowed: readonly string[]): RouteHandlerMethod {
  const allow = allowed.join(", ");
  return (request, reply) => {
    reply.raw.setHeader("allow", allow);
    sendError(request, reply, wrongMethod(request, allowed));
  };
}
