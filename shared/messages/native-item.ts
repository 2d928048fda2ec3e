import type { SpliceRanges } from "./call.ts";

/** An item of ours as one request of a provider's batch. */
export interface NativeItem {
  /** Its `custom_id` there. */
  readonly callId: string;
  readonly bodyKey: string;
  readonly askedModel: string;
  /** The provider's own id of the model. */
  readonly model: string;
  readonly splices: SpliceRanges;
}
