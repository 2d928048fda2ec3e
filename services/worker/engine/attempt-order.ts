import type { PlannedTarget } from "#shared/routing/plan.ts";
import type { DecodeContext, UpstreamRequest } from "../adapters/adapter.ts";
import type { AttemptEnd } from "./attempt-end.ts";
import type { CallRun } from "./call-run.ts";
import type { Provider } from "./provider.ts";

/** One attempt to make. */
export interface AttemptOrder {
  readonly run: CallRun;
  readonly target: PlannedTarget;
  readonly provider: Provider;
  readonly request: UpstreamRequest;
  /** What the answer is decoded with. */
  readonly context: DecodeContext;
  /** The deadline that those who joined a call have given it, if any. Never rejects. */
  readonly laterDeadline: (callId: string) => Promise<number | undefined>;
  /** The status line came. */
  readonly onStatus: (status: number) => void;
  /** A stream's first bytes go to the caller. */
  readonly onContent: () => void;
}

/** Makes one attempt; resolves with how it ended, never rejects. */
export type MakeAttempt = (order: AttemptOrder) => Promise<AttemptEnd>;
