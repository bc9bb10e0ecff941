import path from "node:path";
import type { Execution } from "../../sdk/execution.ts";
import type { CliContext, CommandHost } from "../context.ts";
import type { HoldfastCommand } from "../holdfast-command.ts";
import { choiceOption, settingOption } from "../options.ts";
import { formatResults, RESULT_FORMATS, type ResultFormat } from "../results-format.ts";
import { requireWritable, writeWhole } from "../write-file.ts";
import { withBroker } from "../with-broker.ts";

interface ResultsFlags {
  readonly broker?: string;
  readonly format: ResultFormat;
  readonly out?: string;
  readonly follow?: boolean;
}

export function defineResults(program: HoldfastCommand, host: CommandHost): void {
  program
    .command("results")
    .argument("<id>", "The execution, or the beginning of its id.")
    .description("Writes the results of an execution, in the order of its points.")
    .option(
      "--format <format>",
      `One of ${RESULT_FORMATS.join(", ")}.`,
      choiceOption("--format", RESULT_FORMATS),
      "ndjson" as const,
    )
    .option("--out <file>", "Writes to this file; it appears when it is complete.")
    .option("--follow", "Waits for the rest; without it, what is committed now.")
    .addOption(settingOption("broker", "address"))
    .addHelpText(
      "after",
      "\nExamples:\n  holdfast results k7m2 --format csv --out results.csv\n  holdfast results k7m2 | head",
    )
    .action(async (id: string, flags: ResultsFlags) => host.finish(await results(host.context, id, flags)));
}

async function results(context: CliContext, id: string, flags: ResultsFlags): Promise<number> {
  const file = flags.out === undefined ? undefined : path.resolve(context.workingDirectory, flags.out);
  if (file !== undefined) requireWritable("--out", file);
  await withBroker(context, flags, async ({ client }) => {
    const execution = await client.get(id);
    const text = formatResults(flags.format, () => read(execution, flags, context.interrupts.signal));
    if (file !== undefined) await writeWhole(file, text);
    else for await (const part of text) context.out.raw(part);
  });
  return 0;
}

function read(execution: Execution, flags: ResultsFlags, signal: AbortSignal): ReturnType<Execution["results"]> {
  return execution.results({ ordered: true, follow: flags.follow === true, signal });
}
