import type { BatchesConfig, LanesConfig, QueueUse, ServerConfig } from "#shared/config/schema.ts";
import type { JobProducer } from "#shared/queue/job-producer.ts";
import type { WorkerPool } from "#shared/rpc/worker-pool.ts";
import type { Catalogue } from "#shared/routing/catalogue.ts";
import type { BatchIntake } from "#shared/store/batch-intake.ts";
import type { BatchStore } from "#shared/store/batch-store.ts";
import type { BodyStore } from "#shared/store/body-store.ts";
import type { KeyLimits } from "#shared/store/key-limits.ts";
import type { ReplyBus } from "#shared/store/reply-bus.ts";
import type { ResultStore } from "#shared/store/result-store.ts";
import type { TraceStore } from "#shared/store/trace-store.ts";
import type { Logger } from "#shared/telemetry/logger.ts";
import type { Keyring } from "./plugins/keyring.ts";
import type { LoadGuard } from "./plugins/load-guard.ts";
import type { OidcVerifier } from "./plugins/oidc-verifier.ts";

/** What the gateway stands on. Whoever opens it closes it; the app itself opens nothing. */
export interface GatewayDeps {
  readonly server: ServerConfig;
  /** Whether a stream that was sent but never begun may be opened once more after its worker was lost. */
  readonly rerunSent: boolean;
  readonly queueUse: QueueUse;
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
  readonly bodies: BodyStore;
  readonly traces: TraceStore;
  readonly batchRules: BatchesConfig;
  readonly batches: BatchStore;
  readonly intake: BatchIntake;
}
