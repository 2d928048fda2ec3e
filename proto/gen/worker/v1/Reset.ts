// Original file: proto/worker/v1/worker.proto

import type { ResetReason as _worker_v1_ResetReason, ResetReason__Output as _worker_v1_ResetReason__Output } from '../../worker/v1/ResetReason.ts';

export interface Reset {
  'reason'?: (_worker_v1_ResetReason);
  'asked'?: (boolean);
  'message'?: (string);
}

export interface Reset__Output {
  'reason': (_worker_v1_ResetReason__Output);
  'asked': (boolean);
  'message': (string);
}
