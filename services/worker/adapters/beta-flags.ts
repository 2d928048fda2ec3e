/** The flags of an `anthropic-beta` header. */
export function splitBetas(header: string | undefined): string[] {
  if (header === undefined) return [];
  return header
    .split(",")
    .map((flag) => flag.trim())
    .filter((flag) => flag !== "");
}
