import path from "node:path";
import type { Definition, WorkerNeeds } from "../../sdk/definition.ts";
import type { Execution } from "../../sdk/execution.ts";
import { type CliContext, type CommandHost, settingsOf } from "../context.ts";
import { sentence } from "../execution-lines.ts";
import type { HoldfastCommand } from "../holdfast-command.ts";
import { loadRunnable } from "../load-definition.ts";
import { type LocalCluster, openLocalCluster } from "../local-cluster.ts";
import { choiceOption, noWorkersOption, numberOption, settingOption, wholeNumberOption } from "../options.ts";
import {
  DEFAULT_SLOTS,
  loadRecording,
  MOST_SLOTS,
  type Recording,
  RECORDING_ORDERS,
  type RecordingFlags,
} from "../recording/load-recording.ts";
import { isClean, makeRunReport, outcomeLines, type RunReport, unitOf } from "../run-report.ts";
import { counted } from "../terminal/figures.ts";
import { watchExecution } from "../watch-execution.ts";
import { watchWorkflow } from "../watch-workflow.ts";
import { reportingTo, requireWritable } from "../write-file.ts";

interface RunFlags extends RecordingFlags {
  readonly workers?: string | false;
  readonly concurrency?: string;
  readonly pools?: string;
  readonly capabilities?: string;
  readonly json?: string;
  readonly input?: string;
}

const HELP = `
A module's default export is what runs: \`export default sweep(task, { over: … })\`,
\`export default defineWorkflow(…)\`, or a function that returns one. TypeScript runs
as it is. A YAML or JSON file is a workflow; \`holdfast validate FILE\` shows its plan.

Ctrl-C once: running chunks finish or are handed back, the execution stays in the
store; \`holdfast up\` goes on with it, \`holdfast cancel ID\` ends it. Ctrl-C twice:
the workers are killed at once; what was committed is kept all the same.

Examples:
  holdfast run sweep.ts
  holdfast run sweep.ts --workers 4 --concurrency 2 --json report.json
  holdfast run sweep.ts --broker http://10.0.0.5:7420 --detach
  holdfast run release.yaml --input '{"version": "1.4.0"}'
  holdfast run montage.json --time-scale 0.01 --slots 8 --kill-every 500

Exits with 0 when everything completed, with 1 when something failed for good. Of
a workflow some nodes may be meant to go on without: then it has completed, too.`;

export function defineRun(program: HoldfastCommand, host: CommandHost): void {
  program
    .command("run")
    .argument("<file>", "A module of yours, TypeScript or JavaScript; or a workflow in YAML or JSON.")
    .description("Runs a sweep, a batch or a workflow on this machine and prints its answer.")
    .addOption(settingOption("workers", "count"))
    .addOption(noWorkersOption())
    .addOption(settingOption("concurrency", "count"))
    .addOption(settingOption("pools", "names"))
    .addOption(settingOption("capabilities", "names"))
    .addOption(settingOption("broker", "address"))
    .option("--detach", "Submits, prints the execution's id and leaves it to the workers that are there.")
    .option("--json <file>", "Writes a report to this file.")
    .option("--input <json>", "The workflow's input: JSON, or @FILE with JSON in it.")
    .option(
      "--time-scale <factor>",
      "Of a recorded workflow (WfFormat): 0.001 takes a thousandth of the time. Default: 1.",
      numberOption("--time-scale", { above: 0, max: 1_000 }),
    )
    .option(
      "--slots <count>",
      `Of a recorded workflow: tasks at the same time, each on a worker of its own. Default: ${DEFAULT_SLOTS}.`,
      wholeNumberOption("--slots", { min: 1, max: MOST_SLOTS }),
    )
    .option(
      "--kill-every <ms>",
      "Of a recorded workflow: kills a random worker at this mean interval.",
      wholeNumberOption("--kill-every", { min: 1, max: 86_400_000 }),
    )
    .option(
      "--order <order>",
      `Of a recorded workflow: ${RECORDING_ORDERS.join(" (the default) or ")}, to compare.`,
      choiceOption("--order", RECORDING_ORDERS),
    )
    .option("--files", "Of a recorded workflow: results as large as the recorded files, to 64 KiB.")
    .addHelpText("after", HELP)
    .action(async (file: string, flags: RunFlags) => host.finish(await run(host.context, file, flags)));
}

async function run(context: CliContext, file: string, flags: RunFlags): Promise<number> {
  const reportFile = flags.json === undefined ? undefined : path.resolve(context.workingDirectory, flags.json);
  if (reportFile !== undefined) requireWritable("--json", reportFile);
  const recording = await loadRecording(context, file, flags);
  if (recording !== undefined) return replay(context, recording, reportFile);
  const load = (): Promise<Definition> =>
    loadRunnable(file, { workingDirectory: context.workingDirectory, input: flags.input });
  if (flags.detach === true) return submitOnly(context, await load(), flags);
  const report = await reportingTo(reportFile, async () => runDefinition(context, await load(), flags));
  return isClean(report) ? 0 : 1;
}

async function replay(context: CliContext, recording: Recording, reportFile: string | undefined): Promise<number> {
  const { isClean: wentWell, recordingLines, runRecording } = await import("../recording/run-recording.ts");
  const report = await reportingTo(reportFile, () => runRecording(context, recording));
  context.out.print(...recordingLines(context.out, report));
  return wentWell(report) ? 0 : 1;
}

async function runDefinition(context: CliContext, definition: Definition, flags: RunFlags): Promise<RunReport> {
  const { workers, broker, concurrency } = flags;
  const cluster = await openLocalCluster(context, {
    broker,
    concurrency,
    ...servedHere(context, definition, flags),
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

/** Pools and capabilities of the workers here: those of the settings, and of a workflow all that it needs, unless the flags say which. */
function servedHere(
  context: CliContext,
  { kind, needs }: Definition,
  { pools, capabilities }: RunFlags,
): { readonly pools: string | undefined; readonly capabilities: string | undefined } {
  if (kind !== "workflow") return { pools, capabilities };
  const settings = settingsOf(context, { pools, capabilities });
  const all = (own: readonly string[], more: readonly string[]): string => [...new Set([...own, ...more])].join();
  return {
    pools:
      pools ??
      all(
        settings.pools,
        needs.map(({ pool }) => pool),
      ),
    capabilities:
      capabilities ??
      all(
        settings.capabilities,
        needs.flatMap(({ requires }) => requires),
      ),
  };
}

/** Why nothing, or not all, will run here, if so: work that no local worker may take waits for one that may. */
export function waitingLine(
  needs: readonly WorkerNeeds[],
  settings: { readonly pools: readonly string[]; readonly capabilities: readonly string[] },
  workers: number,
): string | undefined {
  if (workers === 0) return undefined;
  const lacking = [...new Set(needs.flatMap(({ requires }) => requires))].filter(
    (capability) => !settings.capabilities.includes(capability),
  );
  const unserved = [...new Set(needs.map(({ pool }) => pool))].filter((pool) => !settings.pools.includes(pool));
  if (unserved.length === 0 && lacking.length === 0) return undefined;
  const missing = [
    ...(unserved.length === 0 ? [] : [`serves pool ${unserved.join(", ")}`]),
    ...(lacking.length === 0 ? [] : [`offers ${lacking.join(", ")}`]),
  ];
  const flags = [
    ...(unserved.length === 0 ? [] : [`--pools ${[...settings.pools, ...unserved].join()}`]),
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
  const unit = unitOf(kind);
  err.print(
    ...sentence(
      err,
      `${name}: ${counted(counters.total, unit)}, ${workers === 0 ? "no workers here" : counted(workers, "worker")}, execution ${execution.id}`,
    ),
  );
  if (workers > 0) cluster.startWorkers({ count: workers, replaceLost: true });
  const watching = { screen: err, clock, unit: `${unit}s`, signal: interrupts.signal };
  const watched = kind === "workflow" ? watchWorkflow(execution, watching) : watchExecution(execution, watching);
  await Promise.race([watched, cluster.workersGone]);
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
