import { GatewayError } from "#shared/messages/error.ts";
import { pageModels, type ModelInfo, type ModelPage } from "#shared/messages/model-info.ts";
import { ApiError } from "./api-error.ts";

/** A page of models, as `GET /v1/models` answers it. Throws ApiError for a query that the API refuses. */
export function listModels(models: readonly ModelInfo[], query: URLSearchParams): ModelPage {
  const lifecycles = query.getAll("lifecycle[]");
  const asked = models.filter(({ lifecycle }) => lifecycles.length === 0 || lifecycles.includes(lifecycle));
  const limit = query.get("limit");
  const after = query.get("after_id");
  const before = query.get("before_id");
  try {
    return pageModels(asked, {
      ...(limit === null ? {} : { limit: Number(limit) }),
      ...(after === null ? {} : { after_id: after }),
      ...(before === null ? {} : { before_id: before }),
    });
  } catch (reason) {
    if (reason instanceof GatewayError) throw new ApiError(reason.status, reason.message);
    throw reason;
  }
}
