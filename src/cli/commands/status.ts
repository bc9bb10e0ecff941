import type { PoolView } from "../../broker/contract.ts";
import type { PublicBroker, WorkerSummary } from "../../broker/http/http-broker.ts";
import { isExecutionEnded } from "../../core/states.ts";
import type { CliContext, CommandHost } from "../context.ts";
import { factLines } from "../terminal/facts.ts";
import { executionFacts, executionTable, poolTable, section, sentence, workerTable } from "../execution-lines.ts";
import type { HoldfastCommand } from "../holdfast-command.ts";
import { settingOption } from "../options.ts";
import type { Client } from "../../sdk/client.ts";
import type { ExecutionStatus } from "../../sdk/progress.ts";
import { withBroker } from "../with-broker.ts";

/** Executions of the overview: those that are not over, and the last few that are. */
const ACTIVE_SHOWN = 20;
const ENDED_SHOWN = 5;
const SESSIONS_SHOWN = 100;

interface StatusFlags {
  readonly broker?: string;
  readonly json?: boolean;
}

interface Overview {
  readonly executions: readonly ExecutionStatus[];
  readonly workers: readonly WorkerSummary[];
  readonly pools: readonly PoolView[];
}

interface Detail {
  readonly execution: ExecutionStatus;
  readonly workers: readonly WorkerSummary[];
}

export function defineStatus(program: HoldfastCommand, host: CommandHost): void {
  program
    .command("status")
    .argument("[id]", "An execution, or the beginning of its id. Without it: an overview.")
    .description("Shows what runs: executions, workers and pools, or one execution.")
    .addOption(settingOption("broker", "address"))
    .option("--json", "Prints JSON.")
    .addHelpText("after", "\nExamples:\n  holdfast status\n  holdfast status k7m2\n  holdfast status --json")
    .action(async (id: string | undefined, flags: StatusFlags) =>
      host.finish(id === undefined ? await overview(host.context, flags) : await detail(host.context, id, flags)),
    );
}

async function overview(context: CliContext, flags: StatusFlags): Promise<number> {
  const { out } = context;
  const seen = await withBroker(context, flags, ({ client, broker }) => look(client, broker));
  if (flags.json === true) out.raw(`${JSON.stringify(seen, null, 2)}\n`);
  else out.print(...overviewLines(context, seen));
  return 0;
}

async function look(client: Client, broker: PublicBroker): Promise<Overview> {
  const [active, ended, sessions, pools] = await Promise.all([
    client.list({ states: ["running", "paused", "pending"], limit: ACTIVE_SHOWN }),
    client.list({ states: ["completed", "failed", "cancelled"], limit: ENDED_SHOWN }),
    liveSessions(broker),
    broker.listPools(),
  ]);
  return { executions: [...active.executions, ...ended.executions], workers: sessions, pools: pools.pools };
}

async function liveSessions(broker: PublicBroker): Promise<readonly WorkerSummary[]> {
  return (await broker.listSessions({ limit: SESSIONS_SHOWN, live: true })).sessions;
}

function overviewLines({ out, clock }: CliContext, seen: Overview): string[] {
  const now = clock.now();
  const nothing = (text: string): string[] => sentence(out, text).map(out.theme.faint);
  return [
    ...section(
      out,
      "Executions",
      seen.executions.length > 0
        ? executionTable(out, seen.executions, now)
        : nothing("none yet; start one with: holdfast run FILE"),
    ),
    "",
    ...section(
      out,
      "Workers",
      seen.workers.length > 0 ? workerTable(out, seen.workers, now) : nothing("none; start some with: holdfast up"),
    ),
    ...(seen.pools.length > 0 ? ["", ...section(out, "Pools", poolTable(out, seen.pools))] : []),
  ];
}

async function detail(context: CliContext, id: string, flags: StatusFlags): Promise<number> {
  const { out } = context;
  const seen = await withBroker(context, flags, async ({ client, broker }): Promise<Detail> => {
    const found = await client.get(id);
    const [execution, workers] = await Promise.all([found.status(), liveSessions(broker)]);
    return { execution, workers };
  });
  if (flags.json === true) {
    out.raw(`${JSON.stringify(seen, null, 2)}\n`);
    return 0;
  }
  const now = context.clock.now();
  out.print(...factLines(out, executionFacts(seen.execution, now)));
  if (!isExecutionEnded(seen.execution.state) && seen.workers.length > 0) {
    out.print("", ...section(out, "Workers", workerTable(out, seen.workers, now)));
  }
  return 0;
}
