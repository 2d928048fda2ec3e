import { errorOutcome } from "#shared/messages/error-outcome.ts";
import { GatewayError } from "#shared/messages/error.ts";
import type { WorkerCall } from "#shared/messages/call.ts";
import type { CreatedBatch, ProviderBatch } from "#shared/messages/native-batch.ts";
import type { NativeItem } from "#shared/messages/native-item.ts";
import type { Outcome } from "#shared/messages/outcome.ts";
import type { CallContext, StreamSink } from "#shared/rpc/call-handler.ts";
import type { BodyStore } from "#shared/store/body-store.ts";
import type { Provider, Providers } from "../engine/provider.ts";
import { askProvider, streamFromProvider, type Asking } from "./ask-provider.ts";

export interface NativeDeps {
  readonly providers: Pick<Providers, "get">;
  readonly bodies: Pick<BodyStore, "read">;
}

/** A provider's batch is made of no more than this at a time, well below what providers take. */
const maxBodyBytes = 32 * 1024 * 1024;
const readAtOnce = 32;

/** Carries out every step but `results`. An outcome without an answer says by its attempt whether anything was sent. */
export async function invokeNative(call: WorkerCall, context: CallContext, deps: NativeDeps): Promise<Outcome> {
  const { head } = call;
  // A lost worker has sent it; whoever asked has to find out what came of it.
  if (call.sentBefore)
    return errorOutcome(new GatewayError("overloaded", "A worker was lost."), head.id, lostFacts(call));
  if (head.native?.step === "create") return create(call, context, deps);
  const asking = prepare(call, context, { deps, body: [] });
  return asking ? askProvider(asking) : noBatches(call);
}

export async function streamNative(
  call: WorkerCall,
  sink: StreamSink,
  { context, deps }: { readonly context: CallContext; readonly deps: NativeDeps },
): Promise<void> {
  const asking = prepare(call, context, { deps, body: [] });
  if (asking) await streamFromProvider(asking, sink);
  else sink.outcome(noBatches(call));
}

async function create(call: WorkerCall, context: CallContext, deps: NativeDeps): Promise<Outcome> {
  const { head, body } = call;
  const provider = providerOf(call, deps);
  if (!provider) return noBatches(call);
  // Our own JSON, written by a dispatcher.
  const items = JSON.parse("bytes" in body ? body.bytes.toString() : "[]") as readonly NativeItem[];
  const made = await makeBody(items, { call, provider, deps });
  const asking = prepare(call, context, { deps, body: made.pieces });
  if (!asking) return noBatches(call);
  const outcome = await askProvider(asking);
  if (outcome.code !== "ok") return outcome;
  const batch = readBatch(outcome.body);
  if (!batch) return errorOutcome(new GatewayError("overloaded", "The answer was no batch."), head.id, lostFacts(call));
  const created: CreatedBatch = { batch, included: made.included };
  return { ...outcome, body: Buffer.from(JSON.stringify(created)) };
}

interface Making {
  readonly call: WorkerCall;
  readonly provider: Provider;
  readonly deps: NativeDeps;
}

/** As many items as there is room for, in the provider's own form. */
async function makeBody(
  items: readonly NativeItem[],
  making: Making,
): Promise<{ readonly pieces: readonly Buffer[]; readonly included: number }> {
  const pieces: Buffer[] = [];
  let [bytes, included] = [0, 0];
  for (let from = 0; from < items.length && bytes < maxBodyBytes; from += readAtOnce) {
    const some = items.slice(from, from + readAtOnce);
    const bodies = await Promise.all(some.map(({ bodyKey }) => making.deps.bodies.read(bodyKey)));
    for (const [at, item] of some.entries()) {
      const body = bodies[at];
      // One that has ended meanwhile has none.
      if (body) {
        const own = requestOf(item, body, making);
        bytes += own.reduce((sum, piece) => sum + piece.length, 0);
        if (bytes > maxBodyBytes && included > 0) break;
        pieces.push(Buffer.from(pieces.length === 0 ? '{"requests":[' : ","), ...own);
      }
      included += 1;
    }
  }
  pieces.push(Buffer.from(pieces.length === 0 ? '{"requests":[]}' : "]}"));
  return { pieces, included };
}

function requestOf(item: NativeItem, body: Buffer, { call, provider }: Making): readonly Buffer[] {
  const { askedModel, model, splices } = item;
  const { headers } = call.head;
  const params = provider.adapter.encode(
    {
      id: item.callId,
      operation: "messages",
      stream: false,
      askedModel,
      headers,
      body,
      splices,
      refusedBetas: undefined,
    },
    { provider: provider.name, model },
    { credential: undefined, now: Date.now() },
  ).body;
  return [Buffer.from(`{"custom_id":"${item.callId}","params":`), ...params, Buffer.from("}")];
}

function prepare(
  { head }: WorkerCall,
  context: CallContext,
  { deps, body }: { readonly deps: NativeDeps; readonly body: readonly Buffer[] },
): Asking | undefined {
  const { native, headers, model } = head;
  const provider = native && deps.providers.get(native.provider);
  const request = native && provider?.adapter.encodeBatch?.({ step: native, headers, body });
  if (!provider || !request) return undefined;
  const onSent = (): void => context.sent({ provider: provider.name, model, at: Date.now() });
  return { head, provider, request, signal: context.signal, onSent };
}

function providerOf({ head }: WorkerCall, { providers }: NativeDeps): Provider | undefined {
  return head.native && providers.get(head.native.provider);
}

function noBatches({ head }: WorkerCall): Outcome {
  return errorOutcome(new GatewayError("not_found", "The provider has no batches."), head.id);
}

function lostFacts({ head }: WorkerCall): Pick<Outcome, "attempts"> {
  const at = Date.now();
  const provider = head.native?.provider ?? "";
  return { attempts: [{ provider, model: head.model, startedAt: at, endedAt: at, reason: "worker_lost" }] };
}

function readBatch(body: Buffer): ProviderBatch | undefined {
  try {
    const batch = JSON.parse(body.toString()) as ProviderBatch | null;
    return typeof batch?.id === "string" ? batch : undefined;
  } catch {
    return undefined;
  }
}
