import { expect, inject, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { cut, offersBecome, openDispatcher, sourceOf } from "../support/handover-bed.ts";
import { openProducer } from "../support/queue-bed.ts";
import { callId, createStoreBed, sampleJob } from "../support/store-bed.ts";

test.concurrent("a dispatcher that drains is handed nothing, though its subscription was cut once", async () => {
  await using bed = createStoreBed(inject("redisUrl"));
  const producer = await openProducer(bed);
  const { client } = await bed.connect("command");
  const subscriber = await bed.connect("subscriber");
  const go = Promise.withResolvers<void>();
  const taken: string[] = [];
  const leaving = await openDispatcher(bed, {
    handing: sourceOf(subscriber),
    handle: ({ head }) => {
      taken.push(head.id);
      return go.promise;
    },
  });
  await offersBecome(bed, 4);
  await cut(bed, subscriber);
  const listening = async () => client.pubsub("CHANNELS", `{${bed.prefix}}:*`);
  await eventually(async () => expect(await listening()).toHaveLength(1));
  const first = callId();
  await producer.add("interactive", sampleJob(first));
  await eventually(() => expect(taken).toEqual([first]));
  const closing = leaving.close(AbortSignal.timeout(20_000));
  await eventually(async () => expect(await listening()).toEqual([]), { timeoutMs: 5000 });
  const later: string[] = [];
  await openDispatcher(bed, { handle: ({ head }) => Promise.resolve(void later.push(head.id)) });
  const ids = Array.from({ length: 6 }, () => callId());
  for (const id of ids) await producer.add("interactive", sampleJob(id));
  await eventually(() => expect(later.toSorted()).toEqual(ids.toSorted()));
  go.resolve();
  await closing;
  expect(taken).toEqual([first]);
});
