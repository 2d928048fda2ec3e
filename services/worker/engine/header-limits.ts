import type { HeaderLimit, HeaderLimits } from "#shared/store/fleet-limits.ts";

const pattern = /^anthropic-ratelimit-([a-z][a-z-]{0,39})-(limit|remaining|reset)$/;
const mostLimits = 16;
const members = { limit: "limit", remaining: "remaining", reset: "resetAt" } as const;

/** What an answer's `anthropic-ratelimit-*` headers say of each limit; undefined when there are none. */
export function readHeaderLimits(headers: Readonly<Record<string, string>>): HeaderLimits | undefined {
  const limits = new Map<string, HeaderLimit>();
  for (const header of Object.keys(headers)) {
    const [, name, kind] = pattern.exec(header) ?? [];
    if (name === undefined || (limits.size === mostLimits && !limits.has(name))) continue;
    const value = readValue(kind as keyof typeof members, headers[header] ?? "");
    if (value !== undefined) limits.set(name, { ...limits.get(name), [members[kind as keyof typeof members]]: value });
  }
  return limits.size === 0 ? undefined : Object.fromEntries(limits);
}

function readValue(kind: keyof typeof members, text: string): number | undefined {
  const value = kind === "reset" ? Date.parse(text) : Number(text === "" ? Number.NaN : text);
  return Number.isFinite(value) ? value : undefined;
}
