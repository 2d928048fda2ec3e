import { createHash } from "node:crypto";

import { ExpiringMap } from "./expiring-map.ts";
import { estimateTokens } from "./tokens.ts";

/** A part of a prompt in its cache order (tools, system, messages), with the mark that may end a cached prefix. */
export interface PromptPart {
  readonly json: string;
  readonly cacheTtl?: "5m" | "1h" | undefined;
}

export interface InputUsage {
  readonly input_tokens: number;
  readonly cache_creation_input_tokens: number;
  readonly cache_read_input_tokens: number;
  readonly cache_creation: { readonly ephemeral_5m_input_tokens: number; readonly ephemeral_1h_input_tokens: number };
}

/** Remembers the marked prefixes of prompts for five minutes (`1h` ones too: nobody watches a simulator for an hour). */
export interface PromptCache {
  /** What a prompt costs now; afterwards its prefixes are cached for this account. */
  charge(account: string, parts: readonly PromptPart[]): InputUsage;
}

export function createPromptCache(): PromptCache {
  const prefixes = new ExpiringMap<true>(300_000, 20_000);

  return {
    charge(account, parts) {
      const hash = createHash("sha256").update(account);
      let total = 0;
      let read = 0;
      let marked = 0;
      let longTtl = 0;
      for (const { json, cacheTtl } of parts) {
        total += json.length;
        hash.update(json);
        if (cacheTtl === undefined) continue;
        const key = hash.copy().digest("base64url");
        if (prefixes.get(key)) read = total;
        else if (cacheTtl === "1h") longTtl += total - Math.max(marked, read);
        marked = total;
        prefixes.set(key, true);
      }
      const created = marked - read;
      longTtl = Math.min(longTtl, created);
      return {
        input_tokens: estimateTokens(total - marked),
        cache_creation_input_tokens: estimateTokens(created),
        cache_read_input_tokens: estimateTokens(read),
        cache_creation: {
          ephemeral_5m_input_tokens: estimateTokens(created - longTtl),
          ephemeral_1h_input_tokens: estimateTokens(longTtl),
        },
      };
    },
  };
}
