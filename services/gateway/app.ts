import Fastify, { type FastifyInstance, type FastifyRequest } from "fastify";
import type { ServerConfig } from "#shared/config/schema.ts";
import { GatewayError, toGatewayError } from "#shared/messages/error.ts";
import { createCallClock } from "./call-clock.ts";
import { newCallId } from "./call/call-id.ts";
import { createQueuedCalls } from "./call/queued-calls.ts";
import { createRefusalTraces } from "./call/refusal-traces.ts";
import { serveEndpoint, type EndpointHandlers } from "./endpoint.ts";
import type { GatewayDeps } from "./gateway-deps.ts";
import { authenticate, registerAuthentication, type AuthenticationDeps } from "./plugins/authenticate.ts";
import { createBodyBudget } from "./plugins/body-budget.ts";
import { closeIdleWhileClosing } from "./plugins/close-idle.ts";
import { registerCors } from "./plugins/cors.ts";
import { answerBrokenHttp, registerErrors, sendError, unknownPath } from "./plugins/errors.ts";
import { registerFrontPage } from "./plugins/front-page.ts";
import { answerHalfClosed } from "./plugins/half-closed.ts";
import { createRefusedCredentials } from "./plugins/refused-credentials.ts";
import { batchRoutes, type BatchEndpoint } from "./routes/batches.ts";
import type { Caller } from "./plugins/keyring.ts";
import { callRoute, type CallRouteDeps } from "./routes/calls.ts";
import { jobEventsRoute } from "./routes/job-events.ts";
import { limitsRoute } from "./routes/limits.ts";
import { cancelJobRoute, jobListRoute, jobRoute } from "./routes/jobs.ts";
import { modelByIdRoute, modelListRoute } from "./routes/models.ts";
import { requestRoute } from "./routes/requests.ts";
import { usageRoute } from "./routes/usage.ts";
import { createTurnQueue } from "./turn-queue.ts";

/** Where the endpoints are; under the longer prefixes only Claude models. */
const prefixes = [
  { prefix: "", claudeOnly: false },
  { prefix: "/anthropic", claudeOnly: true },
  { prefix: "/ai-gateway/anthropic", claudeOnly: true },
];

/** The HTTP front, not yet listening. It opens nothing; what it is given stays open when it closes. */
export function buildApp(deps: GatewayDeps): FastifyInstance {
  const refusals = createRefusalTraces(deps.traces);
  const refused = createRefusedCredentials({ logger: deps.logger, refusals });
  const authentication = { keyring: deps.keyring, oidc: deps.oidc, refused };
  const app = createServer(deps.server, authentication);
  const clock = createCallClock();
  const calls: CallRouteDeps = {
    ...deps,
    clock,
    turns: createTurnQueue(),
    budget: createBodyBudget(deps.server.bodyBudgetBytes),
    queued: createQueuedCalls(deps, clock),
    refusals,
  };
  app.addHook("onClose", async () => {
    // Streams without a caller hold no connection that would be waited for.
    await deps.recordings.idle();
    calls.queued.close();
    clock.close();
    refused.close();
  });

  registerCors(app, deps.server.corsOrigins);
  registerFrontPage(app);
  registerAuthentication(app, authentication);
  registerErrors(app, deps.logger);
  closeIdleWhileClosing(app);
  answerHalfClosed(app);

  const jobEvents = jobEventsRoute(calls);
  for (const { prefix, claudeOnly } of prefixes) {
    const serve = (path: string, handlers: EndpointHandlers): void =>
      serveEndpoint(app, `${prefix}/v1${path}`, handlers);
    serve("/messages", { POST: callRoute({ operation: "messages", claudeOnly }, calls) });
    serve("/messages/count_tokens", { POST: callRoute({ operation: "count_tokens", claudeOnly }, calls) });
    serveBatches(serve, { prefix, claudeOnly }, calls);
    serve("/models", { GET: modelListRoute({ claudeOnly }, deps) });
    serve("/models/*", { GET: modelByIdRoute({ claudeOnly }, deps) });
    serve("/jobs/:id/events", { GET: jobEvents });
    serve("/jobs", { GET: jobListRoute(deps) });
    serve("/jobs/:id", { GET: jobRoute(deps) });
    serve("/jobs/:id/cancel", { POST: cancelJobRoute(deps) });
    serve("/requests/:id", { GET: requestRoute(deps) });
    serve("/usage", { GET: usageRoute(deps) });
    serve("/limits", { GET: limitsRoute(deps, claudeOnly) });
  }
  return app;
}

function serveBatches(
  serve: (path: string, handlers: EndpointHandlers) => void,
  endpoint: BatchEndpoint,
  deps: CallRouteDeps,
): void {
  const routes = batchRoutes(endpoint, deps);
  serve("/messages/batches", { POST: routes.create, GET: routes.list });
  serve("/messages/batches/:id", { GET: routes.retrieve, DELETE: routes.delete });
  serve("/messages/batches/:id/cancel", { POST: routes.cancel });
  serve("/messages/batches/:id/results", { GET: routes.results });
}

const keepAliveMs = 75_000;
const headersTimeoutMs = 30_000;
const requestMarginMs = 30_000;
const tcpKeepAliveMs = 30_000;
const maxHeaderBytes = 65_536;
const maxIdLength = 1024;
/** Bodies are read by whoever needs one, after authentication: Fastify reads none. */
const methodsWithBody = ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY"];

function createServer(server: ServerConfig, authentication: AuthenticationDeps): FastifyInstance {
  const app = Fastify({
    logger: false,
    genReqId: newCallId,
    requestIdHeader: false,
    trustProxy: typeof server.trustProxy === "boolean" ? server.trustProxy : [...server.trustProxy],
    return503OnClosing: false,
    keepAliveTimeout: keepAliveMs,
    // Ours ends a slow body first, with an answer; this is for what never becomes a request.
    requestTimeout: server.bodyTimeoutMs + requestMarginMs,
    http: {
      headersTimeout: headersTimeoutMs,
      keepAlive: true,
      keepAliveInitialDelay: tcpKeepAliveMs,
      noDelay: true,
      maxHeaderSize: maxHeaderBytes,
      // Node would answer without a word; nothing here depends on the host.
      requireHostHeader: false,
    },
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: maxIdLength },
    clientErrorHandler: answerBrokenHttp,
    // A path that is no path: hooks have not run, so who asks is found out here.
    frameworkErrors: (_error, request, reply) => {
      void whoAsks(request, authentication).then((caller) =>
        sendError(request, reply, caller instanceof GatewayError ? caller : unknownPath(request)),
      );
    },
  });
  for (const method of methodsWithBody) app.addHttpMethod(method, { hasBody: false, overrideExisting: true });
  // `expect: 100-continue` is answered when the body is wanted: whoever is refused need not send it.
  app.server.on("checkContinue", (request, response) => app.routing(request, response));
  // Expectations we do not know are not met and not refused; Node would refuse them without a word.
  app.server.on("checkExpectation", (request, response) => app.routing(request, response));
  return app;
}

async function whoAsks(request: FastifyRequest, deps: AuthenticationDeps): Promise<Caller | GatewayError> {
  try {
    return await authenticate(request, deps);
  } catch (reason) {
    return toGatewayError(reason);
  }
}
