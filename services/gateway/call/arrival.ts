import type { FastifyReply, FastifyRequest } from "fastify";

/** A request for a call, with what has been found out about the call so far. */
export interface Arrival {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  /** Milliseconds since the epoch. */
  readonly acceptedAt: number;
  /** Both unknown until the body has been read. */
  stream?: boolean;
  /** The catalogue's name; what the caller wrote as long as the catalogue has not been asked. */
  model?: string;
}
