import { afterAll, afterEach } from "vitest";

import {
  answerStreamed,
  answerWhole,
  startGatewayBed,
  type GatewayBed,
  type GatewayBedOptions,
} from "./gateway-bed.ts";

/** A gateway bed for all tests of a file; after each of them its worker does again what it does by itself. */
export async function useGatewayBed(options: GatewayBedOptions = {}): Promise<GatewayBed> {
  const bed = await startGatewayBed(options);
  afterAll(() => bed.close());
  afterEach(() => void Object.assign(bed.script, { invoke: answerWhole, stream: answerStreamed }));
  return bed;
}
