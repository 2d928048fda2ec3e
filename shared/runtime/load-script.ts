import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";

/** What a script needs of a connection to Redis. */
interface ScriptClient {
  readonly stream: unknown;
  callBuffer(command: string, args: readonly ScriptArgument[]): Promise<unknown>;
}

export type ScriptArgument = string | number | Buffer;

/** Runs the script on `keys` (all of one hash slot); strings in the reply are Buffers. */
export type RedisScript = (keys: readonly string[], args: readonly ScriptArgument[]) => Promise<unknown>;

/**
 * A Lua script. Sent in full once per connection, then by its hash, so that runs keep the order
 * in which they were asked for; again in full when the server has forgotten it. Not ioredis' `defineCommand`: it adds
 * an untyped method and two promises to every run.
 */
export function loadScript(client: ScriptClient, file: URL): RedisScript {
  const source = readFileSync(file, "utf8");
  const hash = createHash("sha1").update(source).digest("hex");
  let sentOn: unknown;
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
