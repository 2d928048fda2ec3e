import { Metadata } from "@grpc/grpc-js";
import { expect, test } from "vitest";
import { assertGuarded, createTokenCheck, tokenMetadata } from "./credentials.ts";

test("only the very token passes, and any peer when there is none", () => {
  const knows = createTokenCheck("right");
  expect(knows(tokenMetadata("right"))).toBe(true);
  for (const token of ["wrong", "righ", "rightt", ""]) expect(knows(tokenMetadata(token))).toBe(false);
  expect(knows(new Metadata())).toBe(false);
  expect(createTokenCheck("")(new Metadata())).toBe(true);
});

test.each(["127.0.0.1:0", "127.9.9.9:1", "localhost:1", "[::1]:1", "unix:/run/worker.sock"])(
  "%s needs no guard",
  (listen) => {
    expect(() => assertGuarded(listen, { token: "", tls: undefined })).not.toThrow();
  },
);

test.each(["0.0.0.0:50051", "[::]:50051", "10.0.0.2:1", "worker:1", "127.0.0.1.example:1"])(
  "%s needs one",
  (listen) => {
    expect(() => assertGuarded(listen, { token: "", tls: undefined })).toThrow("workers.token");
    expect(() => assertGuarded(listen, { token: "t", tls: undefined })).not.toThrow();
    expect(() => assertGuarded(listen, { token: "", tls: { ca: "a", cert: "b", key: "c" } })).not.toThrow();
  },
);
