import { BaseSequencer, type TestSpecification } from "vitest/node";

/**
 * Files that take ten seconds or more, the longest first. One that begins last ends alone. Vitest knows what took how
 * long the last time, but a fresh checkout has no last time, and the same order everywhere is one thing less that
 * differs.
 */
const longest = [
  "e2e/local-start",
  "e2e/processes",
  "e2e/batches-native",
  "e2e/paid-once",
  "e2e/batches",
  "e2e/jobs",
  "e2e/streams",
  "e2e/stand-still",
  "e2e/resume",
  "e2e/relay",
  "e2e/wires",
  "e2e/sdk",
  "e2e/three-credentials",
  "e2e/hostile",
  "e2e/engine",
  "e2e/spend",
  "e2e/paid-once-straight",
  "e2e/redis-away",
  "e2e/batches-killed",
  "integration/fairness",
  "integration/gateway-redis-away",
  "integration/cli",
  "integration/gateway-recordings",
  "integration/session-losses",
  "integration/dispatcher-batches",
  "integration/worker-streams",
  "conformance/adapters",
  "conformance/vendor-types",
];

/** Project after project; in each of them the long files first, the others by their names. */
export class LongestFirst extends BaseSequencer {
  override sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const byName = (a: string, b: string): number => (a < b ? -1 : Number(a > b));
    return Promise.resolve(
      files.toSorted(
        (a, b) =>
          a.project.config.sequence.groupOrder - b.project.config.sequence.groupOrder ||
          byName(a.project.name, b.project.name) ||
          rankOf(a.moduleId) - rankOf(b.moduleId) ||
          byName(a.moduleId, b.moduleId),
      ),
    );
  }
}

function rankOf(file: string): number {
  const rank = longest.findIndex((name) => file.endsWith(`/test/${name}.test.ts`));
  return rank < 0 ? longest.length : rank;
}
