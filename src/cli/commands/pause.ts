import type { CommandHost } from "../context.ts";
import type { HoldfastCommand } from "../holdfast-command.ts";
import { defineControl, doneOf } from "./control.ts";

export function definePause(program: HoldfastCommand, host: CommandHost): void {
  defineControl(program, host, {
    name: "pause",
    about: "Lets nothing more of an execution start; what runs now finishes.",
    outcome: (view) => `is paused (${doneOf(view)}). Go on with: holdfast resume ${view.executionId}`,
    call: (execution) => execution.pause(),
  });
}
