import type { FastifyInstance } from "fastify";
import type { OutgoingHttpHeaders } from "node:http";

const allowedHeaders = [
  "accept",
  "anthropic-beta",
  "anthropic-dangerous-direct-browser-access",
  "anthropic-version",
  "authorization",
  "content-type",
  "last-event-id",
  "x-api-key",
  "x-sluice-max-wait",
  "x-sluice-on-disconnect",
  "x-stainless-arch",
  "x-stainless-async",
  "x-stainless-helper",
  "x-stainless-helper-method",
  "x-stainless-lang",
  "x-stainless-os",
  "x-stainless-package-version",
  "x-stainless-retry-count",
  "x-stainless-runtime",
  "x-stainless-runtime-version",
  "x-stainless-timeout",
];
const exposedHeaders = [
  "anthropic-organization-id",
  "anthropic-ratelimit-requests-limit",
  "anthropic-ratelimit-requests-remaining",
  "anthropic-ratelimit-requests-reset",
  "anthropic-ratelimit-tokens-limit",
  "anthropic-ratelimit-tokens-remaining",
  "anthropic-ratelimit-tokens-reset",
  "request-id",
  "retry-after",
  "retry-after-ms",
  "x-should-retry",
  "x-sluice-attempts",
  "x-sluice-detach",
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
      "access-control-allow-headers": allowedHeaders.join(", "),
      "access-control-max-age": String(preflightAgeS),
      "request-id": request.id,
      "x-sluice-request-id": request.id,
    };
    response.writeHead(204, headers).end();
  });
}
