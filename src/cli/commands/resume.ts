import type { CommandHost } from "../context.ts";
import type { HoldfastCommand } from "../holdfast-command.ts";
import { defineControl, doneOf } from "./control.ts";

export function defineResume(program: HoldfastCommand, host: CommandHost): void {
  defineControl(program, host, {
    name: "resume",
    about: "Lets a paused execution go on.",
    outcome: (view) => `goes on (${doneOf(view)}).`,
    call: (execution) => execution.resume(),
  });
}
