import type { BatchesConfig, JobsConfig, LanesConfig, QueueConfig, ServerConfig } from "#shared/config/schema.ts";
import type { JobProducer } from "#shared/queue/job-producer.ts";
import type { WorkerPool } from "#shared/rpc/worker-pool.ts";
import type { Catalogue } from "#shared/routing/catalogue.ts";
import type { BatchIntake } from "#shared/store/batch-intake.ts";
import type { BatchStore } from "#shared/store/batch-store.ts";
import type { PriceBook } from "#shared/routing/price-book.ts";
import type { BodyStore } from "#shared/store/body-store.ts";
import type { BudgetStore } from "#shared/store/budget-store.ts";
import type { EventLog } from "#shared/store/event-log.ts";
import type { CallRegistry } from "#shared/store/call-registry.ts";
import type { ClaimStore } from "#shared/store/claim-store.ts";
import type { JobStore } from "#shared/store/job-store.ts";
import type { KeyLimits } from "#shared/store/key-limits.ts";
import type { ReplyBus } from "#shared/store/reply-bus.ts";
import type { ResultStore } from "#shared/store/result-store.ts";
import type { TapeStore } from "#shared/store/tape-store.ts";
import type { TraceStore } from "#shared/store/trace-store.ts";
import type { UsageStore } from "#shared/store/usage-store.ts";
import type { Logger } from "#shared/telemetry/logger.ts";
import type { Recordings } from "./detach/recordings.ts";
import type { FleetView } from "./fleet-view.ts";
import type { Keyring } from "./plugins/keyring.ts";
import type { LoadGuard } from "./plugins/load-guard.ts";
import type { OidcVerifier } from "./plugins/oidc-verifier.ts";

/** What the gateway stands on. Whoever opens it closes it; the app itself opens nothing. */
export interface GatewayDeps {
  readonly server: ServerConfig;
  /** Whether a stream that was sent but never begun may be opened once more after its worker was lost. */
  readonly rerunSent: boolean;
  readonly queue: QueueConfig;
  readonly lanes: LanesConfig;
  readonly logger: Logger;
  readonly catalogue: Catalogue;
  readonly keyring: Keyring;
  readonly oidc: OidcVerifier;
  readonly guard: LoadGuard;
  readonly keyLimits: KeyLimits;
  readonly pool: WorkerPool;
  readonly producer: JobProducer;
  readonly replies: ReplyBus;
  readonly results: ResultStore;
  readonly calls: CallRegistry;
  readonly claims: ClaimStore;
  readonly jobs: JobStore;
  readonly tapes: TapeStore;
  readonly jobTimes: JobsConfig;
  readonly bodies: BodyStore;
  readonly traces: TraceStore;
  readonly batchRules: BatchesConfig;
  readonly batches: BatchStore;
  readonly intake: BatchIntake;
  readonly prices: PriceBook;
  readonly usage: UsageStore;
  readonly budgets: BudgetStore;
  /** How long what keys used can be read. */
  readonly usageKeepMs: number;
  readonly events: EventLog;
  readonly eventReading: { readonly maxReaders: number };
  readonly recordings: Recordings;
  readonly fleet: FleetView;
}
