import { parseArgs, type ParseArgsConfig } from "node:util";
import type { Command, CommandContext } from "./command.ts";
import { batchCancel } from "./commands/batch-cancel.ts";
import { batchResults } from "./commands/batch-results.ts";
import { batchSubmit } from "./commands/batch-submit.ts";
import { batchWatch } from "./commands/batch-watch.ts";
import { jobs } from "./commands/jobs.ts";
import { keysAdd } from "./commands/keys-add.ts";
import { limits } from "./commands/limits.ts";
import { createGatewayClient, GatewayFailure, type GatewayClient } from "./gateway-client.ts";
import { generalHelp, helpOf } from "./help.ts";
import type { Terminal } from "./terminal.ts";
import { UsageError } from "./usage-error.ts";

export interface Surroundings {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly terminal: Terminal;
  readonly stdin: NodeJS.ReadableStream;
  /** A file as the user named it, from where the user is. */
  path(file: string): string;
  /** The key that `npm start` made; undefined when there is none. */
  readLocalKey(): string | undefined;
  /** How this program is called here. */
  readonly self: string;
  /** Aborts on Ctrl-C. */
  readonly signal: AbortSignal;
  readonly pollMs?: number;
  readonly retryMs?: number;
}

const commands: readonly Command[] = [batchSubmit, batchWatch, batchResults, batchCancel, jobs, limits, keysAdd];

const generalOptions = {
  url: { type: "string" },
  key: { type: "string" },
  help: { type: "boolean", short: "h" },
} as const satisfies ParseArgsConfig["options"];

const exitCodes = { ok: 0, failed: 1, usage: 2, interrupted: 130 } as const;
const defaultUrl = "http://127.0.0.1:8080";

/** Runs what the arguments ask for; resolves with the exit code, never rejects. */
export async function runCommand(surroundings: Surroundings): Promise<number> {
  const { terminal, signal } = surroundings;
  try {
    return await run(surroundings);
  } catch (reason) {
    if (signal.aborted) return exitCodes.interrupted;
    terminal.note(`sluice: ${reason instanceof Error ? reason.message : String(reason)}`);
    if (reason instanceof UsageError) return exitCodes.usage;
    if (!(reason instanceof GatewayFailure) && !isSystemError(reason)) terminal.note(stackOf(reason));
    return exitCodes.failed;
  }
}

async function run(surroundings: Surroundings): Promise<number> {
  const { argv, terminal, self } = surroundings;
  const command = findCommand(argv);
  if (!command) return answerGenerally(surroundings);
  const words = wordsOf(command);
  const { values, positionals } = parse(argv, command);
  if (values["help"] === true) {
    terminal.out(helpOf(command, self));
    return exitCodes.ok;
  }
  const args = positionals.slice(words.length);
  if (args.length !== command.args) throw new UsageError(`${self} ${command.usage}`);
  return command.run(contextOf(surroundings, { args, values }));
}

function answerGenerally({ argv, terminal, self }: Surroundings): number {
  const asked = argv.filter((arg) => !arg.startsWith("-"));
  const isHelp = argv.includes("--help") || argv.includes("-h");
  const words = commands.map(wordsOf).filter(([first]) => first === asked[0]);
  if (asked.length === 0 || isHelp) {
    const help = generalHelp(commands, self);
    if (isHelp) terminal.out(help);
    else terminal.note(help.trimEnd());
    return isHelp ? exitCodes.ok : exitCodes.usage;
  }
  const hint = words.length === 0 ? "" : `; there are ${words.map((each) => `"${each.join(" ")}"`).join(", ")}`;
  throw new UsageError(`there is no command "${asked.slice(0, 2).join(" ")}"${hint}. See --help.`);
}

/** `batch submit FILE`: the words before the first argument. */
function wordsOf({ usage }: Command): string[] {
  return usage.split(" ").filter((word) => word === word.toLowerCase());
}

/** Options may stand before the command's words. */
function findCommand(argv: readonly string[]): Command | undefined {
  const { positionals } = parseArgs({
    args: [...argv],
    options: generalOptions,
    strict: false,
    allowPositionals: true,
  });
  return commands.find((command) => wordsOf(command).every((word, index) => positionals[index] === word));
}

function parse(argv: readonly string[], command: Command): Pick<CommandContext, "values"> & { positionals: string[] } {
  const options = { ...generalOptions, ...command.options };
  try {
    const { values, positionals } = parseArgs({ args: [...argv], options, allowPositionals: true });
    return { values, positionals };
  } catch (reason) {
    // Its own words, without the advice on how to write a positional argument that looks like an option.
    throw new UsageError((reason as Error).message.split(". ", 1)[0], { cause: reason });
  }
}

function contextOf(surroundings: Surroundings, given: Pick<CommandContext, "args" | "values">): CommandContext {
  const { signal, retryMs } = surroundings;
  let client: GatewayClient | undefined;
  return {
    ...given,
    client: () =>
      (client ??= createGatewayClient({
        url: readUrl(given, surroundings),
        key: readKey(given, surroundings),
        signal,
        ...(retryMs === undefined ? {} : { retryMs }),
      })),
    terminal: surroundings.terminal,
    path: (file) => surroundings.path(file),
    stdin: surroundings.stdin,
    self: selfWith(given, surroundings),
    env: surroundings.env,
    signal,
    pollMs: surroundings.pollMs ?? 1_000,
  };
}

type Given = Pick<CommandContext, "values">;

function readUrl({ values }: Given, { env }: Surroundings): string {
  const url = values["url"] ?? (env["SLUICE_URL"] || defaultUrl);
  if (typeof url !== "string" || !/^https?:\/\/[^\s]+$/.test(url))
    throw new UsageError(`not an http(s) URL: ${String(url)}`);
  return url.replace(/\/+$/, "");
}

function readKey({ values }: Given, { env, readLocalKey }: Surroundings): string {
  const key = values["key"] ?? (env["SLUICE_KEY"] || readLocalKey());
  if (typeof key === "string" && key !== "") return key;
  throw new UsageError("no key: give --key, set SLUICE_KEY, or run where .sluice/key is");
}

/** The next command goes to the same gateway; a key is not repeated on a screen. */
function selfWith({ values }: Given, { self }: Surroundings): string {
  return typeof values["url"] === "string" ? `${self} --url ${values["url"]}` : self;
}

function isSystemError(reason: unknown): boolean {
  return reason instanceof Error && "syscall" in reason;
}

function stackOf(reason: unknown): string {
  return reason instanceof Error ? (reason.stack ?? "") : "";
}
