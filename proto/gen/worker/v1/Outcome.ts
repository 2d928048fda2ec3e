// Original file: proto/worker/v1/worker.proto


export interface Outcome {
  'facts'?: (Buffer | Uint8Array | string);
  'bodyLength'?: (number);
}

export interface Outcome__Output {
  'facts': (Buffer);
  'bodyLength': (number);
}
