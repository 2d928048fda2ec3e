import type { FastifyInstance, FastifyRequest } from "fastify";
import { GatewayError, toGatewayError } from "#shared/messages/error.ts";
import { describeRefusal, readCredential, type Credential } from "./credential.ts";
import { sendError } from "./errors.ts";
import type { Caller, Keyring } from "./keyring.ts";
import type { OidcVerifier } from "./oidc-verifier.ts";
import type { RefusedCredentials } from "./refused-credentials.ts";

declare module "fastify" {
  interface FastifyRequest {
    /** Set before any handler runs; a request without one has been answered 401. */
    caller: Caller;
  }
}

export interface AuthenticationDeps {
  readonly keyring: Keyring;
  readonly oidc: OidcVerifier;
  readonly refused: RefusedCredentials;
}

/** Finds out who asks before a byte of the body is read. What it lets through has a `caller`. */
export function registerAuthentication(app: FastifyInstance, deps: AuthenticationDeps): void {
  app.decorateRequest("caller", null as unknown as Caller);
  app.addHook("onRequest", (request, reply, done) => {
    const apply = (found: Caller | GatewayError): void => {
      if (found instanceof GatewayError) {
        sendError(request, reply, found);
        return;
      }
      request.caller = found;
      done();
    };
    const found = authenticate(request, deps);
    if (found instanceof Promise) void found.catch(toGatewayError).then((result) => setImmediate(apply, result));
    else apply(found);
  });
}

/** The caller, or why there is none; a promise only for OIDC tokens, whose issuer's keys may have to be fetched. */
export function authenticate(
  request: FastifyRequest,
  deps: AuthenticationDeps,
): Caller | GatewayError | Promise<Caller> {
  const credential = readCredential(request.headers);
  if (credential === undefined) return refuse(request, { reason: "missing" }, deps);
  if (credential.header === "authorization" && deps.oidc.claims(credential.token))
    return verifyToken(request, credential, deps);
  const match = deps.keyring.find(credential.token);
  if (match === undefined) return refuse(request, { reason: "unknown", credential }, deps);
  if (match.refused === undefined) return match.caller;
  return refuse(request, { reason: match.refused, credential, keyId: match.keyId }, deps);
}

async function verifyToken(request: FastifyRequest, credential: Credential, deps: AuthenticationDeps): Promise<Caller> {
  const { header } = credential;
  const caller = await deps.oidc.verify(credential.token).catch((reason: unknown) => {
    const error = toGatewayError(reason);
    deps.refused.note(request, { reason: "oidc_away", header, error });
    throw error;
  });
  if (caller === undefined) throw refuse(request, { reason: "oidc", credential }, deps);
  return caller;
}

interface Refused {
  readonly reason: "missing" | "unknown" | "expired" | "disabled" | "oidc";
  readonly credential?: Credential;
  readonly keyId?: string;
}

/** The 401, of which the operator hears. */
function refuse(
  request: FastifyRequest,
  { reason, credential, keyId }: Refused,
  deps: AuthenticationDeps,
): GatewayError {
  const why = reason === "expired" || reason === "disabled" ? reason : undefined;
  const error = new GatewayError("unauthenticated", describeRefusal(credential, why));
  deps.refused.note(request, {
    reason,
    error,
    ...(credential === undefined ? undefined : { header: credential.header }),
    ...(keyId === undefined ? undefined : { keyId }),
  });
  return error;
}
