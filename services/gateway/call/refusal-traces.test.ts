import type { FastifyReply, FastifyRequest } from "fastify";
import { expect, test } from "vitest";
import { GatewayError } from "#shared/messages/error.ts";
import type { StoredTrace } from "#shared/store/trace-store.ts";
import type { Arrival } from "./arrival.ts";
import { createRefusalTraces } from "./refusal-traces.ts";

const refused = new GatewayError("invalid_request", "max_tokens: Field required");

function arrivalOf(keyId: string, number: number): Arrival {
  const request = { id: `call_${keyId}_${number}`, caller: { keyId } } as FastifyRequest;
  return { request, reply: {} as FastifyReply, acceptedAt: Date.now() };
}

test("identities without number, as an issuer may have, leave no more than all keys together may", () => {
  const stored: StoredTrace[] = [];
  const refusals = createRefusalTraces({ put: (trace) => void stored.push(trace) });
  const startedAt = Date.now();
  for (let sub = 0; sub < 5000; sub++) refusals.put(arrivalOf(`oidc:ci:${sub}`, 1), "messages", refused);
  const givenBack = Math.ceil((Date.now() - startedAt) / 100);
  expect(stored.length).toBeGreaterThanOrEqual(600);
  expect(stored.length).toBeLessThanOrEqual(600 + givenBack);
});

test("a flood takes nothing of what others may leave", () => {
  const stored: StoredTrace[] = [];
  const refusals = createRefusalTraces({ put: (trace) => void stored.push(trace) });
  for (let call = 0; call < 5000; call++) refusals.put(arrivalOf("key:flood", call), "messages", refused);
  for (let call = 0; call < 60; call++) refusals.put(arrivalOf("key:other", call), "messages", refused);
  expect(stored.filter(({ keyId }) => keyId === "key:other")).toHaveLength(60);
});
