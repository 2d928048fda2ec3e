import type { FastifyInstance, FastifyRequest } from "fastify";
import { GatewayError, toGatewayError } from "#shared/messages/error.ts";
import { describeRefusal, readCredential, type Credential } from "./credential.ts";
import { sendError } from "./errors.ts";
import type { Caller, Keyring } from "./keyring.ts";
import type { OidcVerifier } from "./oidc-verifier.ts";

declare module "fastify" {
  interface FastifyRequest {
    /** Set before any handler runs; a request without one has been answered 401. */
    caller: Caller;
  }
}

export interface AuthenticationDeps {
  readonly keyring: Keyring;
  readonly oidc: OidcVerifier;
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
  if (credential === undefined) return refusal(undefined);
  if (credential.header === "authorization" && deps.oidc.claims(credential.token))
    return verifyToken(credential, deps.oidc);
  const match = deps.keyring.find(credential.token);
  if (match === undefined) return refusal(credential);
  return match.refused ? refusal(credential, match.refused) : match.caller;
}

async function verifyToken(credential: Credential, oidc: OidcVerifier): Promise<Caller> {
  const caller = await oidc.verify(credential.token);
  if (caller === undefined) throw refusal(credential);
  return caller;
}

function refusal(credential: Credential | undefined, why?: string): GatewayError {
  return new GatewayError("unauthenticated", describeRefusal(credential, why));
}
