// Original file: proto/worker/v1/worker.proto


export interface Drain {
}

export interface Drain__Output {
}
