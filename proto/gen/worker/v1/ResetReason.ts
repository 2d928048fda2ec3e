// Original file: proto/worker/v1/worker.proto

export const ResetReason = {
  RESET_REASON_UNSPECIFIED: 'RESET_REASON_UNSPECIFIED',
  RESET_REASON_CANCELLED: 'RESET_REASON_CANCELLED',
  RESET_REASON_SUPERSEDED: 'RESET_REASON_SUPERSEDED',
  RESET_REASON_REFUSED: 'RESET_REASON_REFUSED',
  RESET_REASON_ERROR: 'RESET_REASON_ERROR',
} as const;

export type ResetReason =
  | 'RESET_REASON_UNSPECIFIED'
  | 0
  | 'RESET_REASON_CANCELLED'
  | 1
  | 'RESET_REASON_SUPERSEDED'
  | 2
  | 'RESET_REASON_REFUSED'
  | 3
  | 'RESET_REASON_ERROR'
  | 4

export type ResetReason__Output = typeof ResetReason[keyof typeof ResetReason]
