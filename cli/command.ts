import type { GatewayClient } from "./gateway-client.ts";
import type { Terminal } from "./terminal.ts";

type Values = Readonly<Record<string, string | boolean | undefined>>;

/** What a command gets: its arguments, checked as far as their names go, and everything outside. */
export interface CommandContext {
  readonly args: readonly string[];
  readonly values: Values;
  /** Made when first used: some commands need no gateway. */
  client(): GatewayClient;
  readonly terminal: Terminal;
  /** A file as the user named it, from where the user is. */
  path(file: string): string;
  readonly stdin: NodeJS.ReadableStream;
  /** How to call this program, with the options that say where. */
  readonly self: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly signal: AbortSignal;
  /** Between two looks at something that runs; 1 s if absent. */
  readonly pollMs: number;
}

/** An option of a command, as `parseArgs` takes it, with its line in the help. */
interface CommandOption {
  readonly type: "string" | "boolean";
  readonly short?: string;
  /** What stands for its value in the help; VALUE if absent. */
  readonly takes?: string;
  readonly help?: string;
}

export interface Command {
  /** After the program's name, for the help: its words, then its arguments in capitals. */
  readonly usage: string;
  readonly summary: string;
  readonly help?: string;
  /** How many arguments beside the options; none may be missing. */
  readonly args: number;
  readonly options?: Readonly<Record<string, CommandOption>>;
  /** Resolves with the exit code: 0, or 1 when something of what was asked for failed. */
  run(context: CommandContext): Promise<number>;
}

/** An option's text; undefined when it was not given. */
export function textOption({ values }: CommandContext, name: string): string | undefined {
  const value = values[name];
  return typeof value === "string" ? value : undefined;
}
