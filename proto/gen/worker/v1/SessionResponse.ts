// Original file: proto/worker/v1/worker.proto

import type { Frame as _worker_v1_Frame, Frame__Output as _worker_v1_Frame__Output } from '../../worker/v1/Frame.ts';

export interface SessionResponse {
  'frames'?: (_worker_v1_Frame)[];
}

export interface SessionResponse__Output {
  'frames': (_worker_v1_Frame__Output)[];
}
