import type { Operation } from "#shared/messages/call.ts";
import { errorEnvelope, type GatewayError } from "#shared/messages/error.ts";
import { createLocalLimits } from "#shared/store/local-limits.ts";
import type { TraceStore } from "#shared/store/trace-store.ts";
import type { Caller } from "../plugins/keyring.ts";
import type { Arrival } from "./arrival.ts";

/** Traces of calls that were refused before they began. */
export interface RefusalTraces {
  /** Costs the answer nothing: it is written with other traces, a little later. */
  put(arrival: Omit<Arrival, "reply">, operation: Operation, error: GatewayError): void;
}

/**
 * Whose calls without a valid key are. Their ids are known to nobody but those who got the answer: who has one, and a
 * key, may read the trace.
 */
export const nobodysId = "nobody";

/**
 * Being refused is free, so no key's limits bound it, and traces share the memory that Redis has for them. A person
 * who looks into a refusal needs the trace of one of them, not of each in a flood: some 20 MB in an hour at most.
 */
const keptOfKey = { rpm: 60 };
const keptOfAll = { rpm: 600 };

export function createRefusalTraces(traces: Pick<TraceStore, "put">): RefusalTraces {
  const kept = createLocalLimits();
  const isKept = (keyId: string, id: string): boolean => {
    const call = { id, holdMs: 0 };
    // The key's first: what it is refused there takes nothing from others.
    return kept.admit(keyId, keptOfKey, call) === 0 && kept.admit("", keptOfAll, call) === 0;
  };
  return {
    put({ request, acceptedAt, stream, model }, operation, error) {
      const { id } = request;
      // There is none as long as nobody has been let in.
      const caller: Caller | null = request.caller;
      const keyId = caller?.keyId ?? nobodysId;
      if (!isKept(keyId, id)) return;
      traces.put({
        id,
        requestId: id,
        keyId,
        operation,
        ...(stream === undefined ? undefined : { stream }),
        ...(model === undefined ? undefined : { model }),
        status: error.status,
        code: error.code,
        error: errorEnvelope(error, id).error,
        attempts: [],
        waits: [],
        notes: [],
        acceptedAt,
        endedAt: Date.now(),
        queueMs: 0,
      });
    },
  };
}
