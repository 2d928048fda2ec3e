import type { PlannedTarget } from "#shared/routing/plan.ts";
import type { AttemptEnd } from "./attempt-end.ts";
import type { PreparedAttempt } from "./prepare-attempt.ts";
import type { Progress } from "./progress.ts";

/** A prepared attempt that has ended. */
export interface MadeWith {
  readonly target: PlannedTarget;
  readonly prepared: PreparedAttempt;
  readonly end: AttemptEnd;
}

/**
 * Tells the source of a credential that the provider refused it. True when the target is to be asked with another one,
 * which a call does once.
 */
export function renewCredential({ target, prepared, end }: MadeWith, progress: Progress): boolean {
  const { credential, provider } = prepared;
  if (credential === undefined) return false;
  if (end.reason === "forbidden") provider.credentials?.renew?.(credential);
  if (end.reason !== "credential_refused" || provider.credentials?.forget?.(credential) !== true) return false;
  if (progress.renewed?.has(target)) return false;
  (progress.renewed ??= new Set()).add(target);
  return true;
}
