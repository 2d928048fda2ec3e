import type { RedisConnection } from "./connect-redis.ts";

export interface ChannelHandlers {
  message(message: Buffer): void;
  /** Redis has confirmed the subscription: `first` at the start, later ones after an interruption. */
  confirmed(first: boolean): void;
  /** Messages may be lost from now until the next confirmation. */
  interrupted(): void;
}

export interface ChannelSubscription {
  /** False from an interruption until the next confirmation; false at first. */
  readonly isConfirmed: boolean;
  /**
   * Resolves when nothing will come any more; what was published before Redis heard of it has come by then. Waits
   * for as long as for any command, and not at all while the connection is away. Never rejects.
   */
  close(): Promise<void>;
}

const retryMs = 200;

/** Subscribes to a channel and again after every reconnect, and says when it is safe to rely on it. */
export function subscribeChannel(
  subscriber: RedisConnection,
  channel: string,
  handlers: ChannelHandlers,
): ChannelSubscription {
  const { client } = subscriber;
  const channelBytes = Buffer.from(channel);
  let isConfirmed = false;
  let confirmations = 0;
  let closing: Promise<void> | undefined;
  let retry: NodeJS.Timeout | undefined;

  function subscribe(): void {
    clearTimeout(retry);
    if (closing || client.status !== "ready") return;
    client.subscribe(channel).then(
      () => {
        if (closing || isConfirmed || client.status !== "ready") return;
        isConfirmed = true;
        confirmations += 1;
        handlers.confirmed(confirmations === 1);
      },
      () => {
        retry = setTimeout(subscribe, retryMs).unref();
      },
    );
  }
  function interrupt(): void {
    if (!isConfirmed) return;
    isConfirmed = false;
    handlers.interrupted();
  }
  function receive(from: Buffer, message: Buffer): void {
    if (from.equals(channelBytes)) handlers.message(message);
  }

  async function close(): Promise<void> {
    clearTimeout(retry);
    client.off("ready", subscribe).off("close", interrupt);
    // Messages and the confirmation come in the order in which Redis sent them.
    if (client.status === "ready") await client.unsubscribe(channel).catch(() => undefined);
    client.off("messageBuffer", receive);
  }

  client.on("messageBuffer", receive);
  client.on("ready", subscribe);
  client.on("close", interrupt);
  subscribe();
  return {
    get isConfirmed() {
      return isConfirmed;
    },
    close: () => (closing ??= close()),
  };
}
