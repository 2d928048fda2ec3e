/** A body while it is adapted: a copy that may be changed, and what was changed. */
export interface Draft {
  readonly body: Record<string, unknown>;
  /** For the trace; names of members, never the caller's words. */
  readonly notes: Set<string>;
}
