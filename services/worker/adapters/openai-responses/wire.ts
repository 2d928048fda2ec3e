import { createHash } from "node:crypto";
import type { OpenaiProviderConfig } from "#shared/config/schema.ts";
import { openaiWire, type OpenaiWire } from "../openai/wire.ts";

export interface ResponsesWire extends OpenaiWire {
  /** Stands for who alone can read the reasoning that this provider encrypts; says nothing to anybody else. */
  readonly account: string;
}

export function responsesWire(config: OpenaiProviderConfig): ResponsesWire {
  const account = createHash("sha256").update(`${config.baseUrl} ${config.organization ?? ""}`);
  return { ...openaiWire(config), account: account.digest("hex").slice(0, 8) };
}
