import type { CommandHost } from "../context.ts";
import type { HoldfastCommand } from "../holdfast-command.ts";
import { defineControl, doneOf } from "./control.ts";

export function defineCancel(program: HoldfastCommand, host: CommandHost): void {
  const command = defineControl(program, host, {
    name: "cancel",
    about: "Ends an execution now; results that were committed stay.",
    outcome: (view) => `is cancelled (${doneOf(view)}).`,
    call: (execution, flags) => execution.cancel(flags.reason),
  });
  command.option("--reason <text>", "Kept with the execution.");
}
