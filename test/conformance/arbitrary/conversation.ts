import * as fc from "fast-check";
import { resultContent, text, thinking, userBlock } from "./content.ts";
import { name, optional, word, type Json } from "./words.ts";

/** An assistant's turn that calls tools, and the turn with their results. */
const exchange = fc
  .tuple(
    fc.array(fc.oneof(text, thinking), { maxLength: 2 }),
    fc.array(fc.record({ name, input: fc.dictionary(name, fc.jsonValue({ maxDepth: 1 }), { maxKeys: 3 }) }), {
      minLength: 1,
      maxLength: 3,
    }),
    fc.array(fc.record({ content: optional(resultContent), is_error: optional(fc.boolean()) }), {
      minLength: 3,
      maxLength: 3,
    }),
    fc.array(userBlock, { maxLength: 1 }),
    fc.nat(1_000_000),
  )
  .map(([said, calls, results, more, seed]): Json[] => {
    const uses = calls.map((call, index) => ({ type: "tool_use", id: `toolu_${seed}_${index}`, ...call }));
    const answers = uses.map(({ id }, index) => ({ type: "tool_result", tool_use_id: id, ...results[index] }));
    return [
      { role: "assistant", content: [...said, ...uses] },
      { role: "user", content: [...answers, ...more] },
    ];
  });

const talk = fc
  .tuple(
    fc.oneof(word, fc.array(fc.oneof({ weight: 5, arbitrary: text }, thinking), { minLength: 1, maxLength: 3 })),
    userBlock,
  )
  .map(([said, asked]): Json[] => [
    { role: "assistant", content: said },
    { role: "user", content: [asked] },
  ]);

const systemTurn = fc.record({ role: fc.constant("system"), content: word }).map((turn): Json[] => [turn]);

/** What is said first, and the turns after it; in between there is room for more. */
export const conversation = fc.record({
  first: fc
    .oneof(word, fc.array(userBlock, { minLength: 1, maxLength: 3 }))
    .map((content): Json => ({ role: "user", content })),
  turns: fc
    .array(fc.oneof({ weight: 3, arbitrary: exchange }, { weight: 3, arbitrary: talk }, systemTurn), { maxLength: 3 })
    .map((turns) => turns.flat()),
  prefill: optional(fc.constant<Json>({ role: "assistant", content: "The answer is" })).map((turn) =>
    turn === undefined ? [] : [turn],
  ),
});
