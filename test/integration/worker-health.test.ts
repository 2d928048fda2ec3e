import { once } from "node:events";
import { connect as connectHttp2, type ClientHttp2Stream } from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { status } from "@grpc/grpc-js";
import { afterEach, describe, expect, test } from "vitest";
import { tokenMetadata } from "#shared/rpc/credentials.ts";
import { eventually } from "../support/eventually.ts";
import { connectHealth, type HealthProbe } from "../support/health-probe.ts";
import { createSessionKit, makeCall, never, okOutcome, token } from "./fixtures/session-kit.ts";

const kit = createSessionKit();
afterEach(() => kit.close());

const sessionService = "worker.v1.WorkerService";
const ours = tokenMetadata(token);
const connect = (address: string): HealthProbe => kit.own(connectHealth(address, ours));

describe.each([
  ["TCP", "127.0.0.1:0"],
  ["a unix socket", `unix:${join(tmpdir(), `sluice-health-${process.pid}.sock`)}`],
])("over %s", (_name, listen) => {
  test("a worker serves, as a whole and by its service's name, until it drains", async () => {
    const release = Promise.withResolvers<void>();
    const worker = await kit.worker({ invoke: () => release.promise.then(() => okOutcome({})) }, { listen });
    const client = connect(worker.address);
    for (const service of ["", sessionService]) expect(await client.check(service)).toBe("SERVING");
    expect(await client.check("worker.v2.WorkerService")).toBe(status.NOT_FOUND);

    const heard = ["", sessionService].map((service) => client.watch(service).heard);
    const unknown = client.watch("worker.v2.WorkerService").heard;
    for (const answers of heard) await eventually(() => expect(answers).toEqual(["SERVING"]));

    const pool = kit.pool(worker.address);
    const outcome = pool.invoke(makeCall(), { signal: never, keepOrphan: true });
    await eventually(() => expect(worker.calls).toBe(1));
    const drained = worker.drain(never);
    for (const answers of heard) await eventually(() => expect(answers).toEqual(["SERVING", "NOT_SERVING"]));
    for (const service of ["", sessionService]) expect(await client.check(service)).toBe("NOT_SERVING");
    expect(worker.calls).toBe(1);

    release.resolve();
    await Promise.all([outcome, drained]);
    await worker.close();
    for (const answers of heard) await eventually(() => expect(answers).toEqual(["SERVING", "NOT_SERVING", "end"]));
    expect(unknown).toEqual(["SERVICE_UNKNOWN", "end"]);
  });
});

test("a probe without the token is told of the whole process, whatever it asks", async () => {
  const worker = await kit.worker({});
  const client = connect(worker.address);
  const nobody = tokenMetadata("");
  expect(await client.check("", nobody)).toBe("SERVING");
  expect(await client.check(sessionService, tokenMetadata("wrong"))).toBe("SERVING");
  const { heard } = client.watch("", nobody);
  await eventually(() => expect(heard).toEqual(["SERVING"]));
  await worker.drain(never);
  await eventually(() => expect(heard).toEqual(["SERVING", "NOT_SERVING"]));
  expect(await client.check("", nobody)).toBe("NOT_SERVING");
});

test("of a stranger's question not a byte is read, however long it is", async () => {
  const worker = await kit.worker({});
  const client = connectHttp2(`http://${worker.address}`);
  kit.own({ close: () => client.destroy() });
  const ask = (authorization: string): ClientHttp2Stream => {
    const path = "/grpc.health.v1.Health/Watch";
    const grpc = { "content-type": "application/grpc", te: "trailers", authorization };
    const stream = client.request({ ":method": "POST", ":path": path, ...grpc });
    const frame = Buffer.alloc(1024 * 1024);
    frame.writeUInt32BE(4 * 1024 * 1024, 1);
    stream.write(frame);
    return stream;
  };
  const stranger = ask("Bearer wrong");
  await once(stranger, "data");
  // As long a question as another's, which is read meanwhile.
  const known = ask(`Bearer ${token}`);
  await eventually(() => expect(known.writableLength).toBe(0));
  expect(stranger.writableLength).toBeGreaterThan(0);
});

test("only so many ask at a time, and those who left make room", async () => {
  const worker = await kit.worker({});
  const client = connect(worker.address);
  const watchers = Array.from({ length: 256 }, () => client.watch(""));
  for (const { heard } of watchers) await eventually(() => expect(heard).toEqual(["SERVING"]));
  expect(await client.check("")).toBe(status.RESOURCE_EXHAUSTED);
  watchers[0]?.leave();
  await eventually(async () => expect(await client.check("")).toBe("SERVING"));
});
