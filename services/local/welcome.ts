import type { ConfigDoubt } from "#shared/routing/config-doubts.ts";

export interface WelcomeFacts {
  readonly url: string;
  /** What callers use; undefined: the config file has keys of its own, and only their hashes are known. */
  readonly key: string | undefined;
  /** Where the key is kept, when it is kept. */
  readonly keyFile: string | undefined;
  /** Of the config file's keys that open anything now. */
  readonly keyNames: readonly string[];
  readonly model: string;
  readonly simulated: boolean;
  /** Whether the config file says which providers there are. */
  readonly namesProviders: boolean;
  readonly configFile: string | undefined;
  /** The providers' hosts. */
  readonly hosts: readonly string[];
  readonly metricsUrl: string;
  readonly doubts: readonly ConfigDoubt[];
}

/** What is printed once everything is ready: where everything is, and a call to paste, the README's. */
export function welcome(facts: WelcomeFacts): string {
  const body = JSON.stringify({
    model: facts.model,
    max_tokens: 100,
    messages: [{ role: "user", content: "Hello" }],
  });
  const headers = [`x-api-key: ${facts.key ?? "YOUR_KEY"}`, "content-type: application/json", version]
    .map((header) => ` -H "${header}"`)
    .join("");
  return [
    "",
    "Sluice is ready.",
    `  URL      ${facts.url}`,
    `  key      ${describeKey(facts)}`,
    `  calls    ${describeCalls(facts)}`,
    `  metrics  ${facts.metricsUrl}`,
    ...facts.doubts.map(({ member, why }) => `  doubtful ${member} ${why}`),
    "",
    "Try it:",
    `  curl -s ${facts.url}/v1/messages${headers} -d '${body}' -w '\\n'`,
    "",
    "Ctrl-C ends it all.",
    "",
  ].join("\n");
}

const version = "anthropic-version: 2023-06-01";

function describeKey({ key, keyFile, keyNames }: WelcomeFacts): string {
  if (key === undefined && keyNames.length === 0)
    return "none: every key of the config file is disabled or has expired";
  if (key === undefined) return `one of the config file's: ${keyNames.join(", ")}`;
  return keyFile === undefined ? key : `${key}  (kept in ${keyFile})`;
}

function describeCalls({ simulated, namesProviders, hosts, configFile }: WelcomeFacts): string {
  if (!simulated || (namesProviders && hosts.length > 1)) return `go to ${hosts.join(", ")}`;
  if (namesProviders) return "go to the simulator, as the config file says";
  const why = configFile === undefined ? "" : ": the config file names no provider";
  return `go to the simulator${why}; ANTHROPIC_API_KEY=… npm start calls Anthropic`;
}
