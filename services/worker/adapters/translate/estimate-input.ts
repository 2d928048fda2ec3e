/** Errs high for every script, as the estimate of a count does. */
const bytesPerToken = 2.5;
/** What a picture or a page costs at most families; its bytes say nothing about it. */
const tokensPerPicture = 1600;
/** Shorter values are texts rather than pictures. */
const shortestPicture = 512;

const dataMember = Buffer.from('"data"');
const quote = 0x22;
const colon = 0x3a;

/**
 * Input tokens of a Messages body for `message_start`, where the wire tells them at the end only. Base64 data is not
 * counted by its length.
 */
export function estimateInputTokens(body: Buffer): number {
  let textBytes = body.length;
  let pictures = 0;
  for (let at = body.indexOf(dataMember); at !== -1; at = body.indexOf(dataMember, at + dataMember.length)) {
    const length = base64Length(body, at + dataMember.length);
    if (length < shortestPicture) continue;
    textBytes -= length;
    pictures += 1;
  }
  return Math.ceil(textBytes / bytesPerToken) + pictures * tokensPerPicture;
}

/** Length of the string behind a member's name; zero where there is none or it holds more than base64. */
function base64Length(body: Buffer, behindName: number): number {
  let start = behindName;
  while (isSpace(body[start])) start += 1;
  if (body[start] !== colon) return 0;
  start += 1;
  while (isSpace(body[start])) start += 1;
  if (body[start] !== quote) return 0;
  const end = body.indexOf(quote, start + 1);
  const sample = body.toString("latin1", start + 1, Math.min(end, start + 1 + shortestPicture));
  return end !== -1 && /^[A-Za-z0-9+/=_-]*$/.test(sample) ? end - start - 1 : 0;
}

function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d;
}
