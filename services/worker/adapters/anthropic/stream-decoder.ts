import type { StreamDecoder } from "../adapter.ts";

/** The wire already is Messages: bytes pass as they came, undecoded. Stateless, so one serves all streams. */
const identity: StreamDecoder = {
  push: (chunk) => chunk,
  end: () => undefined,
};

export function createStreamDecoder(): StreamDecoder {
  return identity;
}
