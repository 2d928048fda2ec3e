import { GatewayError } from "./error.ts";

type ModelLine = "haiku" | "sonnet" | "opus" | "fable" | "mythos";
type ModelLifecycle = "active" | "deprecated" | "retired";

/** Anthropic's description of a model. Clients expect every member to be there, null where nothing is known. */
export interface ModelInfo {
  readonly id: string;
  readonly type: "model";
  readonly display_name: string;
  /** RFC 3339; the epoch when unknown. */
  readonly created_at: string;
  readonly max_input_tokens: number | null;
  readonly max_tokens: number | null;
  readonly line: ModelLine | null;
  readonly lifecycle: ModelLifecycle;
  readonly deprecated_at: string | null;
  readonly retires_at: string | null;
  readonly capabilities: Readonly<Record<string, unknown>> | null;
}

/** A page of `GET /v1/models`. */
export interface ModelPage {
  readonly data: readonly ModelInfo[];
  readonly has_more: boolean;
  readonly first_id: string | null;
  readonly last_id: string | null;
}

export interface ModelPageQuery {
  /** 1 to 1000, 20 if absent. */
  readonly limit?: number;
  readonly after_id?: string;
  readonly before_id?: string;
}

/**
 * The part of the list that the query asks for: right behind `after_id`, or right before `before_id`.
 * @throws GatewayError `invalid_request` for a limit out of range, a cursor that is not in the list, or both cursors.
 */
export function pageModels(models: readonly ModelInfo[], query: ModelPageQuery): ModelPage {
  const limit = query.limit ?? 20;
  if (!Number.isInteger(limit) || limit < 1 || limit > 1000)
    throw new GatewayError("invalid_request", "limit: Input should be a whole number from 1 to 1000");
  if (query.after_id !== undefined && query.before_id !== undefined)
    throw new GatewayError("invalid_request", "after_id: Only one of after_id and before_id may be given");
  if (query.before_id !== undefined) {
    const end = indexOfModel(models, query.before_id, "before_id");
    const start = Math.max(0, end - limit);
    return toPage(models.slice(start, end), start > 0);
  }
  const start = query.after_id === undefined ? 0 : indexOfModel(models, query.after_id, "after_id") + 1;
  return toPage(models.slice(start, start + limit), start + limit < models.length);
}

function indexOfModel(models: readonly ModelInfo[], id: string, cursor: "after_id" | "before_id"): number {
  const index = models.findIndex((model) => model.id === id);
  if (index === -1) throw new GatewayError("invalid_request", `${cursor}: No such model in this list`);
  return index;
}

function toPage(data: readonly ModelInfo[], hasMore: boolean): ModelPage {
  return { data, has_more: hasMore, first_id: data.at(0)?.id ?? null, last_id: data.at(-1)?.id ?? null };
}
