import type { PlannedTarget } from "#shared/routing/plan.ts";
import type { SortedBetas } from "../adapters/adapter.ts";
import { splitBetas } from "../adapters/beta-flags.ts";
import { readBodyBetas } from "../adapters/claude-request.ts";
import type { BetaMemory } from "./beta-memory.ts";
import { noteOnce, type CallRun } from "./call-run.ts";
import type { BetaTable } from "../adapters/betas.ts";
import type { Provider } from "./provider.ts";

export interface CallBetasDeps {
  readonly betas: BetaMemory;
  readonly betaTable: BetaTable;
}

/**
 * The call's flags as this target is to be sent them; undefined when it carries none, or all go as they came. What is
 * left out is remembered in the run, for its answer and its trace.
 */
export function betasFor(
  run: CallRun,
  { target, provider }: { readonly target: PlannedTarget; readonly provider: Provider },
  deps: CallBetasDeps,
): SortedBetas | undefined {
  const { config, wire } = provider;
  const header = run.head.headers["anthropic-beta"];
  const refused = deps.betas.refused(target, Date.now());
  if (wire === "anthropic" && (header === undefined || (config.betas === undefined && refused === undefined)))
    return undefined;
  // The Messages API itself knows no such member; who has learnt it from Bedrock puts it in.
  const flags = wire === "anthropic" ? splitBetas(header) : [...splitBetas(header), ...readBodyBetas(run.body)];
  if (flags.length === 0) return undefined;
  const models = [target.catalogueModel, target.model];
  const sorted = deps.betaTable.sortFlags({ wire, own: config.betas, models, flags, refused });
  noteDropped(run, target, sorted.dropped);
  return sorted;
}

/** The flags that an attempt has sent, by the provider's names. */
export function sentBetas(run: CallRun, sorted: SortedBetas | undefined): readonly string[] {
  return sorted ? [...sorted.header, ...sorted.body] : splitBetas(run.head.headers["anthropic-beta"]);
}

const shape = /^[\w.-]{1,64}$/;
const mostTold = 32;

function noteDropped(run: CallRun, target: PlannedTarget, dropped: readonly string[]): void {
  // They are the caller's words: what has not the shape of a flag is not repeated.
  const told = dropped.filter((flag) => shape.test(flag)).slice(0, mostTold);
  if (told.length === 0) return;
  run.droppedBetas ??= new Map();
  run.droppedBetas.set(target, told);
  noteOnce(run, `dropped: anthropic-beta ${told.join(",")}`);
}

/** Names the flags that a target was not sent, for its answer's headers. */
export function withDroppedBetas(
  headers: Record<string, string>,
  run: CallRun,
  target: PlannedTarget,
): Record<string, string> {
  const dropped = run.droppedBetas?.get(target);
  if (dropped) headers["x-sluice-dropped-betas"] = dropped.join(",");
  return headers;
}
