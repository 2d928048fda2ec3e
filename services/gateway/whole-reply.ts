import type { OutgoingHttpHeaders, ServerResponse } from "node:http";
import { writeAnswer, type Answer } from "./answer.ts";

export interface WholeReplyOptions {
  readonly callId: string;
  readonly acceptedAt: number;
  /** After so long the caller gets its 200 and a space now and then. */
  readonly heartbeatAfterMs: number;
  /** The caller closed the connection before its answer. At most once. */
  readonly onLeft: () => void;
}

const beatEveryMs = 15_000;
const space = Buffer.from(" ");

/**
 * A whole answer on the caller's socket.
 *
 * States: silent → beating (200 and spaces, which are legal before JSON: stock Node clients give up after 300 s without
 * headers) → ended. Once beating, a failure can only be told by destroying the socket.
 */
export class WholeReply {
  readonly #response: ServerResponse;
  readonly #options: WholeReplyOptions;
  #state: "silent" | "beating" | "ended" = "silent";
  #nextBeatAt: number;

  constructor(response: ServerResponse, options: WholeReplyOptions) {
    this.#response = response;
    this.#options = options;
    this.#nextBeatAt = options.acceptedAt + options.heartbeatAfterMs;
    response.on("close", () => {
      if (this.#state === "ended") return;
      this.#state = "ended";
      options.onLeft();
    });
  }

  tick(now: number): void {
    if (now < this.#nextBeatAt || this.#state === "ended") return;
    this.#nextBeatAt = now + Math.min(beatEveryMs, this.#options.heartbeatAfterMs);
    if (this.#state === "silent") {
      this.#state = "beating";
      this.#response.writeHead(200, this.#headers());
    }
    if (!this.#response.writableNeedDrain) this.#response.write(space);
  }

  /** Leaves the response to somebody else; false when something was sent already, or the caller left. */
  release(): boolean {
    if (this.#state !== "silent") return false;
    this.#state = "ended";
    return true;
  }

  answer(answer: Answer): void {
    const state = this.#state;
    if (state === "ended") return;
    this.#state = "ended";
    if (state === "silent") writeAnswer(this.#response, this.#options.callId, answer);
    else if (answer.status === 200) this.#response.end(answer.body);
    else this.#response.destroy();
  }

  #headers(): OutgoingHttpHeaders {
    const { callId } = this.#options;
    return { "content-type": "application/json", "request-id": callId, "x-sluice-request-id": callId };
  }
}
