/** A call as the simulator saw it, for tests and for the curious. */
export interface LoggedRequest {
  readonly at: string;
  readonly method: string;
  readonly path: string;
  readonly apiKey: string;
  readonly model?: string;
  /** The beginning of the last user turn. */
  readonly prompt?: string;
  readonly stream?: boolean;
  /** `create` or `continue`, of a message thread. */
  readonly thread?: string;
  status?: number;
}

export interface RequestLog {
  add(request: LoggedRequest): void;
  /** What `GET /__sim/requests` shows: counts over everything, and the latest calls. */
  report(): unknown;
  clear(): void;
}

const keptRequests = 500;
const keptPrompts = 20_000;

/** @param inFlight calls and streams that are being answered now */
export function createRequestLog(inFlight: () => number): RequestLog {
  let total = 0;
  const recent: LoggedRequest[] = [];
  const prompts = new Map<string, number>();
  const keys = new Map<string, number>();

  return {
    add(request) {
      total++;
      recent.push(request);
      if (recent.length > 2 * keptRequests) recent.splice(0, keptRequests);
      keys.set(request.apiKey, (keys.get(request.apiKey) ?? 0) + 1);
      if (request.prompt === undefined) return;
      prompts.set(request.prompt, (prompts.get(request.prompt) ?? 0) + 1);
      if (prompts.size > keptPrompts) prompts.delete(prompts.keys().next().value as string);
    },
    report: () => ({
      total,
      in_flight: inFlight(),
      by_key: Object.fromEntries(keys),
      by_prompt: Object.fromEntries(prompts),
      recent: recent.slice(-keptRequests),
    }),
    clear() {
      total = 0;
      recent.length = 0;
      prompts.clear();
      keys.clear();
    },
  };
}
