import { isIP } from "node:net";
import type { FastifyRequest } from "fastify";
import type { Operation } from "#shared/messages/call.ts";
import type { GatewayError } from "#shared/messages/error.ts";
import type { Logger } from "#shared/telemetry/logger.ts";
import { metrics } from "#shared/telemetry/metrics.ts";
import type { RefusalTraces } from "../call/refusal-traces.ts";

/** A credential that let nobody in. Of the credential itself nothing is told, not even how it begins. */
export interface CredentialRefusal {
  /** `oidc`: no entry accepts the token; `oidc_away`: its issuer could not be asked. */
  readonly reason: "missing" | "unknown" | "expired" | "disabled" | "oidc" | "oidc_away";
  /** The key's, where there is such a key. */
  readonly keyId?: string;
  readonly header?: string;
  readonly error: GatewayError;
}

export interface RefusedCredentials {
  /** Counts a refusal, has it logged within `quietMs`, and leaves the call it was for a trace. */
  note(request: FastifyRequest, refusal: CredentialRefusal): void;
  /** Logs what has not been told yet. */
  close(): void;
}

export interface RefusedCredentialsDeps {
  readonly logger: Logger;
  readonly refusals: RefusalTraces;
  /** After a line there is no other of its kind for so long, milliseconds; 10 s if absent. */
  readonly quietMs?: number;
}

const usualQuietMs = 10_000;

/** Since a line was written. */
interface Silence {
  count: number;
  last: object;
  timer: NodeJS.Timeout;
}

/**
 * What an operator learns of refused credentials. Whoever has no key can send any number of requests: of a reason, and of
 * a key that there is, one line is written at once and the rest is summed up, so that the log grows with the
 * number of keys and never with that of requests.
 */
export function createRefusedCredentials(deps: RefusedCredentialsDeps): RefusedCredentials {
  const { logger, refusals, quietMs = usualQuietMs } = deps;
  const silences = new Map<string, Silence>();

  function write(line: object, count: number): void {
    logger.warn({ ...line, count }, "credential refused");
  }
  function wait(name: string): NodeJS.Timeout {
    const end = (): void => {
      const silence = silences.get(name);
      if (silence === undefined || silence.count === 0) {
        silences.delete(name);
        return;
      }
      write(silence.last, silence.count);
      silence.count = 0;
      silence.timer = wait(name);
    };
    return setTimeout(end, quietMs).unref();
  }
  function tell(name: string, line: object): void {
    const silence = silences.get(name);
    if (silence === undefined) {
      write(line, 1);
      silences.set(name, { count: 0, last: line, timer: wait(name) });
      return;
    }
    silence.count += 1;
    silence.last = line;
  }
  return {
    note(request, { reason, keyId, header, error }) {
      metrics.credentialsRefusedTotal.inc({ reason });
      tell(`${reason} ${keyId ?? ""}`, { reason, keyId, header, callId: request.id, address: addressOf(request) });
      const operation = operationOf(request);
      if (operation !== undefined) refusals.put({ request, acceptedAt: Date.now() }, operation, error);
    },
    close() {
      for (const { count, last, timer } of silences.values()) {
        clearTimeout(timer);
        if (count > 0) write(last, count);
      }
      silences.clear();
    },
  };
}

/** Behind a proxy that is trusted it is taken from a header, where anything may stand. */
function addressOf({ ip }: FastifyRequest): string | undefined {
  return isIP(ip) === 0 ? undefined : ip;
}

/** Of a request that would have been a call. */
function operationOf({ method, routeOptions }: FastifyRequest): Operation | undefined {
  const path = method === "POST" ? routeOptions.url : undefined;
  if (path?.endsWith("/v1/messages")) return "messages";
  return path?.endsWith("/v1/messages/count_tokens") ? "count_tokens" : undefined;
}
