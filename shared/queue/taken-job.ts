/** A job that is this process' as long as its lock, which the token names, is renewed. */
export interface TakenJob {
  readonly id: string;
  readonly token: string;
  /** The payload as it lies in Redis. */
  readonly data: string;
  /** How often the job was taken, this time included. */
  readonly started: number;
  /** How often it was found without a lock: its dispatcher was lost. */
  readonly stalled: number;
  readonly call: KnownCall;
}

/** What Redis knew of a job's call when it handed out the job. */
export interface KnownCall {
  readonly answered: boolean;
  readonly cancelled: boolean;
  /** No later than this was it so; milliseconds since the epoch. */
  readonly at: number;
}

/** Names in Redis, but for the call's id, of what says that a call is answered, or cancelled. */
export interface CallMarks {
  readonly answered: string;
  readonly cancelled: string;
}

/** Who gets jobs that are handed over. */
export interface JobTaker {
  /** Slots that no job has and no take may fill, and `mine` more: those that the take that asks frees, or may fill. */
  room(mine: number): number;
  /** Slots that no job has. */
  free(): number;
  /** A take would make offers now. */
  look(): void;
  take(job: TakenJob): void;
}
