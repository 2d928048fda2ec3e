export interface WelcomeFacts {
  readonly url: string;
  /** What callers use; undefined: the config file has keys of its own, and only their hashes are known. */
  readonly key: string | undefined;
  /** Where the key is kept, when it is kept. */
  readonly keyFile: string | undefined;
  readonly model: string;
  readonly simulated: boolean;
}

/** What is printed once everything is ready: the URL, the key, and a call to paste. */
export function welcome(facts: WelcomeFacts): string {
  const body = JSON.stringify({
    model: facts.model,
    max_tokens: 64,
    messages: [{ role: "user", content: "Hello, Sluice" }],
  });
  const key = facts.key === undefined ? "$SLUICE_KEY" : facts.key;
  const keyWords = facts.key === undefined ? "one of the config file's" : key;
  const lines = [
    "",
    "Sluice is ready.",
    `  URL  ${facts.url}`,
    `  key  ${keyWords}${facts.keyFile === undefined ? "" : `  (kept in ${facts.keyFile})`}`,
  ];
  if (facts.simulated)
    lines.push("  No provider is configured: a simulator answers. ANTHROPIC_API_KEY=… npm start calls Anthropic.");
  lines.push(
    "",
    "Try it:",
    `  curl ${facts.url}/v1/messages -H "x-api-key: ${key}" -H "content-type: application/json" -d '${body}'`,
    "",
    "Ctrl-C ends it all.",
    "",
  );
  return lines.join("\n");
}
