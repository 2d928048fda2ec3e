import { lookup } from "node:dns/promises";
import { isIP, isIPv6 } from "node:net";

/** One place where a worker may listen. */
export interface Endpoint {
  /** As grpc-js takes it: `ipv4:10.0.0.2:50051`, `ipv6:[fd00::2]:50051`, `unix:/run/worker.sock`. */
  readonly target: string;
  /** The name it was found by, which a TLS certificate must carry. */
  readonly serverName: string;
}

/** Every address of a host name, as text. */
export type LookupHost = (host: string) => Promise<readonly string[]>;

type Place = { readonly host: string; readonly port: string } | { readonly path: string };

/**
 * The places that `workers.address` names: `dns:///name:port`, `ipv4:a:p,b:p`, `ipv6:[a]:p`, `unix:/path`, plain
 * `host:port`; several with commas. Throws TypeError on anything else.
 */
export function parseWorkerAddress(address: string): readonly Place[] {
  const places = address
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part.length > 0);
  if (places.length === 0) throw new TypeError("workers.address is empty");
  return places.map(parsePlace);
}

function parsePlace(text: string): Place {
  if (text.startsWith("unix:")) return { path: text.replace(/^unix:(?:\/\/(?=\/))?/, "") };
  const name = text.replace(/^(?:dns:(?:\/\/[^/]*\/)?|ipv4:|ipv6:)/, "");
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(name);
  const host = match?.[1] ?? match?.[2];
  const port = match?.[3];
  if (host === undefined || port === undefined) throw new TypeError(`workers.address: "${text}" is not host:port`);
  return { host, port };
}

/** Every endpoint the address stands for now, each once. Rejects when a name cannot be resolved. */
export async function resolveAddresses(
  places: readonly Place[],
  lookupHost: LookupHost = lookupAll,
): Promise<readonly Endpoint[]> {
  const found = await Promise.all(places.map((place) => resolvePlace(place, lookupHost)));
  return [...new Map(found.flat().map((endpoint) => [endpoint.target, endpoint])).values()];
}

async function resolvePlace(place: Place, lookupHost: LookupHost): Promise<Endpoint[]> {
  if ("path" in place) return [{ target: `unix:${place.path}`, serverName: "localhost" }];
  const { host, port } = place;
  const addresses = isIP(host) ? [host] : await lookupHost(host);
  return addresses.map((address) => ({ target: ipTarget(address, port), serverName: host }));
}

function ipTarget(address: string, port: string): string {
  return isIPv6(address) ? `ipv6:[${address}]:${port}` : `ipv4:${address}:${port}`;
}

async function lookupAll(host: string): Promise<string[]> {
  const found = await lookup(host, { all: true });
  return found.map(({ address }) => address);
}
