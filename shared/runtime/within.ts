import { waitOut } from "./wait-out.ts";

/**
 * The promise's value, or `undefined` when it takes longer than `ms` or is rejected. For what helps a call but must
 * not hold it up.
 */
export function within<Value>(ms: number, promise: Promise<Value>): Promise<Value | undefined> {
  return new Promise((resolve) => {
    const stop = waitOut(ms, () => resolve(undefined));
    const settle = (value: Value | undefined): void => {
      stop();
      resolve(value);
    };
    promise.then(settle, () => settle(undefined));
  });
}
