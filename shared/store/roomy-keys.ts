import type { Limits } from "./local-limits.ts";

/** Keys that had half of their limits left when Redis was last heard: a few calls of theirs need not wait for it. */
export interface RoomyKeys {
  learn(keyId: string, isRoomy: boolean): void;
  /** For a call that begins before it is counted: what to call once it is. Undefined if it has to wait. */
  take(keyId: string, limits: Limits): (() => void) | undefined;
}

/** Of the smaller limit: calls of one process that are not counted yet. So far it may overstep the limit in a race. */
const share = 0.05;
/** Identities of an OIDC issuer have no end. */
const mostKeys = 10_000;

export function createRoomyKeys(): RoomyKeys {
  const known = new Map<string, RoomyKey>();
  return {
    learn(keyId, isRoomy) {
      const key = known.get(keyId);
      if (key) {
        key.isRoomy = isRoomy;
      } else if (isRoomy) {
        const oldest = known.size >= mostKeys ? known.keys().next().value : undefined;
        if (oldest !== undefined) known.delete(oldest);
        known.set(keyId, { isRoomy, uncounted: 0 });
      }
    },
    take(keyId, { rpm = Infinity, concurrent = Infinity }) {
      const key = known.get(keyId);
      if (!key?.isRoomy || key.uncounted >= Math.floor(share * Math.min(rpm, concurrent))) return undefined;
      key.uncounted += 1;
      return () => void (key.uncounted -= 1);
    },
  };
}

interface RoomyKey {
  isRoomy: boolean;
  uncounted: number;
}
