import type * as grpc from '@grpc/grpc-js';
import type { EnumTypeDefinition, MessageTypeDefinition } from '@grpc/proto-loader';

import type { Attach as _worker_v1_Attach, Attach__Output as _worker_v1_Attach__Output } from './worker/v1/Attach.ts';
import type { Drain as _worker_v1_Drain, Drain__Output as _worker_v1_Drain__Output } from './worker/v1/Drain.ts';
import type { Frame as _worker_v1_Frame, Frame__Output as _worker_v1_Frame__Output } from './worker/v1/Frame.ts';
import type { Held as _worker_v1_Held, Held__Output as _worker_v1_Held__Output } from './worker/v1/Held.ts';
import type { Hello as _worker_v1_Hello, Hello__Output as _worker_v1_Hello__Output } from './worker/v1/Hello.ts';
import type { Open as _worker_v1_Open, Open__Output as _worker_v1_Open__Output } from './worker/v1/Open.ts';
import type { Outcome as _worker_v1_Outcome, Outcome__Output as _worker_v1_Outcome__Output } from './worker/v1/Outcome.ts';
import type { Received as _worker_v1_Received, Received__Output as _worker_v1_Received__Output } from './worker/v1/Received.ts';
import type { Reset as _worker_v1_Reset, Reset__Output as _worker_v1_Reset__Output } from './worker/v1/Reset.ts';
import type { SessionRequest as _worker_v1_SessionRequest, SessionRequest__Output as _worker_v1_SessionRequest__Output } from './worker/v1/SessionRequest.ts';
import type { SessionResponse as _worker_v1_SessionResponse, SessionResponse__Output as _worker_v1_SessionResponse__Output } from './worker/v1/SessionResponse.ts';
import type { WorkerServiceClient as _worker_v1_WorkerServiceClient, WorkerServiceDefinition as _worker_v1_WorkerServiceDefinition } from './worker/v1/WorkerService.ts';

type SubtypeConstructor<Constructor extends new (...args: any) => any, Subtype> = {
  new(...args: ConstructorParameters<Constructor>): Subtype;
};

export interface ProtoGrpcType {
  worker: {
    v1: {
      Attach: MessageTypeDefinition<_worker_v1_Attach, _worker_v1_Attach__Output>
      Drain: MessageTypeDefinition<_worker_v1_Drain, _worker_v1_Drain__Output>
      Frame: MessageTypeDefinition<_worker_v1_Frame, _worker_v1_Frame__Output>
      Held: MessageTypeDefinition<_worker_v1_Held, _worker_v1_Held__Output>
      Hello: MessageTypeDefinition<_worker_v1_Hello, _worker_v1_Hello__Output>
      Open: MessageTypeDefinition<_worker_v1_Open, _worker_v1_Open__Output>
      Outcome: MessageTypeDefinition<_worker_v1_Outcome, _worker_v1_Outcome__Output>
      Received: MessageTypeDefinition<_worker_v1_Received, _worker_v1_Received__Output>
      Reset: MessageTypeDefinition<_worker_v1_Reset, _worker_v1_Reset__Output>
      ResetReason: EnumTypeDefinition
      SessionRequest: MessageTypeDefinition<_worker_v1_SessionRequest, _worker_v1_SessionRequest__Output>
      SessionResponse: MessageTypeDefinition<_worker_v1_SessionResponse, _worker_v1_SessionResponse__Output>
      WorkerService: SubtypeConstructor<typeof grpc.Client, _worker_v1_WorkerServiceClient> & { service: _worker_v1_WorkerServiceDefinition }
    }
  }
}

