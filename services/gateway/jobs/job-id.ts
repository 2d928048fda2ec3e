/** A job's id is its call's with another word in front: what is known of either is found by the other. */
export function jobIdOf(callId: string): string {
  return `job_${callId.slice("call_".length)}`;
}

/** The call of a job, named by the job's id or its own. */
export function callIdOf(id: string): string {
  return id.startsWith("job_") ? `call_${id.slice("job_".length)}` : id;
}
