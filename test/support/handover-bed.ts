import { once } from "node:events";
import { expect } from "vitest";
import type { ChannelSource } from "#shared/queue/handover.ts";
import type { JobConsumer, JobConsumerOptions } from "#shared/queue/job-consumer.ts";
import type { RedisConnection } from "#shared/store/connect-redis.ts";
import { subscribeChannel } from "#shared/store/subscribe-channel.ts";
import { eventually } from "./eventually.ts";
import { openConsumer } from "./queue-bed.ts";
import type { StoreBed } from "./store-bed.ts";

export function sourceOf(subscriber: RedisConnection): ChannelSource {
  return { subscribe: (channel, handlers) => subscribeChannel(subscriber, channel, handlers) };
}

type Options = Partial<JobConsumerOptions> & Pick<JobConsumerOptions, "handle">;

/** A dispatcher with four slots, unless told, that offers them. */
export async function openDispatcher(bed: StoreBed, options: Options): Promise<JobConsumer> {
  return openConsumer(bed, { concurrency: 4, handing: sourceOf(await bed.connect("subscriber")), ...options });
}

/** Name of what dispatchers offer in the interactive lane. */
export function offersOf(bed: StoreBed): string {
  return `{${bed.prefix}}:interactive:offered`;
}

export async function offersBecome(bed: StoreBed, count: number): Promise<void> {
  const { client } = await bed.connect("command");
  await eventually(async () => expect(await client.zcard(offersOf(bed))).toBe(count));
}

/** Cuts a connection and resolves when it is back; its subscriptions need a moment more. */
export async function cut(bed: StoreBed, { client: victim }: RedisConnection): Promise<void> {
  const { client } = await bed.connect("command");
  const back = once(victim, "ready");
  await client.call("CLIENT", "KILL", "ID", String(await victim.client("ID")));
  await back;
}
