import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Redis } from "ioredis";

export type ScriptArgument = string | number | Buffer;

/** Runs the script on `keys` (all of one hash slot); strings in the reply are Buffers. */
export type RedisScript = (keys: readonly string[], args: readonly ScriptArgument[]) => Promise<unknown>;

/**
 * The script `name.lua` of this folder. Sent in full once per connection, then by its hash, so that runs keep the order
 * in which they were asked for; again in full when the server has forgotten it. Not ioredis' `defineCommand`: it adds
 * an untyped method and two promises to every run.
 */
export function loadScript(client: Redis, name: string): RedisScript {
  const source = readFileSync(new URL(`${name}.lua`, import.meta.url), "utf8");
  const hash = createHash("sha1").update(source).digest("hex");
  let sentOn: Redis["stream"] | undefined;
  return (keys, args) => {
    const rest = [keys.length, ...keys, ...args];
    if (sentOn !== client.stream) {
      sentOn = client.stream;
      return client.callBuffer("eval", [source, ...rest]);
    }
    return client.callBuffer("evalsha", [hash, ...rest]).catch((error: Error) => {
      if (!error.message.startsWith("NOSCRIPT")) throw error;
      return client.callBuffer("eval", [source, ...rest]);
    });
  };
}
