import { countsOf, describeCounts, totalOf, type Batch } from "./batch.ts";
import type { Terminal } from "./terminal.ts";

/** Tells how far a batch is: a bar on a terminal; else a line now and then, when something has changed. */
export interface Progress {
  show(batch: Batch, now: number): void;
}

const plainEveryMs = 10_000;
const widestBar = 40;

export function createProgress(terminal: Terminal): Progress {
  let saidAt = Number.NEGATIVE_INFINITY;
  let said = "";
  return {
    show(batch, now) {
      if (terminal.isLive) return terminal.redraw(drawBar(batch, terminal.columns));
      const line = sayProgress(batch);
      if (line === said || now - saidAt < plainEveryMs) return;
      said = line;
      saidAt = now;
      terminal.note(line);
    },
  };
}

export function sayProgress(batch: Batch): string {
  const counts = countsOf(batch);
  const { done, total } = totalOf(counts);
  return `${batch.id}: ${done} of ${total} (${describeCounts(counts)})`;
}

/** One line, never wider than the terminal: a wrapped one cannot be redrawn. */
export function drawBar(batch: Batch, columns: number): string {
  const counts = countsOf(batch);
  const { done, total } = totalOf(counts);
  const share = total === 0 ? 1 : done / total;
  const words = ` ${Math.floor(share * 100)} % ${done}/${total}${sayFailures(batch)}`;
  const width = Math.min(widestBar, columns - words.length - 3);
  if (width < 5) return words.trim().slice(0, columns - 1);
  const filled = Math.round(share * width);
  return `[${"#".repeat(filled)}${"-".repeat(width - filled)}]${words}`;
}

function sayFailures(batch: Batch): string {
  const { errored, canceled, expired } = countsOf(batch);
  const failures = [
    errored > 0 ? ` ${errored} errored` : "",
    canceled > 0 ? ` ${canceled} canceled` : "",
    expired > 0 ? ` ${expired} expired` : "",
    batch.processing_status === "canceling" ? " (canceling)" : "",
  ];
  return failures.join("");
}
