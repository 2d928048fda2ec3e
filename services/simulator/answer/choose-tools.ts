import type { Scenario } from "../scenario.ts";
import type { Prompt, PromptTool } from "./prompt.ts";

/** With more tools than these the caller is an agent, which would run whatever came first in its list. */
const fewTools = 8;

/**
 * The tools to call. One that is asked for by name (marker, `tool_choice`) or by force (`any`) is called at any time;
 * otherwise the one the prompt mentions, else the first of a few, and none when the caller brings results or wants a
 * structured answer.
 */
export function chooseTools(prompt: Prompt, scenario: Scenario): PromptTool[] {
  const { toolChoice } = prompt;
  if (toolChoice.type === "none" || scenario.toolCalls === 0) return [];
  const name = scenario.tool ?? (toolChoice.type === "tool" ? toolChoice.name : undefined);
  const asked = name !== undefined || toolChoice.type === "any" || scenario.toolCalls !== undefined;
  const tool = asked ? findTool(prompt, name) : suggestTool(prompt);
  return tool ? Array.from({ length: scenario.toolCalls ?? 1 }, () => tool) : [];
}

function findTool({ tools, text }: Prompt, name: string | undefined): PromptTool | undefined {
  const found = tools.find((tool) => (name === undefined ? mentions(text, tool.name) : tool.name === name));
  return found ?? tools[0];
}

function suggestTool({ tools, text, toolResults, format }: Prompt): PromptTool | undefined {
  if (toolResults.length > 0 || format !== undefined) return undefined;
  return tools.find((tool) => mentions(text, tool.name)) ?? (tools.length <= fewTools ? tools[0] : undefined);
}

function mentions(text: string, toolName: string): boolean {
  const at = text.indexOf(toolName);
  return at >= 0 && !/\w/.test(text.charAt(at - 1)) && !/\w/.test(text.charAt(at + toolName.length));
}
