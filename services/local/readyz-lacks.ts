/**
 * What a process lacks by its `/readyz` at this URL; empty once it is ready and, where it calls workers, has a session with
 * one. Resolves within two seconds.
 */
export async function readyzLacks(url: string): Promise<string> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(2000) });
    return describe((await response.json()) as Readyz, response.ok);
  } catch {
    return "no answer yet";
  }
}

interface Readyz {
  readonly reasons?: unknown;
  readonly health?: { readonly workers?: unknown };
}

function describe({ reasons, health }: Readyz, isReady: boolean): string {
  if (!isReady) return Array.isArray(reasons) ? reasons.join(", ") : "not ready";
  return health?.workers === 0 ? "no worker has been reached yet" : "";
}
