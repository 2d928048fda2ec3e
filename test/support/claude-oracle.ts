import { createBedrockWire } from "../../services/simulator/wires/bedrock.ts";
import { createFoundryWire } from "../../services/simulator/wires/foundry.ts";
import { createVertexWire } from "../../services/simulator/wires/vertex.ts";
import { useWireOracle, type WireOracle } from "./use-wire-oracle.ts";

/** The simulator's wires for Claude elsewhere. */
export function useClaudeOracle(): Promise<WireOracle> {
  return useWireOracle((deps) => [
    createBedrockWire(deps, []),
    createVertexWire(deps, []),
    createFoundryWire(deps, []),
  ]);
}

const schema = { type: "object", properties: { city: { type: "string" } }, required: ["city"] } as const;
const user = (content: string | object[]): object => ({ role: "user", content });

/** Calls that every SDK of Claude's can make. */
export const claudeCases: readonly (readonly [string, object])[] = [
  ["text", { messages: [user("Grüß dich 👋")] }],
  [
    "system with a cache mark",
    { system: [{ type: "text", text: "s", cache_control: { type: "ephemeral", ttl: "1h" } }], messages: [user("hi")] },
  ],
  ["thinking", { thinking: { type: "adaptive" }, output_config: { effort: "low" }, messages: [user("hi")] }],
  [
    "image and document",
    {
      messages: [
        user([
          { type: "image", source: { type: "base64", media_type: "image/png", data: "iVBORw0KGgo=" } },
          { type: "document", source: { type: "base64", media_type: "application/pdf", data: "JVBERi0xLjQK" } },
          { type: "text", text: "what is it?" },
        ]),
      ],
    },
  ],
  [
    "tools",
    {
      tools: [{ name: "weather", description: "d", input_schema: schema }],
      tool_choice: { type: "any" },
      messages: [user("weather?")],
    },
  ],
  [
    "tool results",
    {
      tools: [{ name: "weather", input_schema: schema }],
      messages: [
        user("weather?"),
        { role: "assistant", content: [{ type: "tool_use", id: "toolu_1", name: "weather", input: { city: "Oslo" } }] },
        user([{ type: "tool_result", tool_use_id: "toolu_1", content: "4 °C", is_error: false }]),
      ],
    },
  ],
];
