// Original file: proto/worker/v1/worker.proto


export interface Held {
  'held'?: (boolean);
}

export interface Held__Output {
  'held': (boolean);
}
