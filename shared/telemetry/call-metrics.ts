import { metrics, type Metrics } from "./metrics.ts";

/** The metrics of one kind of call, bound to its labels. */
export interface CallMetrics {
  /** The call began. */
  began(): void;
  /** A stream's first content left. */
  firstContent(seconds: number): void;
  /** The call ended; exactly once for every `began`. */
  ended(code: string, seconds: number): void;
}

export interface CallLabels {
  readonly operation: string;
  readonly stream: boolean;
  /** The catalogue's name, never what the caller wrote. */
  readonly model: string;
}

/**
 * Gives the metrics of a kind of call, the same object for the same labels: no label is joined and no object made per
 * call. The number of kinds is bounded by the catalogue.
 */
export function createCallMetrics(into: Metrics): (labels: CallLabels) => CallMetrics {
  const streamed = new Map<string, Map<string, CallMetrics>>();
  const whole = new Map<string, Map<string, CallMetrics>>();
  return (labels) => {
    const byOperation = labels.stream ? streamed : whole;
    let byModel = byOperation.get(labels.operation);
    if (!byModel) byOperation.set(labels.operation, (byModel = new Map()));
    let bound = byModel.get(labels.model);
    if (!bound) byModel.set(labels.model, (bound = bindCallMetrics(labels, into)));
    return bound;
  };
}

export const callMetrics: (labels: CallLabels) => CallMetrics = createCallMetrics(metrics);

function bindCallMetrics({ operation, stream, model }: CallLabels, into: Metrics): CallMetrics {
  const streamed = String(stream);
  const inFlight = into.inFlight.labels(operation, streamed);
  const seconds = into.callSeconds.labels(operation, streamed, model);
  const firstContent = into.timeToFirstContentSeconds.labels(model);
  const byCode = new Map<string, { inc(): void }>();
  const counter = (code: string): { inc(): void } => {
    let bound = byCode.get(code);
    if (!bound) byCode.set(code, (bound = into.callsTotal.labels(operation, streamed, model, code)));
    return bound;
  };
  return {
    began: () => inFlight.inc(),
    firstContent: (value) => firstContent.observe(value),
    ended: (code, value) => {
      inFlight.dec();
      counter(code).inc();
      seconds.observe(value);
    },
  };
}
