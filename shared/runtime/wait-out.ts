/** A timer that is so late says that this process stood still, or had no time to read what was answered. */
const stillMs = 20;

/**
 * Runs `then` after `ms` without an answer; returns what stops it, to be called when the answer is there. A process
 * that stood still itself has not waited: then what it waits for has its time once more. In any case what lies in a
 * socket already is read first, timers being looked at before sockets after such a stop.
 */
export function waitOut(ms: number, then: () => void): () => void {
  let timer: NodeJS.Timeout | undefined;
  let last: NodeJS.Immediate | undefined;
  let dueAt = performance.now() + ms;
  const look = (isSecond: boolean): void => {
    const now = performance.now();
    if (isSecond || now - dueAt <= stillMs) {
      last = setImmediate(then);
      return;
    }
    dueAt = now + ms;
    timer = setTimeout(look, ms, true);
  };
  timer = setTimeout(look, ms, false);
  return () => {
    clearTimeout(timer);
    clearImmediate(last);
  };
}
