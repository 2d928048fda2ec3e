import { expect, test } from "vitest";
import { createJobProducer } from "#shared/queue/job-producer.ts";
import { connectRedis } from "#shared/store/connect-redis.ts";
import { eventually } from "../support/eventually.ts";
import { offersBecome, openDispatcher } from "../support/handover-bed.ts";
import { startRedis } from "../support/redis-process.ts";
import { callId, createStoreBed, sampleJob } from "../support/store-bed.ts";

test.concurrent.each([
  ["the channels", ["&none", "+@all"]],
  ["PUBSUB", ["&*", "+@all", "-pubsub"]],
  ["PUBLISH", ["&*", "+@all", "-publish"]],
])("a producer without a right to %s hands nothing over, and adds all the same", async (_, rights) => {
  await using redis = await startRedis();
  await using bed = createStoreBed(redis.url);
  const { client } = await bed.connect("command");
  await client.call("ACL", "SETUSER", "gateway", "on", ">secret", "~*", "resetchannels", ...rights);
  const deliveries: unknown[] = [];
  await openDispatcher(bed, {
    handle: ({ head }, { delivery, redelivered }) => {
      deliveries.push({ id: head.id, delivery, redelivered });
      return Promise.resolve();
    },
  });
  await offersBecome(bed, 4);
  const url = redis.url.replace("redis://", "redis://gateway:secret@");
  const connection = bed.own(connectRedis(url, "command", { logger: bed.logger }));
  await connection.ready();
  const producer = bed.own(createJobProducer(connection, { prefix: bed.prefix }));
  const ids = Array.from({ length: 6 }, () => callId());
  await Promise.all(ids.map((id) => producer.add("interactive", sampleJob(id))));
  const once = ids.map((id) => ({ id, delivery: 1, redelivered: false }));
  await eventually(() => expect(deliveries).toEqual(once));
  await eventually(async () =>
    expect((await producer.depth()).interactive).toEqual({ waiting: 0, delayed: 0, active: 0 }),
  );
  expect(await client.keys(`*call_*`)).toEqual([]);
});
