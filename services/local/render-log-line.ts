/** How lines of the children are shown: colours only where a terminal shows them. */
export interface LogStyle {
  readonly colour: boolean;
  /** Width of the column of names. */
  readonly nameWidth: number;
}

const dim = "\u001b[2m";
const reset = "\u001b[0m";
const nameColours = ["\u001b[36m", "\u001b[35m", "\u001b[34m", "\u001b[32m", "\u001b[33m"];
const levelColours: Readonly<Record<string, string>> = {
  trace: dim,
  debug: dim,
  warn: "\u001b[33m",
  error: "\u001b[31m",
  fatal: "\u001b[31m",
};
const shownApart = new Set(["level", "time", "msg", "service"]);

/** One line of a child's output as one line of ours: its name, and a structured log record as time, level, words, fields. */
export function renderLogLine(name: string, line: string, style: LogStyle): string {
  const paint = (text: string, colour: string): string =>
    style.colour && colour !== "" ? `${colour}${text}${reset}` : text;
  const prefix = paint(`${name.padEnd(style.nameWidth)} |`, nameColours[sum(name) % nameColours.length] ?? "");
  const record = readRecord(line);
  if (!record) return `${prefix} ${line}`;
  const level = String(record["level"]);
  const fields = Object.entries(record)
    .filter(([key]) => !shownApart.has(key))
    .map(([key, value]) => ` ${key}=${typeof value === "string" ? value : JSON.stringify(value)}`)
    .join("");
  const words = typeof record["msg"] === "string" ? record["msg"] : "";
  return `${prefix} ${paint(timeOfDay(record["time"]), dim)} ${paint(level, levelColours[level] ?? "")} ${words}${paint(fields, dim)}`;
}

function readRecord(line: string): Record<string, unknown> | undefined {
  if (!line.startsWith("{")) return undefined;
  try {
    const value: unknown = JSON.parse(line);
    return isRecord(value) && "level" in value ? value : undefined;
  } catch {
    return undefined;
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function timeOfDay(time: unknown): string {
  const at = new Date(typeof time === "number" || typeof time === "string" ? time : Number.NaN);
  return Number.isNaN(at.getTime()) ? "--:--:--.---" : at.toISOString().slice(11, 23);
}

function sum(text: string): number {
  let total = 0;
  for (const character of text) total += character.charCodeAt(0);
  return total;
}
