import type { Logger } from "#shared/telemetry/logger.ts";

export interface Closable {
  close(): void | Promise<void>;
}

export interface CloseStack {
  /** Takes over the closing of a resource. */
  own<T extends Closable>(resource: T): T;
  /**
   * Closes everything, the latest first, one after the other. One that fails or takes longer than `capMs` is logged
   * and left behind. Resolves with the number of those. Calling it again closes only what has been added since.
   */
  closeAll(): Promise<number>;
}

export function createCloseStack(logger: Logger, capMs = 5_000): CloseStack {
  const resources: Closable[] = [];
  return {
    own: (resource) => {
      resources.push(resource);
      return resource;
    },
    closeAll: async () => {
      let failed = 0;
      for (let resource = resources.pop(); resource; resource = resources.pop()) {
        // One after the other on purpose: what was opened later may need what was opened before.
        if (!(await closeOne(resource, logger, capMs))) failed += 1;
      }
      return failed;
    },
  };
}

async function closeOne(resource: Closable, logger: Logger, capMs: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<"late">((resolve) => {
    timer = setTimeout(() => resolve("late"), capMs);
  });
  try {
    const result = await Promise.race([Promise.resolve(resource.close()), late]);
    if (result !== "late") return true;
    logger.error({ capMs }, "a resource did not close in time");
  } catch (reason) {
    logger.error({ err: reason }, "a resource failed to close");
  } finally {
    clearTimeout(timer);
  }
  return false;
}
