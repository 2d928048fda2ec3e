/** What Redis says at every start and end, and advice about the machine that is not for somebody who tries things out. */
const routine =
  /oO0Oo|^(?:Redis|Valkey) version=|^Configuration loaded|^Reading config|^Server initialized|emory overcommit|^Received SIG|^User requested|is now ready to exit/;
const prefix = /^\d+:(?:[CMSX]|signal-handler) (?:\d+ \w+ \d+ [\d:.]+ |\(\d+\) )?(?:[.\-*#] )?/;

/** The words of a line of Redis' log without its own prefix; undefined for routine. */
export function redisWords(line: string): string | undefined {
  const words = line.replace(prefix, "");
  return words === "" || routine.test(words) ? undefined : words;
}
