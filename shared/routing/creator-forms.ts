/** The names other gateways know a Claude model by: `anthropic/claude-opus-4-8` and `anthropic/claude-opus-4.8`. */
export function creatorForms(name: string): string[] {
  if (!name.startsWith("claude-")) return [];
  const dotted = name.replace(/-(\d)-(\d{1,2})$/, "-$1.$2");
  return [...new Set([`anthropic/${name}`, `anthropic/${dotted}`])];
}
