import type { CallHead } from "#shared/messages/call.ts";
import type { Catalogue } from "#shared/routing/catalogue.ts";
import { makePlan, type PlannedTarget } from "#shared/routing/plan.ts";
import type { AffinityStore } from "#shared/store/affinity.ts";
import type { CallRun } from "./engine/call-run.ts";
import type { Providers } from "./engine/provider.ts";

/** Where calls go, and what ties a conversation, a thread or a container to its target. */
export interface Places {
  /** @throws GatewayError where the call's wishes, thread or container leave no target. */
  plan(head: CallHead): Promise<Plan> | Plan;
  /** The conversation stays with this target; only worth saying where there is a choice. */
  remember(run: CallRun, target: PlannedTarget): void;
  /** Ties the thread's message and the container to the target; undefined when there is nothing to tie. */
  bind(run: CallRun, target: PlannedTarget, ids: BoundIds): Promise<void> | undefined;
}

type Plan = ReturnType<typeof makePlan>;

interface BoundIds {
  readonly messageId: string | undefined;
  readonly containerId: string | undefined;
}

export interface PlacesDeps {
  readonly catalogue: Catalogue;
  readonly affinity: AffinityStore;
  readonly engine: { readonly providers: Providers };
}

export function createPlaces({ catalogue, affinity, engine }: PlacesDeps): Places {
  const canHoldThreads = (provider: string): boolean => engine.providers.get(provider)?.config.threads ?? false;
  return {
    plan: (head) => {
      if (head.thread?.type !== "continue" && head.container === undefined) {
        const plan = makePlan({ catalogue, head, canHoldThreads });
        if (plan.targets.length < 2 || head.affinity === undefined) return plan;
      }
      return planByPlace(head, { catalogue, affinity, canHoldThreads });
    },
    remember: (run, target) => {
      const { keyId, affinity: hash } = run.head;
      if (hash !== undefined && run.targets.length > 1) affinity.rememberAffinity(keyId, hash, target);
    },
    bind: (run, target, { messageId, containerId }) => {
      const { keyId, thread } = run.head;
      const ids = [thread === undefined ? undefined : messageId, containerId].filter((id) => id !== undefined);
      if (ids.length === 0) return undefined;
      return Promise.all(ids.map((id) => affinity.bind(keyId, id, target))).then(() => undefined);
    },
  };
}

interface PlaceDeps {
  readonly catalogue: Catalogue;
  readonly affinity: AffinityStore;
  readonly canHoldThreads: (provider: string) => boolean;
}

async function planByPlace(head: CallHead, { catalogue, affinity, canHoldThreads }: PlaceDeps): Promise<Plan> {
  const known = await affinity.places(head.keyId, {
    affinity: head.affinity,
    threadId: head.thread?.type === "continue" ? head.thread.previousMessageId : undefined,
    containerId: head.container,
  });
  return makePlan({ catalogue, head, canHoldThreads, ...known });
}
