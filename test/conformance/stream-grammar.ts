import { isFields, type Fields } from "../../services/worker/adapters/translate/reading.ts";

const deltaKinds: Readonly<Record<string, readonly string[]>> = {
  text: ["text_delta", "citations_delta"],
  thinking: ["thinking_delta", "signature_delta"],
  tool_use: ["input_json_delta"],
  server_tool_use: ["input_json_delta"],
  mcp_tool_use: ["input_json_delta"],
  compaction: ["compaction_delta"],
};

interface State {
  started: boolean;
  stopped: boolean;
  failed: boolean;
  delta: boolean;
  blocks: number;
  /** A call's arguments were no JSON: only an answer that was cut short may have that. */
  cutInput: boolean;
  open: { readonly kind: string; json: string } | undefined;
}

/**
 * What breaks the grammar of a Messages stream; empty when nothing does. A stream that ends without `message_stop` or
 * an error is cut, which `isCut` allows.
 */
export function grammarFaults(text: string, { isCut = false } = {}): string[] {
  const faults: string[] = [];
  const flags = { started: false, stopped: false, failed: false, delta: false, cutInput: false };
  const state: State = { ...flags, blocks: 0, open: undefined };
  const frames = text.split("\n\n");
  if (frames.pop() !== "") faults.push("the last event is not closed");
  for (const frame of frames) faults.push(...checkFrame(frame, state));
  if (!state.stopped && !state.failed && !isCut) faults.push("ends without message_stop");
  return faults;
}

function checkFrame(frame: string, state: State): string[] {
  const [, name, data] = /^event: (\w+)\ndata: (.*)$/.exec(frame) ?? [];
  if (name === undefined || data === undefined) return [`no event: ${frame.slice(0, 80)}`];
  const event: unknown = JSON.parse(data);
  if (!isFields(event) || event["type"] !== name) return [`${name}: its type says otherwise`];
  return checkEvent(name, event, state);
}

function checkEvent(name: string, event: Fields, state: State): string[] {
  if (state.stopped || state.failed) return [`${name} after the end`];
  if (name === "ping") return [];
  if (name === "error") return checkError(event, state);
  if (name !== "message_start" && !state.started) return [`${name} before message_start`];
  const rule = rules[name];
  return rule ? rule(event, state).map((fault) => `${name}: ${fault}`) : [`${name}: no such event`];
}

function checkError({ error }: Fields, state: State): string[] {
  state.failed = true;
  const isError = isFields(error) && typeof error["type"] === "string" && typeof error["message"] === "string";
  return isError ? [] : ["error: says nothing"];
}

const rules: Readonly<Record<string, (event: Fields, state: State) => string[]>> = {
  message_start: ({ message }, state) => {
    if (state.started) return ["twice"];
    state.started = true;
    const usage = isFields(message) ? message["usage"] : undefined;
    if (!isFields(message) || !Array.isArray(message["content"]) || message["content"].length > 0) return ["not empty"];
    return isFields(usage) && typeof usage["input_tokens"] === "number" ? [] : ["no input_tokens"];
  },
  content_block_start: ({ index, content_block: block }, state) => {
    if (state.delta) return ["after message_delta"];
    if (state.open) return ["before the block before has stopped"];
    if (index !== state.blocks) return [`index ${String(index)}, not ${state.blocks}`];
    if (!isFields(block)) return ["no block"];
    state.open = { kind: String(block["type"]), json: "" };
    return [];
  },
  content_block_delta: ({ index, delta }, state) => {
    if (!state.open || index !== state.blocks) return ["of a block that is not open"];
    const kind = isFields(delta) ? String(delta["type"]) : "";
    if (isFields(delta) && kind === "input_json_delta") state.open.json += String(delta["partial_json"]);
    return deltaKinds[state.open.kind]?.includes(kind) ? [] : [`${kind} in a block of ${state.open.kind}`];
  },
  content_block_stop: ({ index }, state) => {
    const { open } = state;
    if (!open || index !== state.blocks) return ["of a block that is not open"];
    state.open = undefined;
    state.blocks += 1;
    state.cutInput ||= !isJson(open.json);
    return [];
  },
  message_delta: ({ delta, usage }, state) => {
    if (state.open) return ["while a block is open"];
    if (state.delta) return ["twice"];
    state.delta = true;
    if (!isFields(delta) || typeof delta["stop_reason"] !== "string") return ["no stop_reason"];
    if (state.cutInput && !["max_tokens", "refusal"].includes(delta["stop_reason"]))
      return ["a tool's input is no JSON"];
    return isFields(usage) && typeof usage["output_tokens"] === "number" ? [] : ["no output_tokens"];
  },
  message_stop: (_, state) => {
    state.stopped = true;
    return state.delta ? [] : ["without message_delta"];
  },
};

function isJson(text: string): boolean {
  if (text === "") return true;
  try {
    return typeof JSON.parse(text) === "object";
  } catch {
    return false;
  }
}
