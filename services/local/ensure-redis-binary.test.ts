import { expect, test } from "vitest";
import { ensureRedisBinary } from "./ensure-redis-binary.ts";

const bare = { dir: "/nowhere", searchPath: "/nowhere", say: () => undefined };

test("without a Redis on the PATH and without a download, the way out is said", async () => {
  await expect(ensureRedisBinary({ ...bare, allowDownload: false })).rejects.toThrow(
    /--no-download was given\. Give a Redis by REDIS_URL, or install one: /,
  );
});

test("where nothing can be downloaded, that is said", async () => {
  await expect(ensureRedisBinary({ ...bare, allowDownload: true })).rejects.toThrow(
    /only Debian's and Ubuntu's can be downloaded/,
  );
});
