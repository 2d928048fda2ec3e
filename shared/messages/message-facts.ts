import { readUsage, type Usage } from "./usage.ts";

/** What is worth knowing of a whole Message, or of an error in its place. */
export interface MessageFacts {
  readonly id?: string;
  readonly type?: string;
  readonly usage?: Usage;
  /** The container that the answer ran in. */
  readonly containerId?: string;
}

/**
 * Reads a whole answer's bytes beside passing them on; what is not there, or not as expected, is left out.
 *
 * Parsed in full: that takes 1.6 µs for a short answer and 18 µs for 12 KB, scanning for the four members as a request's
 * body is scanned 3.6 and 25 µs.
 */
export function readMessageFacts(body: Buffer): MessageFacts {
  const message = parseObject(body);
  if (message === undefined) return {};
  const { id, type, container } = message;
  const usage = readUsage(message["usage"]);
  const containerId = readContainerId(container);
  return {
    ...(typeof id === "string" ? { id } : undefined),
    ...(typeof type === "string" ? { type } : undefined),
    ...(usage === undefined ? undefined : { usage }),
    ...(containerId === undefined ? undefined : { containerId }),
  };
}

/** The id in the `container` member of a Message or of a `message_delta`. */
export function readContainerId(container: unknown): string | undefined {
  if (typeof container !== "object" || container === null || !("id" in container)) return undefined;
  return typeof container.id === "string" ? container.id : undefined;
}

function parseObject(body: Buffer): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(body.toString());
    return typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>) : undefined;
  } catch {
    return undefined;
  }
}
