import { createHash, randomBytes } from "node:crypto";
import { readFile, rename, stat, writeFile } from "node:fs/promises";
import { textOption, type Command, type CommandContext } from "../command.ts";
import { addKey, renderKey, type NewKey } from "../config-file.ts";
import { UsageError } from "../usage-error.ts";

export const keysAdd: Command = {
  usage: "keys add NAME",
  summary: "make a key for a caller",
  help: `Prints the key, which is written down nowhere else, and the lines for the \`keys\` of sluice.yaml, which hold its
SHA-256. With --write they are added to the file: --config FILE, else SLUICE_CONFIG, else sluice.yaml. Running gateways
read it again on SIGHUP. --models takes globs with commas between.`,
  args: 1,
  options: { write: { type: "boolean" }, config: { type: "string" }, models: { type: "string" } },
  async run(context) {
    const { terminal } = context;
    const key = `sk-sluice-${randomBytes(24).toString("base64url")}`;
    const entry = describe(key, context);
    if (context.values["write"] === true) {
      const file = textOption(context, "config") ?? context.env["SLUICE_CONFIG"] ?? "sluice.yaml";
      await write(context.path(file), file, entry);
      terminal.note(`Added to ${file}. Gateways that run take it over on SIGHUP.`);
    } else terminal.note(renderKey(entry));
    terminal.out(`${key}\n`);
    return 0;
  },
};

function describe(key: string, context: CommandContext): NewKey {
  const [name = ""] = context.args;
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name))
    throw new UsageError("a key's name is up to 64 letters, digits, `.`, `_` or `-`");
  const models = textOption(context, "models")
    ?.split(",")
    .map((glob) => glob.trim());
  if (models?.some((glob) => glob === "")) throw new UsageError("--models takes names or globs with commas between");
  const sha256 = createHash("sha256").update(key, "utf8").digest("hex");
  return { name, sha256, ...(models ? { models } : {}) };
}

/** In one step: whoever reads the file meanwhile sees the old or the new one. */
async function write(path: string, file: string, entry: NewKey): Promise<void> {
  const text = await readFile(path, "utf8").catch((cause: NodeJS.ErrnoException) => {
    throw new UsageError(cause.code === "ENOENT" ? `there is no ${file}` : `cannot read ${file}: ${cause.code}`, {
      cause,
    });
  });
  const { mode } = await stat(path);
  const part = `${path}.part`;
  await writeFile(part, addKey(text, entry), { mode });
  await rename(part, path);
}
