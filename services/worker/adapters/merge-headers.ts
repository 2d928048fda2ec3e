/** Name, value, name, value …: all of the first list, and those of the second whose names it lacks. Names in lower case. */
export function mergeHeaders(first: readonly string[], second: readonly string[]): string[] {
  if (first.length === 0) return [...second];
  const merged = [...first];
  for (let i = 0; i < second.length; i += 2) {
    const name = second[i] ?? "";
    if (headerOf(first, name) === undefined) merged.push(name, second[i + 1] ?? "");
  }
  return merged;
}

/** The value of a header in such a list. */
export function headerOf(headers: readonly string[], name: string): string | undefined {
  for (let i = 0; i < headers.length; i += 2) if (headers[i] === name) return headers[i + 1];
  return undefined;
}
