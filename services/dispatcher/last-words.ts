import type { SentNote } from "#shared/messages/call.ts";
import { attemptsIncomplete } from "#shared/messages/canceled-outcome.ts";
import type { CallFacts, Outcome } from "#shared/messages/outcome.ts";
import type { InvokeOptions } from "#shared/rpc/invoke-call.ts";

/** What is known of a call when its caller ends it while a worker has it. */
export interface LastWords {
  /** To be heard while the call runs. */
  readonly listen: Required<Pick<InvokeOptions, "onSent" | "farewell">>;
  facts(): Partial<CallFacts>;
}

/** `reopened`: a worker may have had the call before, of which nothing will be heard. */
export function createLastWords(reopened: boolean): LastWords {
  let sent: SentNote | undefined;
  let last: Outcome | undefined;
  return {
    listen: {
      onSent: (note) => void (sent = note),
      farewell: (outcome) => void (last = outcome),
    },
    facts() {
      if (last) {
        const { blockedUntil: _until, stoodBack: _stoodBack, ...facts } = last;
        return facts;
      }
      if (!sent) return reopened ? { notes: [attemptsIncomplete] } : {};
      const { provider, model, at } = sent;
      const attempt = { provider, model, startedAt: at, endedAt: Date.now(), reason: "cancelled" } as const;
      return { attempts: [attempt], notes: [attemptsIncomplete] };
    },
  };
}
