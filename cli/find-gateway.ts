import { UsageError } from "./usage-error.ts";

/** What `npm start` left for this machine's callers, and where. */
export interface LocalKey {
  readonly key: string;
  readonly file: string;
}

/** Where a gateway and its key may have been named: options go before variables, those before what `npm start` left. */
export interface Whereabouts {
  readonly urlOption: string | undefined;
  readonly keyOption: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  readLocalKey(): LocalKey | undefined;
  /** How this program is called here. */
  readonly self: string;
}

/** The way out of what goes wrong between here and a gateway: a line for each, with where the fault may lie. */
interface GatewayAdvice {
  readonly keyRefused: string;
  readonly unreachable: string;
  /** Somebody answered, but not as a gateway does. */
  readonly stranger: string;
}

export interface FoundGateway {
  readonly url: string;
  readonly key: string;
  readonly advice: GatewayAdvice;
}

type Source = "option" | "environment" | "default";

interface Said {
  readonly value: string;
  readonly source: Source;
}

const defaultUrl = "http://127.0.0.1:8080";

/** Throws a UsageError that names the source that is at fault. */
export function findGateway(whereabouts: Whereabouts): FoundGateway {
  const url = readUrl(whereabouts);
  const key = readKey(whereabouts);
  const origin = describeUrlSource(url, whereabouts);
  return {
    url: url.value,
    key: key.value,
    advice: {
      keyRefused: adviseOnKey(key, url.value, whereabouts),
      unreachable: `${origin} \`npm start\` starts a gateway and prints its address.`,
      stranger: `That is not how a Sluice gateway answers. ${origin}`,
    },
  };
}

function readUrl({ urlOption, env }: Whereabouts): Said {
  const { value, source } = firstOf(urlOption, env["SLUICE_URL"]) ?? { value: defaultUrl, source: "default" as const };
  const name = source === "option" ? "--url" : "SLUICE_URL";
  const parsed = /^https?:\/\/[^\s?#]+$/i.test(value) ? URL.parse(value) : null;
  if (parsed === null)
    throw new UsageError(`${name} is not an http(s) URL: ${value}. Write it as http://HOST:PORT or https://HOST.`);
  if (parsed.username !== "" || parsed.password !== "")
    throw new UsageError(`${name} holds a user name or a password, which no gateway asks for: leave them out.`);
  return { value: value.replace(/\/+$/, ""), source };
}

/** An empty variable counts as none. */
function firstOf(option: string | undefined, variable: string | undefined): Said | undefined {
  if (option !== undefined) return { value: option.trim(), source: "option" };
  return variable?.trim() ? { value: variable.trim(), source: "environment" } : undefined;
}

interface SaidKey {
  readonly value: string;
  readonly source: Source;
  /** Where the key lay; undefined: it was said. */
  readonly file?: string;
}

function readKey(whereabouts: Whereabouts): SaidKey {
  const key = firstOf(whereabouts.keyOption, whereabouts.env["SLUICE_KEY"]) ?? readKeyFile(whereabouts);
  if (key === undefined)
    throw new UsageError(
      "no key: give --key, set SLUICE_KEY, or run where .sluice/key is, which `npm start` makes for gateways without keys of their own.",
    );
  const name = nameOfKey(key);
  if (key.value === "") throw new UsageError(`no key: ${name} is empty.`);
  if (!/^[\x21-\x7E]+$/.test(key.value))
    throw new UsageError(`the key of ${name} holds a space, a line break or a letter that no key has.`);
  return key;
}

function readKeyFile({ readLocalKey }: Whereabouts): SaidKey | undefined {
  const found = readLocalKey();
  return found && { value: found.key.trim(), source: "default", file: found.file };
}

function nameOfKey({ source, file }: SaidKey): string {
  if (file !== undefined) return file;
  return source === "option" ? "--key" : "SLUICE_KEY";
}

function adviseOnKey(key: SaidKey, url: string, { self }: Whereabouts): string {
  const came = `The key came from ${nameOfKey(key)}`;
  if (key.file !== undefined)
    return (
      `${came}, where an earlier \`npm start\` left it, and is not one of ${url}. Give a key of that gateway with --key ` +
      `or SLUICE_KEY; \`${self} keys add NAME\` makes one for its sluice.yaml, whose keys count alone.`
    );
  if (key.source === "option") return `${came}, and is not one of ${url}. Give another, or leave it out.`;
  return `${came} of the environment, and is not one of ${url}. Set another, unset it to use .sluice/key, or give --key.`;
}

function describeUrlSource({ source }: Said, { env }: Whereabouts): string {
  if (source === "option") return "The address came from --url.";
  if (source === "environment") return "The address came from SLUICE_URL of the environment.";
  const other = env["ANTHROPIC_BASE_URL"] ? "; ANTHROPIC_BASE_URL is not looked at" : "";
  return `Nothing said another address: --url does, or SLUICE_URL${other}.`;
}
