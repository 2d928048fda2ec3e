import { parseArgs, type ParseArgsConfig } from "node:util";
import { nearest } from "#shared/config/nearest.ts";

/** What the command line of `npm start` asks for. */
export interface LocalOptions {
  /** The gateway's port; undefined: as the environment or the file says. */
  readonly port: number | undefined;
  readonly workers: number;
  readonly dispatchers: number;
  /** Folder for everything that is kept: Redis' data, the key, the downloaded Redis. */
  readonly dataDir: string;
  readonly allowDownload: boolean;
  readonly help: boolean;
}

export const usage = `Starts Sluice on this machine: Redis, a worker, a dispatcher, the gateway, and a stand-in provider when none is configured.

  npm start -- [options]

  --port N          port of the gateway (or PORT; otherwise server.port of sluice.yaml, else 8080)
  --workers N       how many workers (1)
  --dispatchers N   how many dispatchers (1)
  --data DIR        where data, key and a downloaded Redis are kept (.sluice)
  --no-download     never download Redis
  --help            this text

  REDIS_URL         a Redis to use in place of an own one
  SLUICE_CONFIG     the config file (sluice.yaml of this folder, if there is one)
  ANTHROPIC_API_KEY without a config file: call Anthropic with this key
`;

const declared = {
  port: { type: "string" },
  workers: { type: "string", default: "1" },
  dispatchers: { type: "string", default: "1" },
  data: { type: "string", default: ".sluice" },
  "no-download": { type: "boolean", default: false },
  help: { type: "boolean", short: "h", default: false },
} as const satisfies ParseArgsConfig["options"];

/** Reads the arguments after the script's name. Throws an Error whose message says what is wrong. */
export function readLocalOptions(args: readonly string[]): LocalOptions {
  const values = parse(args);
  return {
    port: values.port === undefined ? undefined : wholeNumber("--port", values.port, { least: 1, most: 65_535 }),
    workers: wholeNumber("--workers", values.workers, { least: 1, most: 64 }),
    dispatchers: wholeNumber("--dispatchers", values.dispatchers, { least: 1, most: 64 }),
    dataDir: values.data,
    allowDownload: !values["no-download"],
    help: values.help,
  };
}

function parse(args: readonly string[]): ReturnType<typeof parseArgs<{ options: typeof declared }>>["values"] {
  try {
    return parseArgs({ args: [...args], options: declared }).values;
  } catch (reason) {
    throw new Error(`${describeFault(reason as Error, args)}. See npm start -- --help`, { cause: reason });
  }
}

function describeFault(reason: Error, args: readonly string[]): string {
  const names = Object.keys(declared);
  for (const [name = ""] of args.map((arg) => /(?<=^--)[^=]+/.exec(arg) ?? [])) {
    if (name === "" || names.includes(name)) continue;
    const near = nearest(name, names);
    return `there is no option --${name}${near === undefined ? "" : ` (did you mean \`--${near}\`?)`}`;
  }
  const stray = /^Unexpected argument '(.*?)'/s.exec(reason.message)?.[1];
  if (stray !== undefined) return `"${stray}" is no option`;
  return reason.message.split("\n", 1)[0]?.replace(/\.$/, "") ?? "";
}

function wholeNumber(flag: string, text: string, bounds: { readonly least: number; readonly most: number }): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= bounds.least && value <= bounds.most) return value;
  throw new Error(`${flag} takes a whole number from ${bounds.least} to ${bounds.most}, not "${text}".`);
}
