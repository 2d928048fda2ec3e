import type { Block, DocumentBlock, ImageBlock } from "../translate/read-blocks.ts";
import type { Fields, Reading } from "../translate/reading.ts";

/** How an API of OpenAI's writes what a user shows it; each has its own names. */
export interface PartWords {
  text(text: string): Fields;
  /** @param url an address, or the bytes as a data URL */
  image(url: string): Fields;
  file(file: { readonly filename: string; readonly file_data: string }): Fields;
  /** Absent where files are taken by their bytes only. */
  fileByUrl?(url: string): Fields;
}

/** What a user, or a tool, shows in one block. Throws `GatewayError` `invalid_request` for what cannot be shown. */
export function encodeParts(block: Block, reading: Reading, words: PartWords): Fields[] {
  if (block.type === "text") return [words.text(block.text)];
  if (block.type === "image") return [words.image(imageUrl(block))];
  if (block.type === "document") return encodeDocument(block, reading, words);
  if (block.type === "search_result") return [words.text([block.title, block.source, ...block.texts].join("\n"))];
  return reading.refuse(block.path, `\`${block.type}\` is no content of the user`);
}

function imageUrl({ source }: ImageBlock): string {
  return source.type === "url" ? source.url : `data:${source.mediaType};base64,${source.data}`;
}

function encodeDocument(document: DocumentBlock, reading: Reading, words: PartWords): Fields[] {
  const { source, title, context } = document;
  const heading = [title, context].filter((line) => line !== undefined).join("\n");
  const headed = heading === "" ? [] : [words.text(heading)];
  if (source.type !== "content") return [...headed, encodeFile({ ...document, source }, reading, words)];
  return [...headed, ...source.blocks.flatMap((block) => encodeParts(block, reading, words))];
}

type FileDocument = DocumentBlock & { readonly source: ImageBlock["source"] };

function encodeFile({ source, title, path }: FileDocument, reading: Reading, words: PartWords): Fields {
  if (source.type === "url") {
    const refusal = "this model's provider takes documents by their bytes only, not by URL";
    return words.fileByUrl?.(source.url) ?? reading.refuse(`${path}.source`, refusal);
  }
  if (source.mediaType !== "application/pdf")
    return reading.refuse(`${path}.source.media_type`, "Input should be application/pdf");
  return words.file({ filename: fileName(title), file_data: `data:application/pdf;base64,${source.data}` });
}

function fileName(title: string | undefined): string {
  const name = title?.replaceAll(/[^\w .-]/g, "_") ?? "document";
  return name.toLowerCase().endsWith(".pdf") ? name : `${name}.pdf`;
}
