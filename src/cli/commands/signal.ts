import type { SignalReply } from "../../broker/contract.ts";
import { HoldfastError } from "../../errors/index.ts";
import type { CliContext, CommandHost } from "../context.ts";
import { sentence } from "../execution-lines.ts";
import type { HoldfastCommand } from "../holdfast-command.ts";
import { settingOption } from "../options.ts";
import { counted } from "../terminal/figures.ts";
import { printable } from "../terminal/text-width.ts";
import { withBroker } from "../with-broker.ts";

interface SignalFlags {
  readonly broker?: string;
  readonly payload?: string;
  readonly json?: boolean;
}

const HELP = `
A signal is given once: the same again changes nothing, another payload is not taken.

Examples:
  holdfast signal k7m2 data-arrived
  holdfast signal k7m2 data-arrived --payload '{"rows": 1200}'`;

export function defineSignal(program: HoldfastCommand, host: CommandHost): void {
  program
    .command("signal")
    .argument("<id>", "The execution, or the beginning of its id.")
    .argument("<name>", "The signal: the id of the node that waits for it, unless the workflow names it otherwise.")
    .description("Gives an execution a named value; nodes that wait for it go on.")
    .option("--payload <json>", "What they go on with. Default null.")
    .addOption(settingOption("broker", "address"))
    .option("--json", "Prints the answer as JSON.")
    .addHelpText("after", HELP)
    .action(async (id: string, name: string, flags: SignalFlags) => {
      host.finish(await giveSignal(host.context, { id, name, payload: payloadOf(flags), flags }));
    });
}

function payloadOf({ payload = "null" }: SignalFlags): unknown {
  try {
    return JSON.parse(payload) as unknown;
  } catch (thrown) {
    throw new HoldfastError(
      "INVALID_OPTION",
      { option: "--payload", value: JSON.stringify(payload), expected: `JSON, such as '{"rows": 12}'` },
      { cause: thrown },
    );
  }
}

export interface Given {
  /** Of the execution, or its beginning. */
  readonly id: string;
  readonly name: string;
  readonly payload: unknown;
  readonly flags: Pick<SignalFlags, "broker" | "json">;
}

/** The exit code: 1 when the execution has the signal already, with another payload. */
export async function giveSignal(context: CliContext, { id, name, payload, flags }: Given): Promise<number> {
  const { out } = context;
  const { executionId, reply } = await withBroker(context, flags, async ({ client }) => {
    const execution = await client.get(id);
    return { executionId: execution.id, reply: await execution.signal(name, payload) };
  });
  if (flags.json === true) out.raw(`${JSON.stringify({ executionId, signal: name, ...reply }, null, 2)}\n`);
  else out.print(...sentence(out, outcomeOf(executionId, printable(name), reply)));
  return reply.accepted ? 0 : 1;
}

function outcomeOf(executionId: string, name: string, { accepted, released }: SignalReply): string {
  if (!accepted) return `Execution ${executionId} has signal ${name} already, with another payload, which stays.`;
  const effect =
    released === 0 ? "nothing waits for it now" : `${counted(released, "task")} go${released === 1 ? "es" : ""} on`;
  return `Execution ${executionId} has signal ${name}; ${effect}.`;
}
