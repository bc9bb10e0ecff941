/** `holdfast demo workflow`: store, validation, demonstration, report files; and everything put away again. */
import path from "node:path";
import { HoldfastError } from "../../../errors/index.ts";
import type { CliContext } from "../../context.ts";
import { openLocalCluster } from "../../local-cluster.ts";
import { duration } from "../../terminal/figures.ts";
import { packageVersion } from "../../version.ts";
import { bannerLines, checkLines } from "../demo-lines.ts";
import { folderStore, redisStore } from "../demo-store.ts";
import { checkReportLines, failedCheckLines, planLines } from "./demo-lines.ts";
import { FILES, OutputFolder } from "./output-folder.ts";
import { planWorkflowDemo } from "./plan.ts";
import type { ValidationReport } from "./report.ts";
import { validate } from "./validation.ts";
import { demonstrate, printVerdict, type WorkflowDemoParams } from "./workflow-demo.ts";

export interface WorkflowDemoFlags {
  readonly outputDir: string;
  readonly quick?: boolean;
  readonly performanceMode?: boolean;
  readonly validateOnly?: boolean;
  readonly demoOnly?: boolean;
  readonly verbose?: boolean;
  readonly broker?: string;
}

/**
 * One attempt at a time and none ahead, so that a leased task is a running task and recovery is measured to
 * the moment when work goes on. The kills are on purpose; warnings about them would only run through the screen.
 */
const DEMO_SETTINGS = { concurrency: 1, prefetch: 0, logLevel: "error", capabilities: ["cpu"] } as const;

/** Whether everything was as it should be. */
export async function runWorkflowDemo(context: CliContext, flags: WorkflowDemoFlags): Promise<boolean> {
  const { out } = context;
  const startedAt = performance.now();
  const plan = planWorkflowDemo(
    flags.performanceMode === true ? "performance" : flags.quick === true ? "quick" : "standard",
  );
  const output = new OutputFolder(flags.outputDir, {
    now: () => performance.now() - startedAt,
    ...(flags.verbose === true ? { echo: (line) => out.print(out.theme.faint(line)) } : {}),
  });
  out.print(...bannerLines(out, packageVersion(), "workflows that outlive their workers"));
  const store = flags.broker === undefined ? await folderStore() : redisStore(context, flags.broker);
  out.print(...planLines(out, plan, store.about));
  try {
    const cluster = await openLocalCluster(context, { ...DEMO_SETTINGS, ...store.flags });
    try {
      const broker = cluster.store;
      if (broker === undefined) throw new HoldfastError("INTERNAL", { problem: "the demo's store has no broker" });
      const params = { context, plan, cluster, broker, address: cluster.settings.broker, output };
      const isGood = await validateAndDemonstrate(params, flags);
      const took = duration(performance.now() - startedAt);
      out.print("", ...checkLines(out, `Report after ${took}: ${reportPath(context, output, flags)}`));
      return isGood;
    } finally {
      await cluster.close({ hurry: context.interrupts.signal.aborted });
    }
  } catch (thrown) {
    output.log(`broken off: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
    throw thrown;
  } finally {
    out.settle();
    await store.remove();
    if (context.interrupts.signal.aborted) out.print("Stopped.");
  }
}

async function validateAndDemonstrate(params: WorkflowDemoParams, flags: WorkflowDemoFlags): Promise<boolean> {
  const { context, output } = params;
  const validation = flags.demoOnly === true ? undefined : await validateFirst(params);
  if (flags.validateOnly === true) return validation?.ok ?? true;
  if (validation?.ok === false) context.out.print(...failedCheckLines(context.out, validation));
  const report = await demonstrate(params);
  await output.writeDemonstration(report, validation);
  for (const { name, met, detail } of report.criteria) output.logShown(`${met ? "met" : "MISSED"}: ${name}: ${detail}`);
  printVerdict(context, report);
  return report.verdict === "passed";
}

async function validateFirst({
  context,
  plan,
  broker,
  cluster,
  address,
  output,
}: WorkflowDemoParams): Promise<ValidationReport> {
  const { out } = context;
  out.print("", out.theme.title("Validation"));
  const validation = await validate({
    plan,
    broker,
    client: cluster.client,
    address,
    settings: cluster.settings,
    logFile: output.file("workerLog"),
    clock: context.clock,
    signal: context.interrupts.signal,
    onCheck: (check) => {
      output.logShown(`check ${check.ok ? "passed" : "FAILED"}: ${check.name}: ${check.detail}`);
      out.print(...checkReportLines(out, check));
    },
  });
  await output.writeValidation(validation);
  return validation;
}

function reportPath(context: CliContext, output: OutputFolder, flags: WorkflowDemoFlags): string {
  const file = flags.validateOnly === true ? FILES.validation : FILES.html;
  return path.relative(context.workingDirectory, path.join(output.path, file));
}
