/** What `/readyz` at this URL says is missing; empty once the process is ready. Resolves within two seconds. */
export async function readyzLacks(url: string): Promise<string> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(2000) });
    const text = await response.text();
    return response.ok ? "" : reasons(text);
  } catch {
    return "no answer yet";
  }
}

function reasons(text: string): string {
  try {
    const { reasons: list } = JSON.parse(text) as { reasons?: unknown };
    return Array.isArray(list) ? list.join(", ") : "not ready";
  } catch {
    return "not ready";
  }
}
