import { createJobConsumer, type JobConsumer, type JobConsumerOptions } from "#shared/queue/job-consumer.ts";
import { createJobProducer, type JobProducer } from "#shared/queue/job-producer.ts";
import { createStoreKeys } from "#shared/store/store-keys.ts";
import type { StoreBed } from "./store-bed.ts";

export async function openProducer(bed: StoreBed): Promise<JobProducer> {
  return bed.own(createJobProducer(await bed.connect("command"), { prefix: bed.prefix }));
}

/** A consumer of the interactive lane, unless told; at the bed's end it gives back what it runs. */
export async function openConsumer(
  bed: StoreBed,
  options: Partial<JobConsumerOptions> & Pick<JobConsumerOptions, "handle">,
): Promise<JobConsumer> {
  const consumer = createJobConsumer({
    lane: "interactive",
    concurrency: 10,
    lockMs: 15_000,
    connection: await bed.connect("blocking"),
    prefix: bed.prefix,
    marks: createStoreKeys(bed.prefix).callMarks,
    logger: bed.logger,
    onFailed: () => undefined,
    ...options,
  });
  bed.onEnd(() => consumer.close(AbortSignal.abort()));
  return consumer;
}
