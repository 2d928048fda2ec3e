/** Limits of one key; absent is unlimited. */
export interface Limits {
  readonly rpm?: number;
  readonly concurrent?: number;
}

/** The same limits as the shared ones, for one process alone. */
export interface LocalLimits {
  /** 0 when admitted, else the milliseconds after which to try again. */
  admit(keyId: string, limits: Limits, call: { readonly id: string; readonly holdMs: number }): number;
  release(keyId: string, callId: string): void;
}

interface KeyState {
  /** When the bucket is full again, milliseconds since the epoch. */
  fullAt: number;
  /** When each lease ends, by call id. */
  readonly leases: Map<string, number>;
}

const minuteMs = 60_000;
/** Identities of an OIDC issuer have no end. */
const mostKeys = 10_000;

export function createLocalLimits(now: () => number = Date.now): LocalLimits {
  const states = new Map<string, KeyState>();
  function stateOf(keyId: string): KeyState {
    const known = states.get(keyId);
    if (known) return known;
    const oldest = states.size >= mostKeys ? states.keys().next().value : undefined;
    if (oldest !== undefined) states.delete(oldest);
    const state: KeyState = { fullAt: 0, leases: new Map() };
    states.set(keyId, state);
    return state;
  }
  return {
    admit(keyId, limits, { id, holdMs }) {
      const state = stateOf(keyId);
      const at = now();
      if (limits.concurrent !== undefined) {
        if (state.leases.has(id)) return 0;
        dropExpired(state.leases, at);
        if (state.leases.size >= limits.concurrent) return 1000;
      }
      if (limits.rpm !== undefined) {
        const fullAt = Math.max(state.fullAt, at) + minuteMs / limits.rpm;
        const waitMs = fullAt - minuteMs - at;
        if (waitMs > 0.01) return Math.ceil(waitMs);
        state.fullAt = fullAt;
      }
      if (limits.concurrent !== undefined) state.leases.set(id, at + holdMs);
      return 0;
    },
    release(keyId, callId) {
      states.get(keyId)?.leases.delete(callId);
    },
  };
}

function dropExpired(leases: Map<string, number>, at: number): void {
  for (const [callId, endsAt] of leases) if (endsAt <= at) leases.delete(callId);
}
