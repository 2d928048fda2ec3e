import { parseArgs, type ParseArgsConfig } from "node:util";
import type { Command, CommandContext } from "./command.ts";
import { batchCancel } from "./commands/batch-cancel.ts";
import { batchResults } from "./commands/batch-results.ts";
import { batchSubmit } from "./commands/batch-submit.ts";
import { batchWatch } from "./commands/batch-watch.ts";
import { jobs } from "./commands/jobs.ts";
import { keysAdd } from "./commands/keys-add.ts";
import { limits } from "./commands/limits.ts";
import { findGateway, type FoundGateway, type LocalKey } from "./find-gateway.ts";
import { createGatewayClient, GatewayFailure, type GatewayClient } from "./gateway-client.ts";
import { generalHelp, helpOf } from "./help.ts";
import type { Terminal } from "./terminal.ts";
import { UsageError } from "./usage-error.ts";
import { readVersion } from "./version.ts";

export interface Surroundings {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly terminal: Terminal;
  readonly stdin: NodeJS.ReadableStream;
  /** A file as the user named it, from where the user is. */
  path(file: string): string;
  /** The key that `npm start` made; undefined when there is none. */
  readLocalKey(): LocalKey | undefined;
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

/** Runs what the arguments ask for; resolves with the exit code, never rejects. */
export async function runCommand(surroundings: Surroundings): Promise<number> {
  const { terminal, signal } = surroundings;
  try {
    return await run(surroundings);
  } catch (reason) {
    if (signal.aborted) return exitCodes.interrupted;
    terminal.note(`sluice: ${reason instanceof Error ? reason.message : String(reason)}`);
    if (reason instanceof UsageError) return exitCodes.usage;
    if (reason instanceof GatewayFailure) {
      if (reason.wayOut !== undefined) terminal.note(reason.wayOut);
    } else if (!isSystemError(reason)) terminal.note(stackOf(reason));
    return exitCodes.failed;
  }
}

async function run(surroundings: Surroundings): Promise<number> {
  const { argv, terminal, self } = surroundings;
  const asked = positionalsOf(argv);
  const command = commands.find((each) => wordsOf(each).every((word, index) => asked[index] === word));
  if (!command) return answerGenerally(surroundings, asked);
  const { values, positionals } = parse(argv, command, self);
  if (values["help"] === true) {
    terminal.out(helpOf(command, self));
    return exitCodes.ok;
  }
  // Mostly a variable of the shell that was not set.
  const empty = Object.keys(values).find((name) => values[name] === "");
  if (empty !== undefined) throw new UsageError(`--${empty} is empty: give it a value or leave it out.`);
  const args = positionals.slice(wordsOf(command).length);
  checkArgs(args, command, self);
  return command.run(contextOf(surroundings, { args, values }));
}

function answerGenerally({ argv, terminal, self }: Surroundings, asked: readonly string[]): number {
  const help = generalHelp(commands, self);
  if (argv.includes("--help") || argv.includes("-h")) {
    terminal.out(help);
    return exitCodes.ok;
  }
  if (argv.includes("--version")) {
    terminal.out(`${readVersion()}\n`);
    return exitCodes.ok;
  }
  if (asked.length === 0) {
    if (argv.length > 0) terminal.note("sluice: no command is given.\n");
    terminal.note(help.trimEnd());
    return exitCodes.usage;
  }
  const words = commands.map(wordsOf).filter(([first]) => first === asked[0]);
  const hint = words.length === 0 ? "" : `; there are ${words.map((each) => `"${each.join(" ")}"`).join(", ")}`;
  throw new UsageError(`there is no command "${asked.slice(0, 2).join(" ")}"${hint}. See ${self} --help`);
}

/** Throws what is missing or too much, with how the command is written. */
function checkArgs(args: readonly string[], command: Command, self: string): void {
  const words = wordsOf(command);
  const names = command.usage.split(" ").slice(words.length);
  const fail = (fault: string): never => {
    throw new UsageError(`${words.join(" ")}: ${fault}. Write ${self} ${command.usage}`);
  };
  for (const [index, name] of names.entries()) {
    if (args[index] === undefined) fail(`${name} is missing`);
    if (args[index] === "") fail(`${name} is empty`);
  }
  if (args.length > command.args) fail(`"${args[command.args]}" is too much`);
}

/** `batch submit FILE`: the words before the first argument. */
function wordsOf({ usage }: Command): string[] {
  return usage.split(" ").filter((word) => word === word.toLowerCase());
}

/** Options may stand before the command's words. */
function positionalsOf(argv: readonly string[]): string[] {
  const options = { args: [...argv], options: generalOptions, strict: false, allowPositionals: true };
  return parseArgs(options).positionals;
}

type Parsed = Pick<CommandContext, "values"> & { readonly positionals: string[] };

function parse(argv: readonly string[], command: Command, self: string): Parsed {
  const options = { ...generalOptions, ...command.options };
  try {
    return parseArgs({ args: [...argv], options, allowPositionals: true });
  } catch (reason) {
    // Its own words, without the advice on how to write a positional argument that looks like an option.
    const [words = ""] = (reason as Error).message.split(". To specify a positional", 1);
    const line = words.replace(/\.?$/, ".").replaceAll("\n", " ");
    throw new UsageError(`${line} See ${self} ${wordsOf(command).join(" ")} --help`, { cause: reason });
  }
}

function contextOf(surroundings: Surroundings, given: Pick<CommandContext, "args" | "values">): CommandContext {
  const { signal, retryMs } = surroundings;
  let client: GatewayClient | undefined;
  return {
    ...given,
    client: () =>
      (client ??= createGatewayClient({
        ...gatewayOf(given, surroundings),
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

function gatewayOf({ values }: Given, { env, readLocalKey, self }: Surroundings): FoundGateway {
  const { url, key } = values;
  return findGateway({
    urlOption: typeof url === "string" ? url : undefined,
    keyOption: typeof key === "string" ? key : undefined,
    env,
    readLocalKey,
    self,
  });
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
