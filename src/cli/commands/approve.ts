import { userInfo } from "node:os";
import type { Approval } from "../../sdk/workflow/node.ts";
import type { CommandHost } from "../context.ts";
import type { HoldfastCommand } from "../holdfast-command.ts";
import { settingOption } from "../options.ts";
import { giveSignal } from "./signal.ts";

interface ApproveFlags {
  readonly broker?: string;
  readonly refuse?: boolean;
  readonly comment?: string;
  readonly json?: boolean;
}

const HELP = `
An approval is answered once. A node that is refused fails.

Examples:
  holdfast approve k7m2 release
  holdfast approve k7m2 release --refuse --comment "not before Monday"`;

export function defineApprove(program: HoldfastCommand, host: CommandHost): void {
  program
    .command("approve")
    .argument("<id>", "The execution, or the beginning of its id.")
    .argument("<node>", "The node that waits for the approval, or the signal that the workflow names for it.")
    .description("Answers a workflow's node that waits for an approval.")
    .option("--refuse", "Does not approve: the node fails.")
    .option("--comment <text>", "Kept in the node's output.")
    .addOption(settingOption("broker", "address"))
    .option("--json", "Prints the answer as JSON.")
    .addHelpText("after", HELP)
    .action(async (id: string, node: string, flags: ApproveFlags) => {
      host.finish(await giveSignal(host.context, { id, name: node, payload: approvalOf(flags), flags }));
    });
}

function approvalOf({ refuse, comment }: ApproveFlags): Approval {
  return { approved: refuse !== true, by: userInfo().username, ...(comment === undefined ? {} : { comment }) };
}
