import { describe, expect, test } from "vitest";
import { GatewayError } from "#shared/messages/error.ts";
import type { Credential } from "../adapters/adapter.ts";
import { createRefreshingCredentials, type FetchedCredential } from "./refreshing-credentials.ts";

const signal = new AbortController().signal;
const minuteMs = 60_000;

function credential(value: string): Credential {
  return { kind: "headers", headers: ["authorization", value] };
}

/** A source whose fetches the test answers, at a time that the test sets. */
function bed(fetchMs?: number) {
  const asked: PromiseWithResolvers<FetchedCredential>[] = [];
  const clock = { now: 1_000_000 };
  const source = createRefreshingCredentials(
    () => {
      const answer = Promise.withResolvers<FetchedCredential>();
      asked.push(answer);
      return answer.promise;
    },
    { now: () => clock.now, ...(fetchMs === undefined ? {} : { fetchMs }) },
  );
  const hold = async (value: string, lifeMs: number): Promise<void> => {
    const got = source.get(signal);
    asked.at(-1)?.resolve({ credential: credential(value), expiresAt: clock.now + lifeMs });
    await got;
  };
  return { source, asked, clock, hold };
}

describe("a credential", () => {
  test("is fetched once for all who ask at a time, and then is at hand", async () => {
    const { source, asked } = bed();
    expect(source.current).toBeUndefined();
    const all = [source.get(signal), source.get(signal), source.get(signal)];
    asked[0]?.resolve({ credential: credential("a") });
    expect(await Promise.all(all)).toEqual([credential("a"), credential("a"), credential("a")]);
    expect(source.current).toEqual(credential("a"));
    expect(asked).toHaveLength(1);
  });

  test("is renewed before it expires, and calls go on with the old one meanwhile", async () => {
    const { source, asked, clock, hold } = bed();
    await hold("old", 60 * minuteMs);
    clock.now += 54 * minuteMs;
    expect(source.current).toEqual(credential("old"));
    expect(asked).toHaveLength(1);
    clock.now += 2 * minuteMs;
    expect([source.current, source.current]).toEqual([credential("old"), credential("old")]);
    expect(asked).toHaveLength(2);
    asked[1]?.resolve({ credential: credential("new"), expiresAt: clock.now + 60 * minuteMs });
    await expect.poll(() => source.current).toEqual(credential("new"));
  });

  test("that has expired is not given out", async () => {
    const { source, asked, clock, hold } = bed();
    await hold("old", 60 * minuteMs);
    clock.now += 60 * minuteMs;
    expect(source.current).toBeUndefined();
    const got = source.get(signal);
    asked.at(-1)?.resolve({ credential: credential("new"), expiresAt: clock.now + minuteMs });
    expect(await got).toEqual(credential("new"));
  });

  test("that lives shorter than renewals take ahead still serves", async () => {
    const { source, hold } = bed();
    await hold("short", minuteMs);
    expect(source.current).toEqual(credential("short"));
  });
});

describe("a credential that the vendor refuses", () => {
  test("is given to nobody again: all who ask wait for one other", async () => {
    const { source, asked, hold } = bed();
    await hold("revoked", 60 * minuteMs);
    const revoked = await source.get(signal);
    expect([source.forget?.(revoked), source.forget?.(revoked)]).toEqual([true, true]);
    expect(source.current).toBeUndefined();
    const all = [source.get(signal), source.get(signal)];
    expect(asked).toHaveLength(2);
    asked[1]?.resolve({ credential: credential("new") });
    expect(await Promise.all(all)).toEqual([credential("new"), credential("new")]);
  });

  test("is not the one after it", async () => {
    const { source, asked, clock, hold } = bed();
    await hold("revoked", 60 * minuteMs);
    const revoked = await source.get(signal);
    source.forget?.(revoked);
    await hold("new", 60 * minuteMs);
    clock.now += minuteMs;
    expect(source.forget?.(revoked)).toBe(true);
    expect(source.current).toEqual(credential("new"));
    expect(asked).toHaveLength(2);
  });

  test("like the one before stays for a while: the account is refused, and no storm follows", async () => {
    const { source, asked, clock, hold } = bed();
    await hold("first", 60 * minuteMs);
    source.forget?.(await source.get(signal));
    await hold("second", 60 * minuteMs);
    const second = await source.get(signal);
    expect(source.forget?.(second)).toBe(false);
    expect(source.current).toEqual(credential("second"));
    expect(asked).toHaveLength(2);
    clock.now += 10_000;
    expect(source.forget?.(second)).toBe(true);
    expect(source.current).toBeUndefined();
  });

  test("for what it may not do is renewed beside the calls, which go on with it, once in a while", async () => {
    const { source, asked, clock, hold } = bed();
    await hold("old", 60 * minuteMs);
    const old = await source.get(signal);
    source.renew?.(old);
    source.renew?.(old);
    expect(asked).toHaveLength(2);
    expect(source.current).toBe(old);
    asked[1]?.resolve({ credential: credential("new"), expiresAt: clock.now + 60 * minuteMs });
    await expect.poll(() => source.current).toEqual(credential("new"));
    source.renew?.(old);
    source.renew?.(credential("new"));
    expect(asked).toHaveLength(2);
  });
});

describe("a failure", () => {
  test("is shared, tells no secret, and is not tried again at once", async () => {
    const { source, asked, clock } = bed();
    const all = [source.get(signal), source.get(signal)];
    asked[0]?.reject(Object.assign(new Error("client_secret=hunter2"), { code: "ECONNREFUSED" }));
    for (const got of all) {
      const reason: unknown = await got.catch((error: unknown) => error);
      expect(reason).toBeInstanceOf(GatewayError);
      expect(reason).toMatchObject({
        code: "upstream_refused",
        message: "The credential could not be fetched: ECONNREFUSED",
      });
      expect(JSON.stringify(reason, Object.getOwnPropertyNames(reason))).not.toContain("hunter2");
    }
    await expect(source.get(signal)).rejects.toThrow("ECONNREFUSED");
    expect(asked).toHaveLength(1);
    clock.now += 2 * minuteMs;
    const again = source.get(signal);
    expect(asked).toHaveLength(2);
    asked[1]?.resolve({ credential: credential("a") });
    expect(await again).toEqual(credential("a"));
  });

  test("of a renewal leaves the old credential in use", async () => {
    const { source, asked, clock, hold } = bed();
    await hold("old", 60 * minuteMs);
    clock.now += 57 * minuteMs;
    expect(source.current).toEqual(credential("old"));
    asked[1]?.reject(new Error("x"));
    await asked[1]?.promise.catch(() => undefined);
    expect(await source.get(signal)).toEqual(credential("old"));
  });

  test("is what a fetch without an end becomes", async () => {
    const { source } = bed(30);
    await expect(source.get(signal)).rejects.toMatchObject({
      code: "upstream_refused",
      message: expect.stringContaining("timed_out") as string,
    });
  });
});

describe("who asks", () => {
  test("may give up without ending the fetch for others", async () => {
    const { source, asked } = bed();
    const leaving = new AbortController();
    const left = source.get(leaving.signal);
    const stays = source.get(signal);
    leaving.abort(new GatewayError("cancelled", "gone"));
    await expect(left).rejects.toThrow("gone");
    asked[0]?.resolve({ credential: credential("a") });
    expect(await stays).toEqual(credential("a"));
  });

  test("is told when the source is closed", async () => {
    const { source } = bed();
    const got = source.get(signal);
    source.close?.();
    await expect(got).rejects.toMatchObject({ code: "upstream_refused" });
  });
});
