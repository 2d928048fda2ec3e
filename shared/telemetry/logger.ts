import { pino, stdTimeFunctions, type DestinationStream, type Logger as PinoLogger } from "pino";

export type Logger = PinoLogger;

export interface LoggerOptions {
  /** The process' name, in every line as `service`. */
  readonly name: string;
  /** Pino's levels; `info` if absent. */
  readonly level?: string;
  /** Where the lines go; stdout if absent. */
  readonly destination?: DestinationStream;
}

const hidden = "[redacted]";
const maxCauses = 4;

/**
 * JSON lines, fields before words: `logger.info({ callId, ms }, "call ended")`. Lines are written without waiting for
 * the pipe, so a slow reader of the log holds up no call, and what is left is flushed when the process exits; only
 * SIGKILL loses the last 200 ms.
 *
 * Members that would carry a credential are hidden by name. They are serializers, not pino's `redact`: those cost
 * nothing on a line without such a member, `redact` doubles the price of every line.
 */
export function createLogger(options: LoggerOptions): Logger {
  return pino(
    {
      base: { service: options.name },
      level: options.level ?? "info",
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { ...secretSerializers, headers: hideHeaders, err: (error: unknown) => describeError(error) },
    },
    options.destination ?? createStdout(),
  );
}

/** A write for each line is 5 to 8 % of a gateway's CPU under load, for 8 KiB half of it: lines leave together, after 64 KiB or 200 ms. */
const batchBytes = 65_536;
const flushEveryMs = 200;

/**
 * Lines wait as bytes: sonic-boom measures all the text it holds, and so copies it, for each line that it is given as a
 * string (30 KB a line, 40 % of what a gateway allocated).
 */
function createStdout(): DestinationStream {
  const stdout = pino.destination({
    dest: 1,
    sync: false,
    contentMode: "buffer",
    minLength: batchBytes,
    maxWrite: 2 * batchBytes,
  });
  setInterval(() => stdout.flush(), flushEveryMs).unref();
  // Its types know of strings alone.
  const writeBytes = stdout.write.bind(stdout) as unknown as (line: Buffer) => boolean;
  stdout.write = (line) => writeBytes(Buffer.from(line));
  return stdout;
}

const hide = (): string => hidden;

const secretSerializers = Object.fromEntries(
  ["authorization", "x-api-key", "apiKey", "api_key", "key", "token", "password", "secret", "body"].map((name) => [
    name,
    hide,
  ]),
);

const secretHeader = /^(?:authorization|proxy-authorization|cookie|set-cookie)$|api-key|token|secret/i;

function hideHeaders(headers: unknown): unknown {
  if (typeof headers !== "object" || headers === null) return hidden;
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, secretHeader.test(name) ? hidden : value]),
  );
}

interface ErrorLine {
  readonly type: string;
  readonly message: string;
  readonly code?: string;
  readonly stack?: string;
  readonly cause?: unknown;
}

/**
 * An error by name, message, code, stack and causes, and by nothing else: clients hang whole commands and requests on
 * their errors (ioredis its arguments), and with them prompts. V8 quotes the text in what it says of bad JSON, so that
 * message is withheld too.
 */
export function describeError(error: unknown, depth = 0): unknown {
  if (!(error instanceof Error)) return { type: typeof error, message: "a value that is no Error was thrown" };
  const code: unknown = "code" in error ? error.code : undefined;
  const frames = error.stack
    ?.split("\n")
    .filter((line) => /^ +at /.test(line))
    .join("\n");
  const quotesText = error instanceof SyntaxError && error.message.includes("JSON");
  const line: ErrorLine = {
    type: error.name,
    message: quotesText ? "bad JSON (the parser's words are withheld, they quote it)" : error.message,
    ...(typeof code === "string" ? { code } : {}),
    ...(frames ? { stack: frames } : {}),
    ...(error.cause === undefined || depth >= maxCauses ? {} : { cause: describeError(error.cause, depth + 1) }),
  };
  return line;
}
