import { describe, expect, test } from "vitest";

import { expectError } from "../support/expect-error.ts";
import { bedKeys } from "../support/gateway-bed.ts";
import { useGatewayBed } from "../support/use-gateway-bed.ts";

const bed = await useGatewayBed();

const post = (path: string, body: unknown): Promise<Response> => bed.post(path, body);
const get = (path: string, init: RequestInit = {}): Promise<Response> =>
  fetch(`${bed.url}${path}`, { headers: { "x-api-key": bedKeys.key }, ...init });

describe("paths and methods", () => {
  test("the address itself tells everybody what it is, and no version", async () => {
    for (const path of ["/", "/?from=browser"]) {
      const response = await get(path, { headers: {} });
      expect(response.status).toBe(200);
      expect(response.headers.get("content-type")).toBe("application/json");
      expect(response.headers.get("request-id")).toMatch(/^call_/);
      const text = await response.text();
      const page = JSON.parse(text) as { readonly name: string; readonly links: object; readonly health: string };
      expect(page).toMatchObject({ name: "sluice", links: { messages: "/v1/messages" } });
      expect(Object.keys(page.links)).toEqual(
        expect.arrayContaining(["batches", "jobs", "requests", "usage", "limits"]),
      );
      expect(page.health).toContain("9464");
      expect(text).not.toMatch(/\d+\.\d+/);
    }
    const head = await get("/", { method: "HEAD", headers: {} });
    expect([head.status, await head.text()]).toEqual([200, ""]);
  });

  test("nothing else is answered there, and strangers are not told what is", async () => {
    await expectError(await get("/", { method: "POST", headers: {} }), { status: 401, type: "authentication_error" });
    await expectError(await get("/", { method: "POST" }), { status: 404, type: "not_found_error" });
    for (const path of ["//", "/index.html"])
      await expectError(await get(path, { headers: {} }), { status: 401, type: "authentication_error" });
  });

  test("an unknown path: 404 not_found_error", async () => {
    await expectError(await post("/v1/chat/completions?a=b", "{}"), {
      status: 404,
      type: "not_found_error",
      message:
        "POST /v1/chat/completions is not served here: calls go to POST /v1/messages, and GET / lists what else there is.",
    });
    await expectError(await get("/v1/nothing"), { status: 404, type: "not_found_error" });
    await expectError(await post("/v1/nothing", "{}"), { status: 404, type: "not_found_error" });
    await expectError(await get("/%zz"), { status: 404, type: "not_found_error" });
  });

  test("a wrong method: 405 invalid_request_error, saying which are right", async () => {
    const response = await get("/v1/messages");
    expect(response.headers.get("allow")).toBe("POST");
    const message = "GET is not possible here, but POST is.";
    await expectError(response, { status: 405, type: "invalid_request_error", message });
    const other = await get("/v1/models", { method: "DELETE" });
    expect(other.headers.get("allow")).toBe("GET, HEAD");
    const two = "DELETE is not possible here, but GET, HEAD are.";
    await expectError(other, { status: 405, type: "invalid_request_error", message: two });
    for (const method of ["PROPFIND", "QUERY"])
      await expectError(await get("/v1/messages", { method }), { status: 405, type: "invalid_request_error" });
  });

  test.each(["/livez", "/readyz", "/healthz", "/metrics"])(
    "%s is not here, which strangers are told too",
    async (path) => {
      const lines = bed.lines.length;
      for (const headers of [{}, { "x-api-key": "wrong" }, { "x-api-key": bedKeys.key }])
        await expectError(await get(`${path}?verbose`, { headers }), {
          status: 404,
          type: "not_found_error",
          message: /^\/livez, \/readyz and \/metrics are on the gateway's ops port, 9464 /,
        });
      expect(bed.lines.length).toBe(lines);
      expect((await get(path, { method: "HEAD", headers: {} })).status).toBe(404);
      expect((await get(path, { method: "POST", headers: {} })).status).toBe(401);
      expect((await get(`${path}/`, { headers: {} })).status).toBe(401);
    },
  );
});
