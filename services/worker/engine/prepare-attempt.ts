import { toGatewayError, GatewayError } from "#shared/messages/error.ts";
import { withDeadline } from "#shared/runtime/deadline.ts";
import type { PlannedTarget } from "#shared/routing/plan.ts";
import type {
  Credential,
  CredentialSource,
  DecodeContext,
  EncodeGiven,
  ProviderCall,
  UpstreamRequest,
} from "../adapters/adapter.ts";
import { adaptedBody } from "./adapted-call.ts";
import type { AttemptEnd } from "./attempt-end.ts";
import { betasFor } from "./call-betas.ts";
import { noteOnce, type CallRun } from "./call-run.ts";
import type { EngineDeps } from "./engine-deps.ts";
import type { Provider } from "./provider.ts";

/** A request that can be sent. */
export interface PreparedAttempt {
  readonly provider: Provider;
  readonly request: UpstreamRequest;
  /** What it was made of; what its answer is decoded with too. */
  readonly call: EncodedCall;
  /** What it was authorised with; undefined where the configuration's own key is in the request. */
  readonly credential: Credential | undefined;
}

type EncodedCall = ProviderCall & DecodeContext;

/** Longer than this no credential is waited for. */
const credentialMs = 10_000;

/**
 * The request of the next attempt, or how the attempt ended before anything could be sent; undefined where the provider
 * is not known here. A promise only where a credential has to be fetched first.
 */
export function prepareAttempt(
  run: CallRun,
  target: PlannedTarget,
  deps: EngineDeps,
): PreparedAttempt | AttemptEnd | Promise<PreparedAttempt | AttemptEnd> | undefined {
  const provider = deps.providers.get(target.provider);
  if (!provider) return undefined;
  const { credentials } = provider;
  const credential = credentials?.current;
  if (credentials && credential === undefined) return prepareLater(run, { target, provider, credentials }, deps);
  return prepareWith(run, { target, provider, credential, now: Date.now() }, deps);
}

interface Asked {
  readonly target: PlannedTarget;
  readonly provider: Provider;
}

/** One object for all who are told of an attempt. */
type AskedWith = Asked & EncodeGiven;

async function prepareLater(
  run: CallRun,
  asked: Asked & { readonly credentials: CredentialSource },
  deps: EngineDeps,
): Promise<PreparedAttempt | AttemptEnd> {
  const startedAt = Date.now();
  const patience = withDeadline(run.signal, Math.min(startedAt + credentialMs, run.deadlineAt));
  try {
    const credential = await asked.credentials.get(patience.signal);
    return prepareWith(run, { ...asked, credential, now: Date.now() }, deps);
  } catch (reason) {
    const isOver = run.signal.aborted ? "cancelled" : Date.now() >= run.deadlineAt ? "timed_out" : undefined;
    return unsent(startedAt, { reason: isOver ?? "no_credential", detail: describeLack(reason) });
  } finally {
    patience.clear();
  }
}

/** A source's own words are ours and hold no secret; anybody else's are not repeated. */
function describeLack(reason: unknown): string {
  return reason instanceof GatewayError ? reason.message : "the credential could not be fetched";
}

function prepareWith(run: CallRun, asked: AskedWith, deps: EngineDeps): PreparedAttempt | AttemptEnd {
  const { target, provider } = asked;
  try {
    const call = describeCall(run, asked, deps);
    const request = provider.adapter.encode(call, target, asked);
    if (request.notes) for (const note of request.notes) noteOnce(run, note);
    return { provider, request, call, credential: asked.credential };
  } catch (reason) {
    const refusal = toGatewayError(reason);
    return { ...unsent(asked.now, { reason: "invalid_request", detail: describeRefusal(refusal) }), refusal };
  }
}

/** One object for both, encoding and decoding. */
function describeCall(run: CallRun, asked: Asked, deps: EngineDeps): EncodedCall {
  const { head } = run;
  const betas = betasFor(run, asked, deps);
  const adapted = adaptedBody(run, asked, deps);
  const call: EncodedCall = {
    id: head.id,
    callId: head.id,
    operation: head.operation,
    stream: head.stream,
    askedModel: head.askedModel,
    headers: head.headers,
    body: adapted?.body ?? run.body,
    splices: adapted?.splices ?? head.splices,
    refusedBetas: undefined,
  };
  return betas ? { ...call, betas } : call;
}

/** Where it is, and no more: what follows may be the caller's words. */
function describeRefusal({ code, message }: GatewayError): string {
  if (code === "internal") return "could not be encoded";
  const member = /^[A-Za-z_][\w.[\]]{0,79}/.exec(message)?.[0];
  return member === undefined ? "cannot be said there" : `cannot be said there: ${member}`;
}

function unsent(startedAt: number, end: Pick<AttemptEnd, "reason" | "detail">): AttemptEnd {
  return { ...end, sent: false, startedAt, endedAt: Date.now() };
}
