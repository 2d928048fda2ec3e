import type { Scenario } from "../scenario.ts";
import { withoutMarkers } from "../scenarios.ts";
import { chooseTools } from "./choose-tools.ts";
import { makeId } from "./ids.ts";
import type { Answer, AnswerBlock, Prompt, PromptTool } from "./prompt.ts";
import { sampleSchema } from "./sample-schema.ts";
import { signThinking } from "./signature.ts";
import { fillerPieces, quote, toPieces } from "./tokens.ts";

const usualThinkingTokens = 24;

/** What a simulated model says to a prompt: repeats it, calls a tool, or fills a schema. */
export function composeAnswer(prompt: Prompt, scenario: Scenario): Answer {
  // Asked for no tokens, the model only reads the prompt into its cache.
  if (prompt.maxTokens === 0)
    return { blocks: [], stopReason: "max_tokens", stopSequence: null, outputTokens: 0, thinkingTokens: 0 };
  const thinking = composeThinking(prompt, scenario);
  const thinkingTokens = thinking?.tokens ?? 0;
  const tools = chooseTools(prompt, scenario);
  const words = composeText(prompt, scenario, tools.length > 0);
  const text = cutText(words, prompt.stopSequences, prompt.maxTokens - thinkingTokens);
  const left = prompt.maxTokens - thinkingTokens - text.pieces.length;
  const calls = text.stop === undefined ? composeToolUses(tools, prompt, left) : { blocks: [], tokens: 0 };
  const blocks: AnswerBlock[] = thinking ? [thinking] : [];
  if (text.pieces.length > 0) blocks.push({ type: "text", pieces: text.pieces });
  blocks.push(...calls.blocks);
  const toolsStop = calls.tokens > left ? "max_tokens" : "tool_use";
  return {
    blocks,
    stopReason: scenario.stopReason ?? text.stop ?? (tools.length > 0 ? toolsStop : "end_turn"),
    stopSequence: text.stopSequence,
    outputTokens: thinkingTokens + text.pieces.length + Math.min(calls.tokens, left),
    thinkingTokens,
  };
}

function composeThinking(
  prompt: Prompt,
  { thinkingTokens }: Scenario,
): Extract<AnswerBlock, { type: "thinking" }> | undefined {
  if (prompt.thinking === "off" && thinkingTokens === undefined) return undefined;
  const tokens = Math.min(prompt.maxTokens, thinkingTokens ?? usualThinkingTokens);
  const pieces = prompt.thinking === "omitted" ? [] : fillerPieces(tokens);
  const thinking = pieces.join("");
  return { type: "thinking", thinking, signature: signThinking(thinking), pieces, tokens };
}

function composeText(prompt: Prompt, scenario: Scenario, callsTools: boolean): string[] {
  if (scenario.say !== undefined) return toPieces(scenario.say);
  const said = quote(withoutMarkers(prompt.text));
  if (callsTools) return prompt.toolChoice.type === "auto" ? toPieces("Let me look that up.") : [];
  if (prompt.format !== undefined) return toPieces(JSON.stringify(sampleSchema(prompt.format, said)));
  const pieces = toPieces(
    prompt.toolResults.length > 0
      ? `The tool returned: ${prompt.toolResults.map((result) => quote(result)).join(" | ")}`
      : `You said: ${said}`,
  );
  if (scenario.tokens === undefined) return pieces;
  if (pieces.length >= scenario.tokens) return pieces.slice(0, scenario.tokens);
  const [first = "", ...more] = fillerPieces(scenario.tokens - pieces.length);
  return [...pieces, `\n\n${first}`, ...more];
}

interface CutText {
  readonly pieces: readonly string[];
  readonly stop?: "stop_sequence" | "max_tokens";
  readonly stopSequence: string | null;
}

function cutText(pieces: string[], stopSequences: readonly string[], most: number): CutText {
  const kept = pieces.slice(0, Math.max(0, most));
  const text = kept.join("");
  const found = stopSequences
    .map((sequence) => ({ sequence, at: text.indexOf(sequence) }))
    .filter(({ at, sequence }) => at >= 0 && sequence !== "")
    .toSorted((a, b) => a.at - b.at)[0];
  if (found) return { pieces: toPieces(text.slice(0, found.at)), stop: "stop_sequence", stopSequence: found.sequence };
  if (kept.length < pieces.length) return { pieces: kept, stop: "max_tokens", stopSequence: null };
  return { pieces: kept, stopSequence: null };
}

interface ToolUses {
  readonly blocks: readonly AnswerBlock[];
  /** More than `most` when the last one would not have fitted. */
  readonly tokens: number;
}

function composeToolUses(tools: readonly PromptTool[], prompt: Prompt, most: number): ToolUses {
  const blocks: AnswerBlock[] = [];
  let tokens = 0;
  const text = withoutMarkers(prompt.text).slice(0, 200).toWellFormed();
  for (const { name, schema } of tools) {
    if (tokens > most) break;
    const input = sampleSchema(schema, text);
    const pieces = toPieces(JSON.stringify(input));
    blocks.push({ type: "tool_use", id: makeId("toolu"), name, input, pieces });
    tokens += pieces.length;
  }
  return { blocks, tokens };
}
