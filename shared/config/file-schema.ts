import { Type, type TSchema } from "typebox";
import {
  amountSchema,
  choiceSchema,
  flagSchema,
  integerSchema,
  listSchema,
  record,
  rules,
  textSchema,
} from "./fields.ts";
import { modelNamePattern, providerSchema } from "./provider-schemas.ts";
import { budgetPeriods } from "./schema.ts";
import { closedObject, sectionSchema } from "./section.ts";
import * as sections from "./sections.ts";

const many = Number.MAX_SAFE_INTEGER;
const positive = { min: 1, max: many };

const providerNamePattern = rules.word.pattern;

const route = Type.Union(
  [
    textSchema("A provider, which knows the model by this name or by its `models`."),
    closedObject("A provider and its own id of the model.", {
      provider: textSchema("Name of a provider."),
      model: Type.Optional(textSchema("Upstream id.")),
    }),
  ],
  { errorMessage: "must be the name of a provider, or a mapping with `provider` and `model`" },
);

const price = closedObject("Its price in US dollars per million tokens, before what is built in.", {
  input: amountSchema("Input tokens.", 100_000),
  output: amountSchema("Output tokens.", 100_000),
  cache_write_5m: Type.Optional(amountSchema("Tokens written to the cache; as input if absent.", 100_000)),
  cache_write_1h: Type.Optional(amountSchema("Those kept for an hour; as the others if absent.", 100_000)),
  cache_read: Type.Optional(amountSchema("Tokens read from the cache; as input if absent.", 100_000)),
});

const model = closedObject("One model that callers may ask for.", {
  aliases: Type.Optional(listSchema("Further names of it.", textSchema("An alias."))),
  routes: Type.Optional(
    Type.Array(route, {
      minItems: 1,
      description: "Targets in the order in which they are tried; every provider if absent.",
      errorMessage: "must be a list with at least one route",
    }),
  ),
  display_name: Type.Optional(textSchema("Name for people.")),
  created_at: Type.Optional(textSchema("When it came out.", rules.instant)),
  max_input_tokens: Type.Optional(integerSchema("Size of its context.", positive)),
  max_tokens: Type.Optional(integerSchema("Most tokens of an answer.", positive)),
  price: Type.Optional(price),
  claude: Type.Optional(
    flagSchema("Whether it is served under the Claude-only prefixes; by default if its name says so."),
  ),
});

const modelGlobs = listSchema(
  "Models it may use, `*` for any run of characters; every model if absent.",
  textSchema("A glob."),
);

const limits = closedObject("What it may use.", {
  rpm: Type.Optional(integerSchema("Calls a minute.", positive)),
  concurrent: Type.Optional(integerSchema("Calls at a time.", positive)),
});

const budget = closedObject("What it may spend; calls beyond are refused with 402.", {
  usd: amountSchema("US dollars.", 1_000_000),
  per: choiceSchema("Of what time, by UTC.", budgetPeriods),
});

const key = closedObject("One key that callers may use; `key` or `sha256`.", {
  name: textSchema("Name of the key, in logs and metrics.", rules.word),
  key: Type.Optional(textSchema("The key itself.")),
  sha256: Type.Optional(textSchema("SHA-256 of the key, so that the file holds no secret.", rules.sha256)),
  models: Type.Optional(modelGlobs),
  limits: Type.Optional(limits),
  budget: Type.Optional(budget),
  admin: Type.Optional(flagSchema("True: may read what every key used.", false)),
  expires_at: Type.Optional(textSchema("When it ends.", rules.instant)),
  disabled: Type.Optional(flagSchema("True: refused.", false)),
});

const oidc = closedObject("One issuer of tokens that callers may use instead of a key.", {
  name: textSchema("Name of the entry, in logs and metrics.", rules.word),
  issuer: textSchema("The token's `iss`.", rules.httpUrl),
  audience: Type.Union(
    [
      textSchema("The token's `aud`."),
      Type.Array(textSchema("An `aud`."), { minItems: 1, errorMessage: "must be text or a list of texts" }),
    ],
    {
      errorMessage: "must be text or a list of texts",
    },
  ),
  claims: Type.Record(Type.String({ pattern: "^[^\\s]+$" }), textSchema("A glob."), {
    additionalProperties: false,
    minProperties: 1,
    description: "What the token has to say, by claim: globs. An issuer alone is everybody's, so name at least one.",
    errorMessage: "must be a mapping with at least one claim",
  }),
  jwks_uri: Type.Optional(
    textSchema("Where the issuer's keys are; by default its discovery document says.", rules.httpUrl),
  ),
  models: Type.Optional(modelGlobs),
  limits: Type.Optional(limits),
  budget: Type.Optional(budget),
});

const redis = sectionSchema("Queues, replies, limits.", {
  ...sections.redisFields,
  encryptionKey: {
    schema: textSchema("Encrypts bodies and outcomes at rest: 32 bytes as 64 hex digits or base64.", {
      pattern: "^(?:|[0-9a-fA-F]{64}|[A-Za-z0-9+/]{43}=)$",
      errorMessage: "must be 32 bytes as 64 hex digits or as base64",
    }),
    read: String,
    fallback: undefined,
  },
});

const workers = sectionSchema("Where the workers are, and how they are known.", {
  ...sections.workersFields,
  tls: {
    schema: closedObject("Paths of PEM files; both sides show a certificate of this authority.", {
      ca: textSchema("The authority's certificate."),
      cert: textSchema("This process' certificate."),
      key: textSchema("Its key."),
    }),
    read: (value) => value,
    fallback: undefined,
  },
});

/** Everything sluice.yaml may say. The source of sluice.schema.json. */
export const fileSchema: TSchema = closedObject("Configuration of Sluice.", {
  server: Type.Optional(sectionSchema("The HTTP front.", sections.serverFields)),
  redis: Type.Optional(redis),
  workers: Type.Optional(workers),
  providers: Type.Optional(record("Upstream accounts, by a name of yours.", providerNamePattern, providerSchema)),
  models: Type.Optional(
    record(
      "The models that are served; every built-in one if absent.",
      modelNamePattern,
      Type.Union([model, Type.Null()], {
        errorMessage: "must be a mapping such as `{ routes: [PROVIDER] }`, or nothing",
      }),
    ),
  ),
  keys: Type.Optional(listSchema("Who may call.", key)),
  oidc: Type.Optional(listSchema("Who else may call.", oidc)),
  engine: Type.Optional(sectionSchema("Retries and time-outs.", sections.engineFields)),
  queue: Type.Optional(sectionSchema("When calls lie in a queue.", sections.queueFields)),
  lanes: Type.Optional(sectionSchema("How much a dispatcher runs at a time.", sections.lanesFields)),
  trace: Type.Optional(sectionSchema("Traces of calls.", sections.traceFields)),
  usage: Type.Optional(sectionSchema("What keys used.", sections.usageFields)),
  jobs: Type.Optional(sectionSchema("Asynchronous calls.", sections.jobsFields)),
  outcomes: Type.Optional(sectionSchema("Outcomes of queued calls.", sections.outcomesFields)),
  batches: Type.Optional(sectionSchema("Message Batches.", sections.batchesFields)),
  events: Type.Optional(sectionSchema("Recordings of streams that outlive their callers.", sections.eventsFields)),
  ops: Type.Optional(sectionSchema("Health and metrics.", sections.opsFields)),
  log: Type.Optional(sectionSchema("Logging.", sections.logFields)),
});
