import type { Command } from "./command.ts";

const options = `  --url URL    the gateway (SLUICE_URL, else http://127.0.0.1:8080)
  --key KEY    the key to call it with (SLUICE_KEY, else .sluice/key)
  --help       this text, or that of a command
`;

const versionLine = `  --version    print the version
`;

const codes = `Exit codes: 0 all well, 1 something failed, 2 the command line makes no sense, 130 interrupted.
`;

/** All commands, one a line. */
export function generalHelp(commands: readonly Command[], self: string): string {
  const width = Math.max(...commands.map(({ usage }) => usage.length));
  const lines = commands.map(({ usage, summary }) => `  ${usage.padEnd(width)}  ${summary}\n`);
  return `Talks to a Sluice gateway.\n\n  ${self} COMMAND [options]\n\n${lines.join("")}\n${options}${versionLine}\n${codes}`;
}

export function helpOf({ usage, summary, help, options: own = {} }: Command, self: string): string {
  const said = `${summary.slice(0, 1).toUpperCase()}${summary.slice(1)}.`;
  return [
    `${said}\n\n  ${self} ${usage} [options]\n`,
    ...(help ? [`${help}\n`] : []),
    `${linesOf(own)}${options}`,
  ].join("\n");
}

function linesOf(options: NonNullable<Command["options"]>): string {
  const rows = Object.entries(options).map(([name, { type, short, takes = "VALUE", help = "" }]) => {
    const form = `${short === undefined ? "" : `-${short}, `}--${name}${type === "string" ? ` ${takes}` : ""}`;
    return [form, help] as const;
  });
  const width = Math.max(...rows.map(([form]) => form.length));
  const lines = rows.map(([form, help]) => `  ${`${form.padEnd(width)}  ${help}`.trimEnd()}\n`);
  return lines.length === 0 ? "" : `${lines.join("")}\n`;
}
