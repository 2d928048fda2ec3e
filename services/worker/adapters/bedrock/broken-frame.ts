/** What can be wrong with the bytes of an event stream. */
const frameFaults = [
  "a frame that claims too much",
  "a frame that claims too little",
  "wrong checksum of a frame's head",
  "wrong checksum of a frame",
  "headers of a frame that cannot be read",
  "a frame's payload that cannot be read",
  "truncated frame",
] as const;
export type FrameFault = (typeof frameFaults)[number];

const introduction = "The provider's event stream is broken: ";

/** The words of an `error` event about it. */
export function brokenFrameMessage(fault: FrameFault): string {
  return `${introduction}${fault}.`;
}

/** The fault that such words tell of; undefined for any other words. */
export function brokenFrameDetail(message: string): string | undefined {
  return frameFaults.find((fault) => brokenFrameMessage(fault) === message);
}
