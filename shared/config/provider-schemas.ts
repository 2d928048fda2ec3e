import { Type, type TSchema } from "typebox";
import { choiceSchema, flagSchema, integerSchema, listSchema, record, rules, textSchema } from "./fields.ts";
import type { ProviderType } from "./schema.ts";
import { closedObject } from "./section.ts";

export const modelNamePattern = "^[A-Za-z0-9][A-Za-z0-9._:/@-]{0,127}$";
const headerNamePattern = "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$";

const headerValue = textSchema("Value of the header.", {
  pattern: "^[\\x20-\\x7e\\x80-\\xff]*$",
  errorMessage: "must be a header value on one line",
});

const betaRule = closedObject("What becomes of some beta flags; the first rule that fits counts.", {
  models: Type.Optional(listSchema("Models it is about, `*` for any run of characters.", textSchema("A glob."))),
  flags: record(
    "By flag, `*` for any run of characters: `send`, `drop`, `header`, `body`, or the flag's name there.",
    "^[A-Za-z0-9*][A-Za-z0-9*._-]{0,63}$",
    textSchema("`send`, `drop`, `header`, `body`, or another name.", {
      pattern: "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
      errorMessage: "must be send, drop, header, body or the name of a flag",
    }),
  ),
});

const common = {
  base_url: Type.Optional(textSchema("Where it is; the vendor's address if absent.", rules.httpUrl)),
  api_key: Type.Optional(textSchema("The account's key; only workers see it.")),
  headers: Type.Optional(record("Headers to send with every request.", headerNamePattern, headerValue)),
  connections: Type.Optional(
    integerSchema("Most connections of one worker; calls beyond them wait for one.", { min: 1, max: 65_535 }, 4096),
  ),
  rerun_sent: Type.Optional(flagSchema("Overrides engine.rerun_sent for this provider.")),
  threads: Type.Optional(
    flagSchema("Whether it keeps message threads; by default only the vendor's own address does."),
  ),
  models: Type.Optional(
    record(
      "Its own id of a model, where that is not the catalogue's name.",
      modelNamePattern,
      textSchema("Upstream id."),
    ),
  ),
  betas: Type.Optional(listSchema("Beta flags; read again on SIGHUP.", betaRule)),
};

/** What becomes part of a host name or a path. */
const placeName = {
  pattern: "^[a-z0-9][a-z0-9-]{0,62}$",
  errorMessage: "must be a name of lower-case letters, digits and `-`",
};
const projectId = {
  pattern: "^[A-Za-z0-9][A-Za-z0-9.:-]{0,62}$",
  errorMessage: "must be a project's id or number",
};

const region = (description: string): TSchema => textSchema(description, placeName);
const project = (description: string): TSchema => textSchema(description, projectId);
const googleFile = Type.Optional(
  textSchema("File with Google credentials; application default credentials if absent."),
);
const awsCredential = {
  profile: Type.Optional(textSchema("Profile of the AWS configuration.")),
  access_key_id: Type.Optional(textSchema("AWS access key; the default credential chain if absent.")),
  secret_access_key: Type.Optional(textSchema("Its secret.")),
  session_token: Type.Optional(textSchema("Its session token.")),
};
const googleToken = Type.Optional(textSchema("A token of yours; it is not refreshed."));

const typed = (type: ProviderType, members: Readonly<Record<string, TSchema>>, description: string): TSchema =>
  closedObject(description, {
    type: choiceSchema("Which API it speaks.", [type]),
    ...common,
    ...members,
  });

/** One schema per provider type, told apart by `type`. */
const providerSchemas: { readonly [Type in ProviderType]: TSchema } = {
  anthropic: typed(
    "anthropic",
    {
      auth: Type.Optional(
        choiceSchema(
          "The header the key goes in; or Google's tokens or AWS' signatures, for Claude on their platforms.",
          ["x-api-key", "bearer", "google", "aws"],
          "x-api-key",
        ),
      ),
      credentials_file: googleFile,
      region: Type.Optional(region("AWS region, for `auth: aws`.")),
      ...awsCredential,
      batch: Type.Optional(
        choiceSchema(
          "Items of batches go there as Message Batches of its own, at its price for those, or each as a call.",
          ["native", "calls"],
          "calls",
        ),
      ),
    },
    "The Messages API itself, or anything else that speaks it.",
  ),
  bedrock: typed(
    "bedrock",
    {
      region: region("AWS region."),
      api: Type.Optional(
        choiceSchema("InvokeModel, or the endpoint that speaks Messages.", ["invoke", "mantle"], "invoke"),
      ),
      ...awsCredential,
    },
    "Claude on Amazon Bedrock; `api_key` is a Bedrock API key.",
  ),
  vertex: typed(
    "vertex",
    {
      project: project("Google Cloud project."),
      region: region("`global`, `us`, `eu` or a region."),
      credentials_file: googleFile,
      access_token: googleToken,
    },
    "Claude on Google Cloud's Vertex AI.",
  ),
  foundry: typed(
    "foundry",
    {
      resource: Type.Optional(textSchema("Name of the Azure resource; needed without `base_url`.", placeName)),
      auth: Type.Optional(choiceSchema("A key or an Entra token.", ["api-key", "entra"], "api-key")),
      tenant_id: Type.Optional(textSchema("Entra tenant.")),
      client_id: Type.Optional(textSchema("Entra application.")),
      client_secret: Type.Optional(textSchema("Its secret.")),
    },
    "Claude in Microsoft Foundry; model ids are deployment names.",
  ),
  openai: typed(
    "openai",
    {
      api: Type.Optional(choiceSchema("Chat Completions, or Responses.", ["chat", "responses"], "chat")),
      organization: Type.Optional(textSchema("Organization the calls are charged to.")),
      max_tokens_field: Type.Optional(
        choiceSchema(
          "The member in which it takes the most tokens of an answer.",
          ["max_completion_tokens", "max_tokens"],
          "max_completion_tokens",
        ),
      ),
    },
    "OpenAI, or any server compatible with it.",
  ),
  gemini: typed(
    "gemini",
    {
      api: Type.Optional(choiceSchema("Whose endpoint it is.", ["ai-studio", "vertex"], "ai-studio")),
      project: Type.Optional(project("Google Cloud project, for Vertex.")),
      region: Type.Optional(region("`global`, `us`, `eu` or a region, for Vertex; `global` if absent.")),
      credentials_file: googleFile,
      access_token: googleToken,
    },
    "Gemini, by AI Studio's API or by Vertex AI's.",
  ),
};

/** One upstream account of any type. */
export const providerSchema: TSchema = Type.Union(Object.values(providerSchemas), {
  description: "One upstream account.",
  errorMessage: "must be a mapping with `type`",
});
