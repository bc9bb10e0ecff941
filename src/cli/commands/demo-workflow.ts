import path from "node:path";
import { parseBrokerAddress, withoutSecrets } from "../../app/broker-address.ts";
import { HoldfastError } from "../../errors/index.ts";
import type { CliContext, CommandHost } from "../context.ts";
import type { HoldfastCommand } from "../holdfast-command.ts";
import type { WorkflowDemoFlags } from "../demo/workflow/run-workflow-demo.ts";

const DEFAULT_FOLDER = "holdfast-demo-results";

const HELP = `
Examples:
  holdfast demo workflow
  holdfast demo workflow --quick
  holdfast demo workflow --performance-mode --verbose --broker redis://127.0.0.1:6379
  holdfast demo workflow --validate-only

Writes demonstration.log, validation_results.json, demonstration_results.json, summary.json and
report.html (one file, made to be passed on). Exits with 0 when all that it is to show was seen:
eight phases, parallel tasks, shared work, no delivery lost, broken tasks taken over in time,
stable processes; else with 1.`;

export function defineDemoWorkflow(demo: HoldfastCommand, host: CommandHost): void {
  demo
    .command("workflow")
    .description("Runs software deliveries on four pools of workers, kills half of them, and proves the result.")
    .option("--output-dir <folder>", "Where the report goes.", DEFAULT_FOLDER)
    .option("--quick", "Fewer and shorter deliveries, and no measure of throughput.")
    .option("--performance-mode", "100 deliveries at the same time, and 100,000 tasks to measure throughput.")
    .option("--validate-only", "Only the validation that precedes the demonstration.")
    .option("--demo-only", "Only the demonstration.")
    .option("--verbose", "Shows every line of the log: each session, task and worker.")
    .option("--broker <address>", "A Redis to run on, in a namespace of its own. Default: a temporary folder.")
    .addHelpText("after", HELP)
    .action(async (flags: Omit<WorkflowDemoFlags, "outputDir"> & { readonly outputDir: string }) =>
      host.finish(await demoWorkflow(host.context, flags)),
    );
}

async function demoWorkflow(context: CliContext, flags: WorkflowDemoFlags): Promise<number> {
  refuseTogether(flags.quick, flags.performanceMode, ["--quick", "--performance-mode"]);
  refuseTogether(flags.validateOnly, flags.demoOnly, ["--validate-only", "--demo-only"]);
  const { broker } = flags;
  if (broker !== undefined && parseBrokerAddress(broker).kind !== "redis") {
    const expected = "a Redis; without it the demo has a store of its own";
    throw new HoldfastError("INVALID_OPTION", { option: "--broker", value: withoutSecrets(broker), expected });
  }
  const outputDir = path.resolve(context.workingDirectory, flags.outputDir);
  // With all that it brings along only when it is asked for.
  const { runWorkflowDemo } = await import("../demo/workflow/run-workflow-demo.ts");
  return (await runWorkflowDemo(context, { ...flags, outputDir })) ? 0 : 1;
}

function refuseTogether(
  one: boolean | undefined,
  other: boolean | undefined,
  [flag, otherFlag]: readonly [string, string],
): void {
  if (one !== true || other !== true) return;
  throw new HoldfastError("INVALID_OPTION", {
    option: flag,
    value: "given",
    expected: `not to be given with ${otherFlag}`,
  });
}
