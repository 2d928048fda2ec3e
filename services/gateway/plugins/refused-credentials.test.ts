import type { FastifyRequest } from "fastify";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { GatewayError } from "#shared/messages/error.ts";
import { createLogger } from "#shared/telemetry/logger.ts";
import { createRefusedCredentials, type CredentialRefusal } from "./refused-credentials.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const error = new GatewayError("unauthenticated", "invalid x-api-key");

function setUp() {
  const lines: Readonly<Record<string, unknown>>[] = [];
  const destination = { write: (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>) };
  const logger = createLogger({ name: "gateway", destination });
  const refused = createRefusedCredentials({ logger, refusals: { put: () => undefined }, quietMs: 10_000 });
  let number = 0;
  const note = (refusal: Omit<CredentialRefusal, "error">, ip = "10.0.0.1"): void => {
    number += 1;
    const request = { id: `call_${number}`, ip, method: "GET", headers: {} } as FastifyRequest;
    refused.note(request, { ...refusal, error });
  };
  return { lines, note, refused };
}

describe("the log of refused credentials", () => {
  test("has the first of a reason at once, and how many more came until the next line, with the latest of them", () => {
    const { lines, note } = setUp();
    for (let call = 0; call < 1000; call++) note({ reason: "unknown", header: "x-api-key" });
    expect(lines).toMatchObject([{ reason: "unknown", header: "x-api-key", callId: "call_1", count: 1 }]);
    vi.advanceTimersByTime(10_000);
    expect(lines.slice(1)).toMatchObject([{ reason: "unknown", callId: "call_1000", count: 999 }]);
    vi.advanceTimersByTime(60_000);
    expect(lines).toHaveLength(2);
    note({ reason: "unknown" });
    expect(lines).toHaveLength(3);
  });

  test("keeps keys that there are apart, by name", () => {
    const { lines, note } = setUp();
    for (const keyId of ["key:old", "key:older", "key:old"]) note({ reason: "expired", keyId });
    note({ reason: "disabled", keyId: "key:old" });
    expect(lines.map(({ reason, keyId }) => [reason, keyId])).toEqual([
      ["expired", "key:old"],
      ["expired", "key:older"],
      ["disabled", "key:old"],
    ]);
  });

  test("says from where, unless what a proxy says is no address", () => {
    const { lines, note } = setUp();
    note({ reason: "missing" });
    note({ reason: "unknown" }, "sk-no-address");
    expect(lines.map(({ address }) => address)).toEqual(["10.0.0.1", undefined]);
    expect(JSON.stringify(lines)).not.toContain("sk-no");
  });

  test("loses nothing when the process ends, and says nothing twice", () => {
    const { lines, note, refused } = setUp();
    for (let call = 0; call < 3; call++) note({ reason: "missing" });
    refused.close();
    vi.advanceTimersByTime(60_000);
    expect(lines.map(({ count }) => count)).toEqual([1, 2]);
  });
});
