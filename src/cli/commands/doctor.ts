import { displayAddress } from "../../app/display-address.ts";
import { type Check, examineBroker } from "../../app/examine-broker.ts";
import { type CliContext, type CommandHost, settingsOf } from "../context.ts";
import { signLines } from "../demo/demo-lines.ts";
import { sentence } from "../execution-lines.ts";
import type { HoldfastCommand } from "../holdfast-command.ts";
import { settingOption } from "../options.ts";
import { counted } from "../terminal/figures.ts";
import type { Screen } from "../terminal/screen.ts";
import { GIVE_UP_AFTER_MS, loggerOf } from "../with-broker.ts";

interface DoctorFlags {
  readonly broker?: string;
  readonly repair?: boolean;
  readonly json?: boolean;
}

const HELP = `
Looking changes nothing. --repair sets right what does not add up, beside running
workers.

Examples:
  holdfast doctor --broker redis://10.0.0.6:6379
  holdfast doctor --repair --json

Exits with 0 when there is no problem (or none is left), else with 1.`;

export function defineDoctor(program: HoldfastCommand, host: CommandHost): void {
  program
    .command("doctor")
    .description("Looks whether a Redis is fit to be the broker, and whether what lies in it adds up.")
    .addOption(settingOption("broker", "address"))
    .option("--repair", "Sets right what does not add up.")
    .option("--json", "Prints JSON.")
    .addHelpText("after", HELP)
    .action(async (flags: DoctorFlags) => host.finish(await doctor(host.context, flags)));
}

async function doctor(context: CliContext, flags: DoctorFlags): Promise<number> {
  const { out } = context;
  const settings = settingsOf(context, { broker: flags.broker });
  const checks = await examineBroker({
    settings,
    logger: loggerOf(context, settings),
    repair: flags.repair === true,
    giveUpAfterMs: GIVE_UP_AFTER_MS,
  });
  const broker = displayAddress(settings);
  const problems = checks.filter(({ verdict }) => verdict === "problem").length;
  if (flags.json === true) out.raw(`${JSON.stringify({ broker, problems, checks }, null, 2)}\n`);
  else {
    out.print(...sentence(out, `${broker}, namespace ${settings.namespace}`), "");
    out.print(...checks.flatMap((check) => checkLines(out, check)), "", ...sentence(out, summaryOf(checks, problems)));
  }
  return problems === 0 ? 0 : 1;
}

function checkLines(look: Pick<Screen, "terminal" | "theme">, { name, verdict, found, advice }: Check): string[] {
  const { theme } = look;
  const sign = {
    ok: theme.good(theme.signs.check),
    warning: theme.warning(theme.signs.bolt),
    problem: theme.bad(theme.signs.cross),
  }[verdict];
  const lines = signLines(look, sign, `${name}: ${found}`);
  return advice === undefined ? lines : [...lines, ...signLines(look, ` ${theme.faint(theme.signs.arrow)}`, advice)];
}

function summaryOf(checks: readonly Check[], problems: number): string {
  const warnings = checks.filter(({ verdict }) => verdict === "warning").length;
  if (problems > 0) return `${counted(problems, "problem")}, ${counted(warnings, "warning")}.`;
  return warnings > 0 ? `No problem, ${counted(warnings, "warning")}.` : "All is well.";
}
