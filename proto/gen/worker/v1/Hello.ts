// Original file: proto/worker/v1/worker.proto


export interface Hello {
  'version'?: (number);
  'peerKind'?: (string);
  'peerId'?: (string);
  'epoch'?: (string);
  'creditBytes'?: (number);
}

export interface Hello__Output {
  'version': (number);
  'peerKind': (string);
  'peerId': (string);
  'epoch': (string);
  'creditBytes': (number);
}
