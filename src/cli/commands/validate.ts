import type { Definition } from "../../sdk/definition.ts";
import { forecast, type Forecast } from "../../sdk/workflow/forecast.ts";
import type { WorkflowPlan } from "../../sdk/workflow/plan.ts";
import { HoldfastError } from "../../errors/index.ts";
import type { CliContext, CommandHost } from "../context.ts";
import type { HoldfastCommand } from "../holdfast-command.ts";
import { loadRunnable } from "../load-definition.ts";
import { planLines } from "../plan-lines.ts";

interface ValidateFlags {
  readonly slots?: string;
  readonly input?: string;
  readonly json?: boolean;
}

const HELP = `
Nothing is run or stored, and no broker is needed. Durations are the estimates of
the nodes; where there is none, a second.

Examples:
  holdfast validate release.yaml
  holdfast validate release.ts --slots backend=4,qa=2
  holdfast validate montage.json --slots 8 --json

Exits with 0 when it can be submitted, with 2 when something is wrong with it.`;

export function defineValidate(program: HoldfastCommand, host: CommandHost): void {
  program
    .command("validate")
    .argument("<file>", "A workflow: a module, a YAML or JSON file, or a recorded one (WfFormat).")
    .description("Checks a workflow and prints its plan: levels, critical path, pools, how long it may take.")
    .option("--slots <number|pool=number,…>", "Nodes that run at the same time. Default: any number.")
    .option("--input <json>", "The workflow's input: JSON, or @FILE with JSON in it.")
    .option("--json", "Prints the plan as JSON.")
    .addHelpText("after", HELP)
    .action(async (file: string, flags: ValidateFlags) => host.finish(await validate(host.context, file, flags)));
}

async function validate(context: CliContext, file: string, flags: ValidateFlags): Promise<number> {
  const slots = flags.slots === undefined ? undefined : parseSlots(flags.slots);
  const { workingDirectory, out } = context;
  const definition = await loadRunnable(file, { workingDirectory, input: flags.input });
  const planned = forecast(await planOf(definition, file), { slots });
  if (flags.json === true) out.raw(`${JSON.stringify(asJson(planned), null, 2)}\n`);
  else out.print(...planLines(out, planned));
  return 0;
}

async function planOf(definition: Definition, file: string): Promise<WorkflowPlan> {
  if ("plan" in definition) return (definition as Definition & { plan(): Promise<WorkflowPlan> }).plan();
  const problem = `it has a ${definition.kind}; \`holdfast run\` takes those`;
  throw new HoldfastError("INVALID_FILE", { file, problem });
}

/** JSON has no infinity: a pool without slots never ends. */
function asJson({ lowerBoundMs, makespanMs, ...planned }: Forecast): unknown {
  const finite = (ms: number): number | null => (Number.isFinite(ms) ? ms : null);
  return { ...planned, lowerBoundMs: finite(lowerBoundMs), makespanMs: finite(makespanMs) };
}

/** `8`, or `backend=4,qa=2`. Errors: INVALID_OPTION. */
export function parseSlots(text: string): number | ReadonlyMap<string, number> {
  if (/^\s*\d+\s*$/.test(text)) return atLeastOne(Number(text), text);
  const pools = text.split(",").map((part) => {
    const at = part.lastIndexOf("=");
    const [pool, number] = [part.slice(0, at).trim(), part.slice(at + 1).trim()];
    if (at < 1 || pool === "" || !/^\d+$/.test(number)) throw refused(text);
    return [pool, atLeastOne(Number(number), text)] as const;
  });
  return new Map(pools);
}

function atLeastOne(slots: number, text: string): number {
  if (slots >= 1 && Number.isSafeInteger(slots)) return slots;
  throw refused(text);
}

function refused(text: string): HoldfastError {
  const expected = "a number from 1, or numbers by pool such as backend=4,qa=2";
  return new HoldfastError("INVALID_OPTION", { option: "--slots", value: text, expected });
}
