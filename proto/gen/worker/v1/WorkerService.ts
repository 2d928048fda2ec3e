// Original file: proto/worker/v1/worker.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { SessionRequest as _worker_v1_SessionRequest, SessionRequest__Output as _worker_v1_SessionRequest__Output } from '../../worker/v1/SessionRequest.ts';
import type { SessionResponse as _worker_v1_SessionResponse, SessionResponse__Output as _worker_v1_SessionResponse__Output } from '../../worker/v1/SessionResponse.ts';

export interface WorkerServiceClient extends grpc.Client {
  Session(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_worker_v1_SessionRequest, _worker_v1_SessionResponse__Output>;
  Session(options?: grpc.CallOptions): grpc.ClientDuplexStream<_worker_v1_SessionRequest, _worker_v1_SessionResponse__Output>;
  session(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_worker_v1_SessionRequest, _worker_v1_SessionResponse__Output>;
  session(options?: grpc.CallOptions): grpc.ClientDuplexStream<_worker_v1_SessionRequest, _worker_v1_SessionResponse__Output>;
  
}

export interface WorkerServiceHandlers extends grpc.UntypedServiceImplementation {
  Session: grpc.handleBidiStreamingCall<_worker_v1_SessionRequest__Output, _worker_v1_SessionResponse>;
  
}

export interface WorkerServiceDefinition extends grpc.ServiceDefinition {
  Session: MethodDefinition<_worker_v1_SessionRequest, _worker_v1_SessionResponse, _worker_v1_SessionRequest__Output, _worker_v1_SessionResponse__Output>
}
