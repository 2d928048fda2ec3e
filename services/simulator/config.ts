import type { Pace } from "./play.ts";

export interface SimulatorConfig {
  readonly host: string;
  readonly port: number;
  readonly pace: Pace;
  /** Keys that are let in; empty for every key. */
  readonly keys: readonly string[];
  /** Requests a minute of each key; 0 for no limit. */
  readonly requestsPerMinute: number;
}

/** Reads `PORT`, `SLUICE_HOST` and `SLUICE_SIM_*`. Throws one Error that names every value that cannot be read. */
export function readSimulatorConfig(env: Readonly<Record<string, string | undefined>>): SimulatorConfig {
  const faults: string[] = [];
  const read = (name: string, fallback: number): number => {
    const text = env[name] ?? "";
    const value = text === "" ? fallback : Number(text);
    if (!Number.isInteger(value) || value < 0) faults.push(`${name}: "${text}" is not a whole number`);
    return value;
  };
  const config: SimulatorConfig = {
    host: env["SLUICE_HOST"] || "127.0.0.1",
    port: read("PORT", 9100),
    pace: {
      ttftMs: read("SLUICE_SIM_TTFT_MS", 200),
      tokensPerSecond: read("SLUICE_SIM_TOKENS_PER_SECOND", 80),
      tokensPerDelta: Math.max(1, read("SLUICE_SIM_TOKENS_PER_DELTA", 2)),
    },
    keys: (env["SLUICE_SIM_KEYS"] ?? "").split(",").filter((key) => key !== ""),
    requestsPerMinute: read("SLUICE_SIM_RPM", 0),
  };
  if (faults.length > 0) throw new Error(faults.join("; "));
  return config;
}
