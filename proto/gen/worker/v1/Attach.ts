// Original file: proto/worker/v1/worker.proto


export interface Attach {
  'callId'?: (string);
  'delivery'?: (number);
}

export interface Attach__Output {
  'callId': (string);
  'delivery': (number);
}
