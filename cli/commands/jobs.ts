import { textOption, type Command } from "../command.ts";
import { UsageError } from "../usage-error.ts";

interface Job {
  readonly status: string;
}

const longestWaitS = 3600;
const failed: ReadonlySet<string> = new Set(["failed", "errored", "canceled", "cancelled", "expired"]);

export const jobs: Command = {
  usage: "jobs ID",
  summary: "show an asynchronous call as JSON",
  help: "Exit code 1 when it did not end well.",
  args: 1,
  options: { wait: { type: "string", takes: "SECONDS", help: "wait for its end, at most so long" } },
  async run(context) {
    const [id = ""] = context.args;
    const wait = textOption(context, "wait");
    if (wait !== undefined && !(/^\d{1,4}$/.test(wait) && Number(wait) <= longestWaitS))
      throw new UsageError(`--wait takes a number of seconds up to ${longestWaitS}, not "${wait}"`);
    const query = wait === undefined ? "" : `?wait=${wait}`;
    const job = await context.client().get<Job>(`/v1/jobs/${encodeURIComponent(id)}${query}`);
    context.terminal.out(`${JSON.stringify(job, undefined, 2)}\n`);
    return failed.has(job.status) ? 1 : 0;
  },
};
