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
  close(): void;
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
  let isClosed = false;
  let retry: NodeJS.Timeout | undefined;

  function subscribe(): void {
    clearTimeout(retry);
    if (isClosed || client.status !== "ready") return;
    client.subscribe(channel).then(
      () => {
        if (isClosed || isConfirmed || client.status !== "ready") return;
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

  client.on("messageBuffer", receive);
  client.on("ready", subscribe);
  client.on("close", interrupt);
  subscribe();
  return {
    get isConfirmed() {
      return isConfirmed;
    },
    close() {
      if (isClosed) return;
      isClosed = true;
      clearTimeout(retry);
      client.off("messageBuffer", receive).off("ready", subscribe).off("close", interrupt);
      if (client.status === "ready") client.unsubscribe(channel).catch(() => undefined);
    },
  };
}
