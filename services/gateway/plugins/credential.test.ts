import { describe, expect, test } from "vitest";
import { describeRefusal, readCredential } from "./credential.ts";

describe("readCredential", () => {
  test("a non-empty x-api-key decides alone", () => {
    expect(readCredential({ "x-api-key": "k1", authorization: "Bearer t1" })).toEqual({
      header: "x-api-key",
      token: "k1",
      beside: true,
    });
  });

  test("an empty x-api-key counts as absent", () => {
    expect(readCredential({ "x-api-key": "", authorization: "Bearer t1" })?.token).toBe("t1");
    expect(readCredential({ "x-api-key": "  ", authorization: "Bearer t1" })?.header).toBe("authorization");
  });

  test("the scheme is read in any letter case, and another scheme counts as absent", () => {
    expect(readCredential({ authorization: "bearer t1" })?.token).toBe("t1");
    expect(readCredential({ authorization: "Basic dXNlcg==" })).toBeUndefined();
  });

  test("an empty bearer counts as absent", () => {
    expect(readCredential({ authorization: "Bearer " })).toBeUndefined();
    expect(readCredential({ authorization: "" })).toBeUndefined();
    expect(readCredential({})).toBeUndefined();
  });
});

describe("describeRefusal", () => {
  test("names the header that was used", () => {
    expect(describeRefusal({ header: "x-api-key", token: "k", beside: false })).toBe("invalid x-api-key");
    expect(describeRefusal({ header: "authorization", token: "k", beside: false })).toContain("authorization");
  });

  test("says so when both headers came", () => {
    const message = describeRefusal({ header: "x-api-key", token: "k", beside: true });
    expect(message).toContain("x-api-key");
    expect(message).toContain("authorization header came too");
  });

  test("never quotes the credential", () => {
    expect(describeRefusal({ header: "x-api-key", token: "sk-secret", beside: true })).not.toContain("sk-secret");
  });

  test("tells a caller without a credential what to send", () => {
    expect(describeRefusal(undefined)).toContain("x-api-key");
  });
});
