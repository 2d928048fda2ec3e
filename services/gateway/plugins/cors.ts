import type { FastifyInstance } from "fastify";
import type { OutgoingHttpHeaders } from "node:http";

/** For a preflight that asks for no header by name. */
const usualHeaders = "anthropic-beta, anthropic-version, authorization, content-type, x-api-key";
const exposedHeaders = [
  "anthropic-organization-id",
  ...["requests", "tokens", "input-tokens", "output-tokens"].flatMap((limit) =>
    ["limit", "remaining", "reset"].map((fact) => `anthropic-ratelimit-${limit}-${fact}`),
  ),
  "anthropic-workspace-id",
  "request-id",
  "retry-after",
  "retry-after-ms",
  "x-should-retry",
  "x-sluice-attempts",
  "x-sluice-cost-usd",
  "x-sluice-detach",
  "x-sluice-dropped-betas",
  "x-sluice-estimated",
  "x-sluice-model",
  "x-sluice-provider",
  "x-sluice-queue-ms",
  "x-sluice-request-id",
];
const preflightAgeS = 600;

/**
 * Lets pages of the configured origins call from a browser; `*` stands for every origin. Without origins nothing is
 * registered: an OPTIONS is then a request like any other. Register before authentication: a preflight has no key.
 */
export function registerCors(app: FastifyInstance, origins: readonly string[]): void {
  if (origins.length === 0) return;
  app.addHook("onRequest", (request, reply, done) => {
    const origin = request.headers.origin;
    if (origin === undefined || !(origins.includes(origin) || origins.includes("*"))) {
      done();
      return;
    }
    const response = reply.raw;
    response.setHeader("access-control-allow-origin", origin);
    response.setHeader("vary", "origin");
    response.setHeader("access-control-expose-headers", exposedHeaders.join(", "));
    if (request.method !== "OPTIONS" || request.headers["access-control-request-method"] === undefined) {
      done();
      return;
    }
    reply.hijack();
    const headers: OutgoingHttpHeaders = {
      "access-control-allow-methods": "GET, POST, DELETE, OPTIONS",
      // Whatever the page wants to send: SDKs send telemetry of their own, and the origin is trusted already.
      "access-control-allow-headers": request.headers["access-control-request-headers"] ?? usualHeaders,
      "access-control-max-age": String(preflightAgeS),
      "request-id": request.id,
      "x-sluice-request-id": request.id,
    };
    response.writeHead(204, headers).end();
  });
}
