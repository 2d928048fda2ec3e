import type { DocumentBlock, ImageBlock, UrlSource } from "../translate/read-blocks.ts";
import type { Reading } from "../translate/reading.ts";
import type { ModelTraits } from "./model-traits.ts";
import type { FileData, Part } from "./wire.ts";

export interface MediaScope {
  readonly api: "ai-studio" | "vertex";
  readonly traits: ModelTraits;
  readonly reading: Reading;
}

const imageTypes: ReadonlySet<string> = new Set(["image/png", "image/jpeg", "image/webp", "image/heic", "image/heif"]);
const documentTypes: ReadonlySet<string> = new Set(["application/pdf", "text/plain"]);

const typeOfEnding: Readonly<Record<string, string>> = {
  png: "image/png",
  jpg: "image/jpeg",
  jpeg: "image/jpeg",
  webp: "image/webp",
  heic: "image/heic",
  heif: "image/heif",
  pdf: "application/pdf",
  txt: "text/plain",
};

/** @throws GatewayError `invalid_request` for an image of a type or at an address that Gemini does not take. */
export function encodeImage({ source, path }: ImageBlock, scope: MediaScope): Part {
  if (source.type === "url") return { fileData: encodeUrl(source, `${path}.source.url`, { scope, types: imageTypes }) };
  if (!imageTypes.has(source.mediaType))
    scope.reading.refuse(`${path}.source.media_type`, "this model takes png, jpeg, webp, heic and heif images only");
  return { inlineData: { mimeType: source.mediaType, data: source.data } };
}

/** A document's bytes or its address; what is inside a `content` source is for the caller to encode. */
export function encodeDocumentFile(
  { path }: DocumentBlock,
  source: Exclude<DocumentBlock["source"], { type: "content" }>,
  scope: MediaScope,
): Part {
  if (source.type === "url")
    return { fileData: encodeUrl(source, `${path}.source.url`, { scope, types: documentTypes }) };
  if (!documentTypes.has(source.mediaType))
    scope.reading.refuse(`${path}.source.media_type`, "this model takes application/pdf and text/plain only");
  return { inlineData: { mimeType: source.mediaType, data: source.data } };
}

interface UrlScope {
  readonly scope: MediaScope;
  readonly types: ReadonlySet<string>;
}

/** Google fetches the address, we never do; and it wants to know the type beforehand. */
function encodeUrl({ url }: UrlSource, path: string, { scope, types }: UrlScope): FileData {
  const address = URL.parse(url);
  if (!address || !isTaken(address, scope))
    return scope.reading.refuse(path, "this model cannot fetch this URL; send the data as base64");
  // An uploaded file has its type.
  if (isUploaded(address)) return { fileUri: url };
  const ending = /\.([a-z]+)$/i.exec(address.pathname)?.[1]?.toLowerCase() ?? "";
  const mimeType = Object.hasOwn(typeOfEnding, ending) ? typeOfEnding[ending] : undefined;
  if (mimeType === undefined || !types.has(mimeType))
    return scope.reading.refuse(
      path,
      "the URL does not end in a file type that this model takes; send the data as base64",
    );
  return { fileUri: url, mimeType };
}

function isTaken(address: URL, { api, traits }: MediaScope): boolean {
  if (isUploaded(address)) return api === "ai-studio";
  return address.protocol === "https:" ? traits.fetchesUrls : api === "vertex" && address.protocol === "gs:";
}

function isUploaded({ origin }: URL): boolean {
  return origin === "https://generativelanguage.googleapis.com";
}
