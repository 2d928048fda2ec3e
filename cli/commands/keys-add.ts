import { createHash, randomBytes } from "node:crypto";
import { readFile, rename, stat, writeFile } from "node:fs/promises";
import { textOption, type Command, type CommandContext } from "../command.ts";
import { addKey, hasKeys, renderKey, type NewKey } from "../config-file.ts";
import { fileFault } from "../file-fault.ts";
import { UsageError } from "../usage-error.ts";

export const keysAdd: Command = {
  usage: "keys add NAME",
  summary: "make a key for a caller",
  help: `Prints the key, which is written down nowhere else, and the lines for the \`keys\` of sluice.yaml, which hold its
SHA-256. Running gateways read that file again on SIGHUP. Once the file names a key, the one that \`npm start\` made
(.sluice/key) is refused.`,
  args: 1,
  options: {
    write: { type: "boolean", help: "add the lines to the file; makes sluice.yaml if there is none" },
    config: { type: "string", takes: "FILE", help: "the file to write (SLUICE_CONFIG, else sluice.yaml)" },
    models: { type: "string", takes: "GLOBS", help: "the models it may use, with commas between; else all" },
  },
  async run(context) {
    const { terminal } = context;
    const key = `sk-sluice-${randomBytes(24).toString("base64url")}`;
    const entry = describe(key, context);
    if (context.values["write"] === true) terminal.note(await write(entry, context));
    else terminal.note(`${renderKey(entry)}\n${whatToDo}`);
    terminal.out(`${key}\n`);
    return 0;
  },
};

const localKeyEnds = "From then on the file's keys count alone: the one in .sluice/key is refused.";
/** As remarks: it may be pasted with the lines. */
const whatToDo = `# Put these lines into sluice.yaml, under the \`keys:\` that are there; \`--write\` does it. Then send SIGHUP to what runs, or
# start it again. ${localKeyEnds}`;

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

/** Gives what there is to say. */
async function write(entry: NewKey, context: CommandContext): Promise<string> {
  const option = textOption(context, "config");
  const named = option ?? (context.env["SLUICE_CONFIG"] || undefined);
  const file = named ?? "sluice.yaml";
  const path = context.path(file);
  const text = await readFile(path, "utf8").catch((cause: NodeJS.ErrnoException) => {
    if (cause.code !== "ENOENT") throw fileFault("read", file, cause);
    if (named === undefined) return undefined;
    const who =
      option === undefined
        ? "SLUICE_CONFIG names it. Make it first, or say another with --config"
        : "make it first, or leave --config out";
    throw new UsageError(`there is no ${file}: ${who}.`, { cause });
  });
  if (text === undefined) {
    await writeFile(path, addKey("", entry), { flag: "wx" });
    return `Made ${file} with it. Start Sluice again. ${localKeyEnds}`;
  }
  await replace(path, addKey(text, entry));
  return `Added to ${file}. Gateways that run take it over on SIGHUP.${hasKeys(text) ? "" : ` ${localKeyEnds}`}`;
}

/** In one step: whoever reads the file meanwhile sees the old or the new one. */
async function replace(path: string, text: string): Promise<void> {
  const { mode } = await stat(path);
  const part = `${path}.part`;
  await writeFile(part, text, { mode });
  await rename(part, path);
}
