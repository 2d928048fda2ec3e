import { connect as connectPlain } from "node:net";
import { connect as connectTls } from "node:tls";

/** Whether a Redis takes commands, and if not, its own words or the system's. */
export interface RedisState {
  readonly ready: boolean;
  readonly reason: string;
}

/** Asks the Redis at `url` once; resolves within a second whatever happens. */
export function pingRedis(url: string): Promise<RedisState> {
  const { protocol, hostname, port, username, password, pathname } = new URL(url);
  const secret = [username, password].filter((part) => part !== "").map((part) => decodeURIComponent(part));
  const greeting = secret.length === 0 ? "" : command("AUTH", ...secret);
  return new Promise((resolve) => {
    const address = { host: hostname.replaceAll(/[[\]]/g, ""), port: Number(port || 6379) };
    const socket =
      protocol === "rediss:" ? connectTls(address) : connectPlain(protocol === "unix:" ? { path: pathname } : address);
    let reply = "";
    const finish = (state: RedisState): void => {
      socket.destroy();
      resolve(state);
    };
    socket.setTimeout(1000, () => finish({ ready: false, reason: "no answer within a second" }));
    socket.on("error", (error) => finish({ ready: false, reason: error.message }));
    socket.on("close", () => finish({ ready: false, reason: "connection closed" }));
    socket.setEncoding("utf8").on("data", (text: string) => {
      reply += text;
      if (reply.includes("+PONG\r\n")) finish({ ready: true, reason: "" });
      else if (/^-/m.test(reply)) finish({ ready: false, reason: reply.replaceAll(/^\+.*$|^-/gm, "").trim() });
    });
    socket.write(greeting + command("PING"));
  });
}

function command(...words: string[]): string {
  return `*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join("")}`;
}
