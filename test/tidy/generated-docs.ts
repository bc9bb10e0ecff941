/**
 * The pages of docs/ that are made from code: what each error means to a program, every setting,
 * and the schema of workflow files.
 * `npm run docs` writes them; a test fails when they are not fresh.
 */
import {
  environmentName,
  factsOf,
  flagName,
  SETTING_NAMES,
  type SettingName,
  settingDefault,
} from "../../src/config/index.ts";
import { ERROR_CATALOGUE, type ErrorEntry } from "../../src/errors/index.ts";
import { workflowJsonSchema } from "../../src/sdk/workflow/file/schema.ts";

const MADE_BY = "<!-- Made by `npm run docs`; do not edit. -->";

export const GENERATED_DOCS: Readonly<Record<string, () => string>> = {
  "docs/errors.md": errorsPage,
  "docs/settings.md": settingsPage,
  "docs/workflow.schema.json": () => `${JSON.stringify(workflowJsonSchema(), null, 2)}\n`,
};

function errorsPage(): string {
  const rows = Object.entries(ERROR_CATALOGUE).map(([code, entry]: [string, ErrorEntry]) => {
    const retryable = entry.retryable ? "yes" : "no";
    return `| \`${code}\` | ${sentence(entry.message)} | ${retryable} | ${entry.exitCode} | ${entry.httpStatus} |`;
  });
  return page([
    "# Errors",
    MADE_BY,
    "Every error has a stable code: `error.code` in a program, `[CODE]` at the end of the CLI's line. " +
      "The message is one sentence; *parts in italics* are filled in. **Retry** says whether the same call may " +
      "succeed later without anybody changing anything. **Exit** is the CLI's exit code: 1 the work did not end " +
      "well, 2 something that was typed or submitted is wrong, 3 the broker or the machine, 70 a mistake in Holdfast.",
    table("Code | Message | Retry | Exit | HTTP", rows),
  ]);
}

function settingsPage(): string {
  const rows = SETTING_NAMES.map((name: SettingName) => {
    const { type, unit, about, alsoFrom } = factsOf(name);
    const kind = unit === undefined ? type : `${type} (${unit})`;
    const variable = alsoFrom === undefined ? "" : ` Also from \`${alsoFrom}\`.`;
    return `| \`${name}\` | ${kind} | ${settingDefault(name)} | ${about}${variable} |`;
  });
  return page([
    "# Settings",
    MADE_BY,
    "A process reads its settings once, when it starts. Later places win over earlier ones: the defaults below, " +
      "`holdfast.config.json` in the current folder (an object with these names), environment variables, and the " +
      "flags that a command offers. A variable's name is made from the setting's: " +
      `\`deadAfterMs\` is \`${environmentName("deadAfterMs")}\`, and as a flag, where a command has it, \`${flagName("deadAfterMs")}\`. ` +
      "Variables that other programs read, too, such as `REDIS_HOST`, count where ours is not set; set to nothing, they are not set. " +
      "A name that does not exist is refused with a suggestion, a value that does not fit with what was expected, " +
      "and all problems are told at once.",
    "A duration is a number of milliseconds or a text with a unit: `250ms`, `5s`, `10m`, `2h`, `7d`. " +
      "Names are a list in the file, and separated by commas elsewhere.",
    table("Setting | Type | Default | Meaning", rows),
  ]);
}

function table(head: string, rows: readonly string[]): string {
  const columns = head.split("|").length;
  return [`| ${head} |`, `|${"---|".repeat(columns)}`, ...rows].join("\n");
}

function page(parts: readonly string[]): string {
  return `${parts.join("\n\n")}\n`;
}

/** A message template with its variable parts in italics; `{{` stands for a brace. */
function sentence(template: string): string {
  return template
    .replaceAll(/\{\{|\}\}|\{(\w+)\}/g, (found, name: string | undefined) =>
      name === undefined ? found.slice(1) : ` *${name}* `,
    )
    .replaceAll(/ {2,}/g, " ")
    .replaceAll(/ ([.,:;)])/g, "$1")
    .replaceAll("( ", "(")
    .trim()
    .replaceAll("|", "\\|");
}
