/**
 * The provider of the bench: answers `POST /v1/messages` (whole and streamed) and `/v1/messages/count_tokens` at once, or paced as
 * `POST /__pace {firstByteMs, gapMs, deltas}` says. Each delta carries the machine's monotonic clock (`@123456789@`, µs), so that the
 * load can tell each event's own time on the way.
 */
import { createServer, type ServerResponse } from "node:http";

interface Pace {
  firstByteMs: number;
  gapMs: number;
  deltas: number;
}

let pace: Pace = { firstByteMs: 0, gapMs: 0, deltas: 50 };

const usage = {
  input_tokens: 12,
  cache_creation_input_tokens: 0,
  cache_read_input_tokens: 0,
  output_tokens: 9,
  service_tier: "standard",
};
const message = {
  id: "msg_bench",
  type: "message",
  role: "assistant",
  model: "claude-bench",
  stop_sequence: null,
  usage,
};
const whole = Buffer.from(
  JSON.stringify({ ...message, content: [{ type: "text", text: "x".repeat(400) }], stop_reason: "end_turn" }),
);
const count = Buffer.from(JSON.stringify({ input_tokens: 12 }));

function event(name: string, data: unknown): string {
  return `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
}

const opening =
  event("message_start", { type: "message_start", message: { ...message, content: [], stop_reason: null } }) +
  event("content_block_start", {
    type: "content_block_start",
    index: 0,
    content_block: { type: "text", text: "", citations: null },
  });
const closing =
  event("content_block_stop", { type: "content_block_stop", index: 0 }) +
  event("message_delta", { type: "message_delta", delta: { stop_reason: "end_turn", stop_sequence: null }, usage }) +
  event("message_stop", { type: "message_stop" });

function delta(): string {
  const stamp = Math.round(performance.timeOrigin * 1000 + performance.now() * 1000);
  return `event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" word @${stamp}@"}}\n\n`;
}

/** In a packet of its own, as providers send: deltas that arrive as one flatter whoever passes on what arrives. */
function writeNow(response: ServerResponse, text: string): void {
  response.write(text);
  response.socket?.uncork();
}

function stream(response: ServerResponse): void {
  response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8", "request-id": "req_bench" });
  const { deltas, gapMs } = pace;
  if (gapMs === 0) {
    writeNow(response, opening);
    for (let index = 0; index < deltas; index += 1) writeNow(response, delta());
    response.end(closing);
    return;
  }
  response.write(opening);
  let left = deltas;
  const timer = setInterval(() => {
    left -= 1;
    if (left > 0) {
      response.write(delta());
      return;
    }
    clearInterval(timer);
    response.end(delta() + closing);
  }, gapMs);
  response.on("close", () => clearInterval(timer));
}

function answer(path: string, streamed: boolean, response: ServerResponse): void {
  if (streamed) {
    stream(response);
    return;
  }
  response.writeHead(200, { "content-type": "application/json", "request-id": "req_bench" });
  response.end(path.includes("count_tokens") ? count : whole);
}

const server = createServer((request, response) => {
  const path = request.url ?? "/";
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => {
    // Of a large body only the end is kept: `"stream":true` stands there in what the load sends.
    if (path.startsWith("/__")) chunks.push(chunk);
    else chunks[0] = chunk;
  });
  request.on("end", () => {
    if (path === "/__pace") {
      pace = JSON.parse(Buffer.concat(chunks).toString()) as Pace;
      response.end("{}");
      return;
    }
    const streamed = chunks[0]?.includes('"stream":true') ?? false;
    if (pace.firstByteMs === 0) answer(path, streamed, response);
    else setTimeout(answer, pace.firstByteMs, path, streamed, response);
  });
});
server.keepAliveTimeout = 60_000;
server.listen(Number(process.argv[2]), "127.0.0.1", 4096);
process.on("SIGTERM", () => process.exit(0));
