import { request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";

export interface FormAnswer {
  readonly status: number;
  /** The body as JSON; undefined when it is none. */
  readonly value: unknown;
}

const maxAnswerBytes = 256 * 1024;

/** Posts a form; for token servers, asked once an hour. Rejects when the signal aborts, the connection fails or the answer is too large. */
export function postForm(url: URL, fields: Readonly<Record<string, string>>, signal: AbortSignal): Promise<FormAnswer> {
  const body = new URLSearchParams(fields).toString();
  const request = url.protocol === "http:" ? requestHttp : requestHttps;
  return new Promise((resolve, reject) => {
    const outgoing = request(url, {
      method: "POST",
      signal,
      agent: false,
      headers: { "content-type": "application/x-www-form-urlencoded", accept: "application/json" },
    });
    outgoing.on("response", (incoming) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      incoming.on("data", (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > maxAnswerBytes) outgoing.destroy(new Error("answer too large"));
        else chunks.push(chunk);
      });
      incoming.on("end", () => resolve({ status: incoming.statusCode ?? 0, value: parse(Buffer.concat(chunks)) }));
      incoming.on("error", reject);
    });
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}

function parse(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString("utf8"));
  } catch {
    return undefined;
  }
}
