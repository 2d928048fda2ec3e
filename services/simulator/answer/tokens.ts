import { createHash } from "node:crypto";

const piece = /\s*\S{1,12}|\s+$/gu;

/** A text in pieces that stand for tokens: words with the space before them, long ones cut. Joined they are the text. */
export function toPieces(text: string): string[] {
  return text.match(piece) ?? [];
}

/** Roughly how many tokens a text of so many characters is. */
export function estimateTokens(characters: number): number {
  return Math.ceil(characters / 4);
}

const fillerWords =
  "the water rises in the lock until the gate can open and as much goes through as the channel below can carry while the rest waits its turn upstream".split(
    " ",
  );

/** So many pieces of running text. */
export function fillerPieces(count: number): string[] {
  return Array.from({ length: count }, (_, index) => {
    const word = fillerWords[index % fillerWords.length] as string;
    const sentenceStart = index % fillerWords.length === 0;
    const shown = sentenceStart ? word.charAt(0).toUpperCase() + word.slice(1) : word;
    const dot = (index + 1) % fillerWords.length === 0 || index === count - 1 ? "." : "";
    return (index === 0 ? "" : " ") + shown + dot;
  });
}

const shownCharacters = 200;

/** A text as an answer repeats it: whole if it is short, else its beginning, its length and the start of its SHA-256. */
export function quote(text: string): string {
  if (text.length <= shownCharacters) return text;
  const hash = createHash("sha256").update(text).digest("hex").slice(0, 16);
  const cut = text.slice(0, shownCharacters).toWellFormed();
  return `${cut}… (${text.length} characters, sha256 ${hash})`;
}
