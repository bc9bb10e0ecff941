import { ALL_POOLS, type PoolView } from "../../broker/contract.ts";
import { MAX_POOL_WORKERS } from "../../broker/limits.ts";
import { HoldfastError } from "../../errors/index.ts";
import type { CliContext, CommandHost } from "../context.ts";
import { poolTable, sentence } from "../execution-lines.ts";
import type { HoldfastCommand } from "../holdfast-command.ts";
import { settingOption, wholeNumberOption } from "../options.ts";
import { count, counted } from "../terminal/figures.ts";
import { printable } from "../terminal/text-width.ts";
import { withBroker } from "../with-broker.ts";

interface PoolFlags {
  readonly broker?: string;
  readonly json?: boolean;
}

interface SteerFlags extends PoolFlags {
  readonly all?: boolean;
}

interface LimitFlags extends PoolFlags {
  readonly min?: number;
  readonly max?: number;
}

/** As the broker takes them. */
const LIMITS = { min: 0, max: MAX_POOL_WORKERS } as const;

const HELP = `
Examples:
  holdfast pools
  holdfast pools pause train
  holdfast pools resume --all
  holdfast pools limit train --min 1 --max 4`;

export function definePools(program: HoldfastCommand, host: CommandHost): void {
  const command = program
    .command("pools")
    .description("Lists the pools, lets nothing more of one start, lets it go on, or limits its workers.")
    .addHelpText("after", HELP);
  common(command.command("list", { isDefault: true }))
    .description("Lists the pools.")
    .action(async (flags: PoolFlags) => host.finish(await list(host.context, flags)));
  for (const [verb, about] of [
    ["pause", "Lets nothing more of a pool start; what runs now finishes."],
    ["resume", "Lets a pool go on."],
  ] as const) {
    common(command.command(verb))
      .argument("[pool]", "The pool.")
      .option("--all", "Every pool, those to come included.")
      .description(about)
      .action(async (pool: string | undefined, flags: SteerFlags) =>
        host.finish(await steer(host.context, { verb, pool, flags })),
      );
  }
  defineLimit(command.command("limit"), host);
}

function defineLimit(command: HoldfastCommand, host: CommandHost): void {
  common(command)
    .argument("<pool>", "The pool.")
    .option("--min <workers>", "Workers that it should have.", wholeNumberOption("--min", LIMITS))
    .option("--max <workers>", "The most that get its work; without it all do.", wholeNumberOption("--max", LIMITS))
    .description("Says how many workers a pool should have, and how many of them get its work.")
    .action(async (pool: string, flags: LimitFlags) => host.finish(await limit(host.context, pool, flags)));
}

function common(command: HoldfastCommand): HoldfastCommand {
  return command.addOption(settingOption("broker", "address")).option("--json", "Prints JSON.");
}

async function limit(context: CliContext, pool: string, flags: LimitFlags): Promise<number> {
  const { out } = context;
  const { min = 0, max } = flags;
  if (max !== undefined && max < min) {
    const expected = `at least --min, which is ${min}`;
    throw new HoldfastError("INVALID_OPTION", { option: "--max", value: String(max), expected });
  }
  const view = await withBroker(context, flags, ({ broker }) =>
    broker.limitPool({ pool, min, ...(max === undefined ? {} : { max }) }),
  );
  if (flags.json === true) out.raw(`${JSON.stringify(view, null, 2)}\n`);
  else out.print(...sentence(out, limited(view)));
  return 0;
}

function limited({ pool, sessions, standby, min, max }: PoolView): string {
  const workers = max === undefined ? "All workers" : max === 0 ? "No worker" : `At most ${counted(max, "worker")}`;
  const verb = max === undefined || max > 1 ? "get" : "gets";
  const reserve =
    standby === 0 ? "" : ` ${count(standby)} of ${count(sessions)} ${standby === 1 ? "stands" : "stand"} by.`;
  const least = min > sessions ? ` It has ${count(sessions)} of the ${count(min)} that it should have.` : "";
  return `${workers} of pool ${printable(pool)} ${verb} its work.${reserve}${least}`;
}

async function list(context: CliContext, flags: PoolFlags): Promise<number> {
  const { out } = context;
  const { pools } = await withBroker(context, flags, ({ broker }) => broker.listPools());
  if (flags.json === true) out.raw(`${JSON.stringify({ pools }, null, 2)}\n`);
  else if (pools.length === 0) out.print(...sentence(out, "There are no pools yet."));
  else out.print(...poolTable(out, pools));
  return 0;
}

interface Steered {
  readonly verb: "pause" | "resume";
  readonly pool: string | undefined;
  readonly flags: SteerFlags;
}

async function steer(context: CliContext, steered: Steered): Promise<number> {
  const { verb, flags } = steered;
  const { out } = context;
  const pool = poolOf(steered);
  const view: PoolView = await withBroker(context, flags, ({ broker }) =>
    verb === "pause" ? broker.pausePool({ pool }) : broker.resumePool({ pool }),
  );
  if (flags.json === true) out.raw(`${JSON.stringify(view, null, 2)}\n`);
  else out.print(...sentence(out, outcomeOf(view)));
  return 0;
}

function poolOf({ verb, pool, flags }: Steered): string {
  if ((pool === undefined) === (flags.all === true)) return pool ?? ALL_POOLS;
  throw new HoldfastError("INVALID_OPTION", {
    option: "POOL",
    value: pool === undefined ? "missing" : "given together with --all",
    expected: `holdfast pools ${verb} POOL, or --all for every pool`,
  });
}

function outcomeOf({ pool, paused }: PoolView): string {
  const one = pool === ALL_POOLS ? "All pools are" : `Pool ${printable(pool)} is`;
  return paused ? `${one} paused; what runs now finishes.` : `${one} open.`;
}
