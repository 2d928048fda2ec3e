// Original file: proto/worker/v1/worker.proto


export interface Received {
}

export interface Received__Output {
}
