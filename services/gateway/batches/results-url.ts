import type { FastifyRequest } from "fastify";

export interface ResultsPlace {
  /** `server.public_url`, without a trailing slash; empty: the address that the request was sent to. */
  readonly publicUrl: string;
  /** The prefix under which the endpoint is served. */
  readonly prefix: string;
}

const hostPattern = /^(?:[A-Za-z0-9._-]+|\[[0-9a-fA-F:.]+\])(?::\d{1,5})?$/;

/**
 * Where the results of a batch are. Clients send their key to whatever stands here, so it is this gateway's own address
 * and never a provider's; scheme and host are a proxy's to say only if it is trusted.
 */
export function resultsUrl(request: FastifyRequest, { publicUrl, prefix }: ResultsPlace, batchId: string): string {
  const path = `${prefix}/v1/messages/batches/${batchId}/results`;
  if (publicUrl !== "") return publicUrl + path;
  const { host, protocol } = request;
  return hostPattern.test(host ?? "") && /^https?$/.test(protocol) ? `${protocol}://${host}${path}` : path;
}
