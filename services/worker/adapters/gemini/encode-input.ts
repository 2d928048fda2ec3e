import type { Block } from "../translate/read-blocks.ts";
import { encodeDocumentFile, encodeImage, type MediaScope } from "./encode-media.ts";
import type { Part } from "./wire.ts";

/** What a user says, or a tool gives back, as parts. */
export function encodeInput(block: Block, scope: MediaScope): Part[] {
  switch (block.type) {
    case "text":
      return [{ text: block.text }];
    case "image":
      return [encodeImage(block, scope)];
    case "document": {
      const { source, title, context } = block;
      const heading = [title, context].filter((line) => line !== undefined && line !== "").join("\n");
      const parts =
        source.type === "content"
          ? source.blocks.flatMap((inner) => encodeInput(inner, scope))
          : [encodeDocumentFile(block, source, scope)];
      return heading === "" ? parts : [{ text: heading }, ...parts];
    }
    case "search_result":
      return [{ text: [block.title, block.source, ...block.texts].join("\n") }];
    case "thinking":
    case "tool_use":
    case "tool_result":
    default:
      return scope.reading.refuse(block.path, `\`${block.type}\` cannot stand here`);
  }
}
