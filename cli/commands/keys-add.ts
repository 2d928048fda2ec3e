import { createHash, randomBytes } from "node:crypto";
import { readFile, rename, stat, writeFile } from "node:fs/promises";
import { textOption, type Command, type CommandContext } from "../command.ts";
import { addKey, renderKey, type NewKey } from "../config-file.ts";
import { fileFault } from "../file-fault.ts";
import { UsageError } from "../usage-error.ts";

export const keysAdd: Command = {
  usage: "keys add NAME",
  summary: "make a key for a caller",
  help: `Prints the key, which is written down nowhere else, and the lines for the \`keys\` of sluice.yaml, which hold its
SHA-256. Running gateways read that file again on SIGHUP.`,
  args: 1,
  options: {
    write: { type: "boolean", help: "add the lines to the file" },
    config: { type: "string", takes: "FILE", help: "the file to write (SLUICE_CONFIG, else sluice.yaml)" },
    models: { type: "string", takes: "GLOBS", help: "the models it may use, with commas between; else all" },
  },
  async run(context) {
    const { terminal } = context;
    const key = `sk-sluice-${randomBytes(24).toString("base64url")}`;
    const entry = describe(key, context);
    if (context.values["write"] === true) {
      const file = textOption(context, "config") ?? (context.env["SLUICE_CONFIG"] || "sluice.yaml");
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
    if (cause.code !== "ENOENT") throw fileFault("read", file, cause);
    throw new UsageError(`there is no ${file}. Say with --config which file it is; without --write none is needed.`, {
      cause,
    });
  });
  const { mode } = await stat(path);
  const part = `${path}.part`;
  await writeFile(part, addKey(text, entry), { mode });
  await rename(part, path);
}
