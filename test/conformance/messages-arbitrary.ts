import * as fc from "fast-check";
import type { Arbitrary } from "fast-check";
import { text } from "./arbitrary/content.ts";
import { conversation } from "./arbitrary/conversation.ts";
import { rareKinds } from "./arbitrary/rare-kinds.ts";
import type { Rare } from "./arbitrary/rare.ts";
import { customTool, schema } from "./arbitrary/tool.ts";
import { cacheControl, optional, rare, word, type Json } from "./arbitrary/words.ts";

const parameters = fc.record({
  system: optional(fc.oneof(word, fc.array(text, { minLength: 1, maxLength: 2 }))),
  temperature: optional(fc.double({ min: 0, max: 1, noNaN: true })),
  top_p: optional(fc.double({ min: 0, max: 1, noNaN: true })),
  top_k: rare(fc.nat(500)),
  stop_sequences: rare(fc.array(word, { maxLength: 6 })),
  stream: optional(fc.boolean()),
  metadata: optional(fc.record({ user_id: optional(word) })),
  service_tier: optional(fc.constantFrom("auto", "standard_only")),
  cache_control: cacheControl,
  thinking: optional(
    fc.constantFrom<Json>(
      { type: "adaptive" },
      { type: "adaptive", display: "omitted" },
      { type: "enabled", budget_tokens: 1_024 },
      { type: "enabled", budget_tokens: 3_000, display: "summarized" },
      { type: "disabled" },
    ),
  ),
  output_config: optional(
    fc.record({
      effort: optional(fc.constantFrom("low", "medium", "high", "xhigh", "max")),
      format: optional(schema.map((own) => ({ type: "json_schema", schema: own }))),
    }),
  ),
});

const tools = fc.uniqueArray(customTool, { selector: ({ name }) => name, minLength: 1, maxLength: 4 });
const choice = fc.constantFrom("auto", "any", "tool", "none");

/** A valid Messages request for one of these models, with what is rare of it in some of them. */
export function messagesRequest(models: readonly string[]): Arbitrary<Json> {
  return request(models, fc.oneof({ weight: 3, arbitrary: fc.constant({}) }, fc.constantFrom(...rareKinds)));
}

/** Requests that hold every kind of thing between them, everything rare in two of them; the same ones at any time. */
export function everyKind(models: readonly string[]): Json[] {
  const common = fc.sample(messagesRequest(models), { seed: 1, numRuns: 150 });
  const rarities = rareKinds.map((kind, seed) =>
    fc.sample(request(models, fc.constant(kind)), { seed: seed + 1, numRuns: 2 }),
  );
  return [...common, ...rarities.flat()];
}

function request(models: readonly string[], rareKind: Arbitrary<Rare>): Arbitrary<Json> {
  return fc
    .record({
      model: fc.constantFrom(...models),
      talk: conversation,
      given: parameters,
      own: optional(tools),
      chosen: optional(choice),
      isSerial: optional(fc.boolean()),
      kind: rareKind,
    })
    .map(({ model, talk, given, own, chosen, isSerial, kind }) => {
      const all: readonly Json[] = [...(own ?? []), ...(kind.tool ? [kind.tool] : [])];
      const messages = [talk.first, ...(kind.turns ?? []), ...talk.turns, ...talk.prefill];
      const named = chosen === "tool" ? { name: own?.[0]?.name } : {};
      const serial = isSerial === undefined || chosen === "none" ? {} : { disable_parallel_tool_use: isSerial };
      const toolChoice = own && chosen ? { tool_choice: { type: chosen, ...named, ...serial } } : {};
      const offered = all.length > 0 ? { tools: all } : {};
      const value = { model, max_tokens: 4_096, messages, ...given, ...offered, ...toolChoice, ...kind.members };
      return JSON.parse(JSON.stringify(value)) as Json;
    });
}
