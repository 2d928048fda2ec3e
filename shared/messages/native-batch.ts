/** What a worker is to do about a batch that a provider runs itself. The answer is the provider's own. */
export type NativeStep =
  /** The call's body is a list of `NativeItem`s as JSON; the answer is a `CreatedBatch`. */
  | { readonly step: "create" }
  | { readonly step: "retrieve" | "cancel"; readonly id: string }
  /** A stream of JSONL. */
  | { readonly step: "results"; readonly id: string }
  /** Newest first. */
  | { readonly step: "list"; readonly afterId?: string };

export type NativeCall = NativeStep & { readonly provider: string };

/** A provider's batch, as far as we look at it. */
export interface ProviderBatch {
  readonly id: string;
  readonly processing_status: string;
  /** RFC 3339. */
  readonly created_at: string;
  readonly request_counts: Readonly<Record<string, number>>;
}

export interface CreatedBatch {
  readonly batch: ProviderBatch;
  /** So many of the items, from the first on, are in it; there was no room for the others. */
  readonly included: number;
}
