/**
 * The provider of the soak: takes so many calls at a time, answers each after a while, and refuses a share of them with
 * 429 and 529. `POST /__rules {most, serviceMs, share429, share529}` sets it up anew, `GET /__stats` tells what it saw.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";

interface Rules {
  most: number;
  serviceMs: number;
  share429: number;
  share529: number;
}

export interface UpstreamStats {
  asked: number;
  /** Refused because there were too many at a time. */
  refused: number;
  forced: number;
  served: number;
  /** Prompts that were answered more than once. */
  servedAgain: number;
}

let rules: Rules = { most: 20, serviceMs: 100, share429: 0, share529: 0 };
let stats = emptyStats();
let servedPrompts = new Set<string>();
let open = 0;

function emptyStats(): UpstreamStats {
  return { asked: 0, refused: 0, forced: 0, served: 0, servedAgain: 0 };
}

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json", "request-id": `req_${stats.asked}` });
  response.end(JSON.stringify(body));
}

function refuse(response: ServerResponse, status: 429 | 529, retryAfterMs: number): void {
  const type = status === 429 ? "rate_limit_error" : "overloaded_error";
  if (status === 429) response.setHeader("retry-after-ms", retryAfterMs);
  send(response, status, { type: "error", error: { type, message: "by chance" } });
}

function serve(prompt: string, response: ServerResponse): void {
  open += 1;
  setTimeout(() => {
    open -= 1;
    if (response.destroyed) return;
    stats.served += 1;
    if (servedPrompts.has(prompt)) stats.servedAgain += 1;
    servedPrompts.add(prompt);
    const usage = { input_tokens: 12, output_tokens: 9 };
    const content = [{ type: "text", text: `answer to ${prompt.slice(0, 40)}` }];
    const message = { id: `msg_${stats.served}`, type: "message", role: "assistant", model: "claude-bench", content };
    send(response, 200, { ...message, stop_reason: "end_turn", stop_sequence: null, usage });
  }, rules.serviceMs);
}

function answer(body: string, response: ServerResponse): void {
  stats.asked += 1;
  const chance = Math.random();
  if (open >= rules.most) {
    stats.refused += 1;
    refuse(response, 429, rules.serviceMs);
  } else if (chance < rules.share429 + rules.share529) {
    stats.forced += 1;
    refuse(response, chance < rules.share429 ? 429 : 529, 50);
  } else serve(/"content":"([^"]*)"/.exec(body)?.[1] ?? body, response);
}

function route(request: IncomingMessage, response: ServerResponse, body: string): void {
  if (request.url === "/__stats") send(response, 200, stats);
  else if (request.url === "/__rules") {
    rules = JSON.parse(body) as Rules;
    stats = emptyStats();
    servedPrompts = new Set();
    send(response, 200, {});
  } else answer(body, response);
}

const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("error", () => undefined);
  request.on("end", () => route(request, response, Buffer.concat(chunks).toString()));
});
server.keepAliveTimeout = 60_000;
server.listen(Number(process.argv[2]), "127.0.0.1", 4096);
process.on("SIGTERM", () => process.exit(0));
