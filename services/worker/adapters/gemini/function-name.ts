/**
 * Gemini's function names begin with a letter or an underscore; tools of Messages may begin with a digit or a dash. Such
 * a name gets an underscore in front, and so does one that looks as if it had got one: so the way back is unambiguous
 * without a table.
 */
export function toFunctionName(tool: string): string {
  return /^_*[^A-Za-z_]/.test(tool) ? `_${tool}` : tool;
}

export function toToolName(name: string): string {
  return /^_+[^A-Za-z_]/.test(name) ? name.slice(1) : name;
}
