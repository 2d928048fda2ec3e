// Original file: proto/worker/v1/worker.proto


export interface Open {
  'callId'?: (string);
  'delivery'?: (number);
  'keepOrphan'?: (boolean);
  'head'?: (Buffer | Uint8Array | string);
  'sentBefore'?: (Buffer | Uint8Array | string);
  'bodyKey'?: (string);
  'bodyLength'?: (number);
  'body'?: "bodyKey"|"bodyLength";
}

export interface Open__Output {
  'callId': (string);
  'delivery': (number);
  'keepOrphan': (boolean);
  'head': (Buffer);
  'sentBefore': (Buffer);
  'bodyKey'?: (string);
  'bodyLength'?: (number);
  'body'?: "bodyKey"|"bodyLength";
}
