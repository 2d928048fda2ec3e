import { expect, test } from "vitest";
import { parseWorkerAddress, resolveAddresses } from "./resolve-addresses.ts";

const names: Readonly<Record<string, readonly string[]>> = {
  worker: ["10.0.0.2", "10.0.0.3", "fd00::2"],
  other: ["10.0.0.3"],
};

async function targets(address: string): Promise<string[]> {
  const found = await resolveAddresses(parseWorkerAddress(address), async (host) => names[host] ?? []);
  return found.map(({ target }) => target);
}

test.each([
  ["dns:///worker:50051", ["ipv4:10.0.0.2:50051", "ipv4:10.0.0.3:50051", "ipv6:[fd00::2]:50051"]],
  ["dns:worker:1", ["ipv4:10.0.0.2:1", "ipv4:10.0.0.3:1", "ipv6:[fd00::2]:1"]],
  ["other:1", ["ipv4:10.0.0.3:1"]],
  ["ipv4:127.0.0.1:50051,127.0.0.1:50052", ["ipv4:127.0.0.1:50051", "ipv4:127.0.0.1:50052"]],
  ["ipv6:[::1]:50051", ["ipv6:[::1]:50051"]],
  ["[::1]:1, 127.0.0.1:2", ["ipv6:[::1]:1", "ipv4:127.0.0.1:2"]],
  ["unix:/run/a.sock,unix:///run/b.sock", ["unix:/run/a.sock", "unix:/run/b.sock"]],
  ["worker:1,other:1", ["ipv4:10.0.0.2:1", "ipv4:10.0.0.3:1", "ipv6:[fd00::2]:1"]],
])("%s", async (address, expected) => {
  expect(await targets(address)).toEqual(expected);
});

test("an endpoint carries the name it was found by, for TLS", async () => {
  const found = await resolveAddresses(parseWorkerAddress("dns:///other:1"), async () => ["10.0.0.3"]);
  expect(found).toEqual([{ target: "ipv4:10.0.0.3:1", serverName: "other" }]);
});

test.each(["", "worker", "dns:///worker", "127.0.0.1:port", "http://worker:1"])("%j is refused", (address) => {
  expect(() => parseWorkerAddress(address)).toThrow(TypeError);
});

test("a name that cannot be resolved rejects", async () => {
  const fails = () => Promise.reject(new Error("ENOTFOUND"));
  await expect(resolveAddresses(parseWorkerAddress("worker:1"), fails)).rejects.toThrow("ENOTFOUND");
});
