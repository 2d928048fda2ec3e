// Original file: proto/worker/v1/worker.proto

import type { Hello as _worker_v1_Hello, Hello__Output as _worker_v1_Hello__Output } from '../../worker/v1/Hello.ts';
import type { Open as _worker_v1_Open, Open__Output as _worker_v1_Open__Output } from '../../worker/v1/Open.ts';
import type { Attach as _worker_v1_Attach, Attach__Output as _worker_v1_Attach__Output } from '../../worker/v1/Attach.ts';
import type { Held as _worker_v1_Held, Held__Output as _worker_v1_Held__Output } from '../../worker/v1/Held.ts';
import type { Outcome as _worker_v1_Outcome, Outcome__Output as _worker_v1_Outcome__Output } from '../../worker/v1/Outcome.ts';
import type { Reset as _worker_v1_Reset, Reset__Output as _worker_v1_Reset__Output } from '../../worker/v1/Reset.ts';
import type { Received as _worker_v1_Received, Received__Output as _worker_v1_Received__Output } from '../../worker/v1/Received.ts';
import type { Drain as _worker_v1_Drain, Drain__Output as _worker_v1_Drain__Output } from '../../worker/v1/Drain.ts';

export interface Frame {
  'call'?: (number);
  'hello'?: (_worker_v1_Hello | null);
  'open'?: (_worker_v1_Open | null);
  'attach'?: (_worker_v1_Attach | null);
  'held'?: (_worker_v1_Held | null);
  'sent'?: (Buffer | Uint8Array | string);
  'data'?: (Buffer | Uint8Array | string);
  'head'?: (Buffer | Uint8Array | string);
  'outcome'?: (_worker_v1_Outcome | null);
  'end'?: (Buffer | Uint8Array | string);
  'reset'?: (_worker_v1_Reset | null);
  'credit'?: (number);
  'received'?: (_worker_v1_Received | null);
  'drain'?: (_worker_v1_Drain | null);
  'load'?: (number);
  'body'?: "hello"|"open"|"attach"|"held"|"sent"|"data"|"head"|"outcome"|"end"|"reset"|"credit"|"received"|"drain"|"load";
}

export interface Frame__Output {
  'call': (number);
  'hello'?: (_worker_v1_Hello__Output | null);
  'open'?: (_worker_v1_Open__Output | null);
  'attach'?: (_worker_v1_Attach__Output | null);
  'held'?: (_worker_v1_Held__Output | null);
  'sent'?: (Buffer);
  'data'?: (Buffer);
  'head'?: (Buffer);
  'outcome'?: (_worker_v1_Outcome__Output | null);
  'end'?: (Buffer);
  'reset'?: (_worker_v1_Reset__Output | null);
  'credit'?: (number);
  'received'?: (_worker_v1_Received__Output | null);
  'drain'?: (_worker_v1_Drain__Output | null);
  'load'?: (number);
  'body'?: "hello"|"open"|"attach"|"held"|"sent"|"data"|"head"|"outcome"|"end"|"reset"|"credit"|"received"|"drain"|"load";
}
