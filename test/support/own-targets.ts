import type { ConfigTree } from "./stack.ts";

/** Sections of sluice.yaml. */
export interface OwnTargets {
  readonly providers: Record<string, ConfigTree>;
  readonly models: Record<string, ConfigTree>;
}

/**
 * A model `claude-<name>` for each name with two providers of its own, `<name>-1` and `<name>-2`, all at one address:
 * what is learnt of a target in one test (limits, breakers, refused keys) is not known of any other. A provider's key is
 * its name, so that the upstream can tell who asks.
 */
export function ownTargets(
  names: readonly string[],
  upstream: { readonly url: string },
  more: ConfigTree = {},
): OwnTargets {
  const providers: Record<string, ConfigTree> = {};
  const models: Record<string, ConfigTree> = {};
  for (const name of names) {
    const pair = [`${name}-1`, `${name}-2`];
    for (const provider of pair)
      providers[provider] = { type: "anthropic", base_url: upstream.url, api_key: provider, threads: true, ...more };
    models[`claude-${name}`] = { routes: pair };
  }
  return { providers, models };
}
