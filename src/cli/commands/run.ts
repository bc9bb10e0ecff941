import path from "node:path";
import type { Definition, WorkerNeeds } from "../../sdk/definition.ts";
import type { Execution } from "../../sdk/execution.ts";
import type { CliContext, CommandHost } from "../context.ts";
import { sentence } from "../execution-lines.ts";
import type { HoldfastCommand } from "../holdfast-command.ts";
import { loadDefinition } from "../load-definition.ts";
import { type LocalCluster, openLocalCluster } from "../local-cluster.ts";
import { noWorkersOption, settingOption } from "../options.ts";
import { makeRunReport, outcomeLines, type RunReport } from "../run-report.ts";
import { counted } from "../terminal/figures.ts";
import { watchExecution } from "../watch-execution.ts";
import { reportingTo, requireWritable } from "../write-file.ts";

interface RunFlags {
  readonly broker?: string;
  readonly workers?: string | false;
  readonly concurrency?: string;
  readonly pools?: string;
  readonly capabilities?: string;
  readonly detach?: boolean;
  readonly json?: string;
}

const HELP = `
The file's default export is what runs: \`export default sweep(task, { over: … })\`,
or a function that returns one. TypeScript runs as it is.

Ctrl-C once: running chunks finish or are handed back, the execution stays in the
store; \`holdfast up\` goes on with it, \`holdfast cancel ID\` ends it. Ctrl-C twice:
the workers are killed at once; what was committed is kept all the same.

Examples:
  holdfast run sweep.ts
  holdfast run sweep.ts --workers 4 --concurrency 2 --json report.json
  holdfast run sweep.ts --broker http://10.0.0.5:7420 --detach

Exits with 0 when everything completed, with 1 when something failed for good.`;

export function defineRun(program: HoldfastCommand, host: CommandHost): void {
  program
    .command("run")
    .argument("<file>", "A module of yours, TypeScript or JavaScript.")
    .description("Runs a sweep or a batch on this machine and prints its answer.")
    .addOption(settingOption("workers", "count"))
    .addOption(noWorkersOption())
    .addOption(settingOption("concurrency", "count"))
    .addOption(settingOption("pools", "names"))
    .addOption(settingOption("capabilities", "names"))
    .addOption(settingOption("broker", "address"))
    .option("--detach", "Submits, prints the execution's id and leaves it to the workers that are there.")
    .option("--json <file>", "Writes a report to this file.")
    .addHelpText("after", HELP)
    .action(async (file: string, flags: RunFlags) => host.finish(await run(host.context, file, flags)));
}

async function run(context: CliContext, file: string, flags: RunFlags): Promise<number> {
  const reportFile = flags.json === undefined ? undefined : path.resolve(context.workingDirectory, flags.json);
  if (reportFile !== undefined) requireWritable("--json", reportFile);
  if (flags.detach === true) return submitOnly(context, await loadDefinition(file, context.workingDirectory), flags);
  const report = await reportingTo(reportFile, async () =>
    runDefinition(context, await loadDefinition(file, context.workingDirectory), flags),
  );
  return report.state === "completed" && report.counters.failed === 0 ? 0 : 1;
}

async function runDefinition(context: CliContext, definition: Definition, flags: RunFlags): Promise<RunReport> {
  const { workers, broker, concurrency, pools, capabilities } = flags;
  const cluster = await openLocalCluster(context, {
    broker,
    concurrency,
    pools,
    capabilities,
    ...(workers === false ? {} : { workers }),
  });
  let submitted: Execution | undefined;
  try {
    submitted = await cluster.client.submit(definition);
    const count = workers === false ? 0 : cluster.settings.workers;
    const waiting = waitingLine(definition.needs, cluster.settings, count);
    if (waiting !== undefined) context.err.print(...sentence(context.err, waiting));
    const report = await runHere(context, { cluster, execution: submitted, workers: count });
    context.out.print(...outcomeLines(context.out, report));
    return report;
  } finally {
    if (submitted !== undefined && context.interrupts.signal.aborted) tellInterrupted(context, submitted.id);
    await cluster.close();
  }
}

/** Why nothing will run here, if so: work that no local worker may take waits for one that may. */
export function waitingLine(
  { pool, requires }: WorkerNeeds,
  settings: { readonly pools: readonly string[]; readonly capabilities: readonly string[] },
  workers: number,
): string | undefined {
  if (workers === 0) return undefined;
  const lacking = requires.filter((capability) => !settings.capabilities.includes(capability));
  const servesPool = settings.pools.includes(pool);
  if (servesPool && lacking.length === 0) return undefined;
  const missing = [
    ...(servesPool ? [] : [`serves pool ${pool}`]),
    ...(lacking.length === 0 ? [] : [`offers ${lacking.join(", ")}`]),
  ];
  const flags = [
    ...(servesPool ? [] : [`--pools ${[...settings.pools, pool].join()}`]),
    ...(lacking.length === 0 ? [] : [`--capabilities ${[...settings.capabilities, ...lacking].join()}`]),
  ];
  return `It waits for a worker elsewhere: none here ${missing.join(" and ")}. If they may, add ${flags.join(" ")}.`;
}

async function submitOnly(context: CliContext, definition: Definition, flags: RunFlags): Promise<number> {
  const cluster = await openLocalCluster(context, { broker: flags.broker });
  try {
    const { id } = await cluster.client.submit(definition);
    context.out.print(id);
    return 0;
  } finally {
    await cluster.close();
  }
}

async function runHere(
  context: CliContext,
  run: { readonly cluster: LocalCluster; readonly execution: Execution; readonly workers: number },
): Promise<RunReport> {
  const { err, clock, interrupts } = context;
  const { cluster, execution, workers } = run;
  const { name, kind, counters } = await execution.status();
  const unit = kind === "sweep" ? "point" : "input";
  err.print(
    ...sentence(
      err,
      `${name}: ${counted(counters.total, unit)}, ${workers === 0 ? "no workers here" : counted(workers, "worker")}, execution ${execution.id}`,
    ),
  );
  if (workers > 0) cluster.startWorkers({ count: workers, replaceLost: true });
  await Promise.race([
    watchExecution(execution, { screen: err, clock, unit: `${unit}s`, signal: interrupts.signal }),
    cluster.workersGone,
  ]);
  return makeRunReport(execution);
}

function tellInterrupted(context: CliContext, id: string): void {
  const { err } = context;
  err.settle();
  err.print(
    ...sentence(
      err,
      `Stopping: what runs is finished or handed back. Go on with: holdfast up. End it with: holdfast cancel ${id}`,
    ),
  );
}
