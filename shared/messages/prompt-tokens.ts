/** The largest picture that a model takes; larger ones are scaled down to it. */
const tokensPerPicture = 4784;
/** Below this a picture counts no more as text. */
const fewestBytes = tokensPerPicture * 2;
/** How far from its bytes the type of a picture may stand in the body. */
const nearBytes = 256;
/** Of a picture's bytes so many are looked at: prose has a space every few. */
const samples = 64;

const dataMember = /^"data"\s*:\s*"/;
/** With its slash escaped too, as some encoders do. */
const pictureType = /"image\\?\//;
const signatures = ["/9j/", "iVBORw0KGg", "R0lGOD", "UklGR"];

/**
 * Tokens of a prompt, by its body in the Messages API's shape. No less than a tokenizer finds if no text of it has fewer
 * bytes a token; pictures in base64 count as the largest there is, PDFs as text, which is several times too much.
 */
export function estimatePromptTokens(body: Buffer, bytesPerToken: number): number {
  const { count, bytes } = findPictures(body);
  return Math.ceil((body.length - bytes) / bytesPerToken) + count * tokensPerPicture;
}

/** Large pictures in base64, and the bytes that they take up. A body without one is searched once. */
function findPictures(body: Buffer): { readonly count: number; readonly bytes: number } {
  let [count, bytes] = [0, 0];
  if (!body.includes('"image')) return { count, bytes };
  for (let at = body.indexOf('"data"'); at !== -1;) {
    const opening = dataMember.exec(body.toString("latin1", at, at + 32))?.[0].length ?? 0;
    const start = at + (opening || 1);
    const end = opening === 0 ? start : body.indexOf('"', start);
    if (end === -1) break;
    if (end - start >= fewestBytes && isPicture(body, { at, start, end })) {
      count += 1;
      bytes += end - start;
    }
    at = body.indexOf('"data"', end);
  }
  return { count, bytes };
}

interface DataMember {
  /** Where the member begins. */
  readonly at: number;
  /** Its value without the quotes. */
  readonly start: number;
  readonly end: number;
}

function isPicture(body: Buffer, { at, start, end }: DataMember): boolean {
  const beginning = body.toString("latin1", start, start + 32).replaceAll("\\/", "/");
  if (!signatures.some((signature) => beginning.startsWith(signature))) return false;
  const before = body.toString("latin1", Math.max(0, at - nearBytes), at);
  const isTyped = pictureType.test(before) || pictureType.test(body.toString("latin1", end, end + nearBytes));
  return isTyped && isBase64(body, start, end);
}

function isBase64(body: Buffer, start: number, end: number): boolean {
  const step = Math.max(1, Math.floor((end - start) / samples));
  for (let at = start; at < end; at += step) if (!/[\w+/=\\-]/.test(String.fromCharCode(body[at] ?? 0))) return false;
  return true;
}
