import type { ServerResponse } from "node:http";

import type { Frame, Pacer } from "./pacer.ts";
import type { Scenario } from "./scenario.ts";

/** How fast a simulated model is when a call does not say. */
export interface Pace {
  readonly ttftMs: number;
  readonly tokensPerSecond: number;
  readonly tokensPerDelta: number;
}

/** One answer under way. */
export interface Exchange {
  readonly response: ServerResponse;
  readonly scenario: Scenario;
  readonly pace: Pace;
  readonly pacer: Pacer;
}

export interface WholeAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** Output tokens, which take their time; 0 for errors and counts, which do not. */
  readonly tokens: number;
}

export interface StreamedAnswer {
  readonly headers: Readonly<Record<string, string>>;
  readonly frames: Iterable<Frame>;
  /** The wire's frame for the scenario's error inside a stream. */
  readonly errorFrame: () => string;
  /** Of the frames' text; UTF-8 if absent. */
  readonly encoding?: BufferEncoding | undefined;
  /** The answer left whole. */
  readonly completed: () => void;
}

/** Sends a whole answer when its tokens would be there, or breaks as the scenario says. */
export function playWhole(exchange: Exchange, answer: WholeAnswer): void {
  const { response, scenario, pace } = exchange;
  if (breaksAtOnce(exchange)) return;
  const rate = scenario.rate ?? pace.tokensPerSecond;
  const generatingMs =
    answer.tokens === 0 ? 0 : (scenario.ttftMs ?? pace.ttftMs) + (rate === 0 ? 0 : (answer.tokens * 1000) / rate);
  after(response, (scenario.firstByteMs ?? 0) + generatingMs, () => {
    const body = Buffer.from(answer.body);
    response.writeHead(answer.status, { ...answer.headers, "content-length": String(body.length) });
    const cut = answer.status === 200 && (scenario.cutAfter ?? scenario.endAfter ?? scenario.stallAfter) !== undefined;
    if (!cut) {
      response.end(body);
      return;
    }
    response.write(body.subarray(0, Math.ceil(body.length / 2)));
    if (scenario.stallAfter === undefined) response.socket?.destroySoon();
  });
}

/** Sends a stream at its pace, with the scenario's faults. */
export function playStream(exchange: Exchange, answer: StreamedAnswer): void {
  const { response, scenario, pace, pacer } = exchange;
  if (breaksAtOnce(exchange)) return;
  after(response, scenario.firstByteMs ?? 0, () => {
    response.writeHead(200, answer.headers);
    const ending = { how: "end" as Ending };
    const stop = pacer.play({
      response,
      frames: withFaults(answer, scenario, ending),
      rate: scenario.rate ?? pace.tokensPerSecond,
      firstTokenMs: scenario.ttftMs ?? pace.ttftMs,
      pieceBytes: scenario.pieceBytes,
      encoding: answer.encoding,
      ended: () => endStream(response, ending.how, answer.completed),
    });
    response.once("close", stop);
  });
}

type Ending = "end" | "cut" | "stall" | "fault";

function* withFaults(answer: StreamedAnswer, scenario: Scenario, ending: { how: Ending }): Generator<Frame, void> {
  let deltas = 0;
  // What is no text has no lines.
  const lines: Scenario = answer.encoding === undefined ? scenario : {};
  ending.how = "fault";
  for (const frame of answer.frames) {
    if (frame.tokens > 0) {
      const fault = faultAt(scenario, deltas++);
      if (fault !== undefined) {
        if (fault === "fault" && scenario.errorAfter !== undefined)
          yield withLineEnds({ text: answer.errorFrame(), tokens: 0 }, lines);
        ending.how = fault;
        return;
      }
    }
    yield withLineEnds(frame, lines);
    if (!scenario.errorBeforeContent) continue;
    // Behind the first event, which opens the message.
    yield withLineEnds({ text: answer.errorFrame(), tokens: 0 }, lines);
    return;
  }
  ending.how = "end";
}

/** What goes wrong in front of the delta with this index. */
function faultAt(scenario: Scenario, delta: number): Ending | undefined {
  if (delta === scenario.errorAfter || delta === scenario.endAfter) return "fault";
  if (delta === scenario.cutAfter) return "cut";
  return delta === scenario.stallAfter ? "stall" : undefined;
}

function withLineEnds(frame: Frame, scenario: Scenario): Frame {
  return scenario.crlf ? { text: frame.text.replaceAll("\n", "\r\n"), tokens: frame.tokens } : frame;
}

function endStream(response: ServerResponse, how: Ending, completed: () => void): void {
  if (response.destroyed || how === "stall") return;
  if (how === "cut") {
    response.socket?.destroySoon();
    return;
  }
  if (how === "end") completed();
  response.end();
}

function breaksAtOnce({ response, scenario }: Exchange): boolean {
  if (scenario.reset) response.socket?.resetAndDestroy();
  return scenario.reset === true || scenario.hang === true;
}

/** Calls back after the time, at once for 0, never when the connection has gone. */
function after(response: ServerResponse, ms: number, then: () => void): void {
  if (ms <= 0) {
    then();
    return;
  }
  const timer = setTimeout(then, ms);
  response.once("close", () => clearTimeout(timer));
}
