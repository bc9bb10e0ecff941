import path from "node:path";
import { parseBrokerAddress, withoutSecrets } from "../../app/broker-address.ts";
import { HoldfastError } from "../../errors/index.ts";
import type { CliContext, CommandHost } from "../context.ts";
import {
  DEFAULT_DEMO_SEED,
  DEFAULT_DEMO_WORKERS,
  DEMO_MONITORS,
  DEMO_SCALES,
  type DemoMonitor,
  type DemoScale,
  MOST_DEMO_WORKERS,
  planDemo,
  SCALE_PLANS,
} from "../demo/demo-plan.ts";
import { runDemo } from "../demo/run-demo.ts";
import type { HoldfastCommand } from "../holdfast-command.ts";
import { defineDemoWorkflow } from "./demo-workflow.ts";
import { choiceOption, wholeNumberOption } from "../options.ts";
import { count } from "../terminal/figures.ts";
import { reportingTo, requireWritable } from "../write-file.ts";

interface DemoFlags {
  readonly scale: DemoScale;
  readonly workers: number;
  readonly faultDemo?: boolean;
  readonly static?: boolean;
  readonly monitor: DemoMonitor;
  readonly seed: number;
  readonly broker?: string;
  readonly skipCleanup?: boolean;
  readonly json?: string;
}

/** One worker to be killed and one to survive. */
const LEAST_WORKERS_FOR_FAULT = 2;
const MOST_SEED = 4_294_967_295;

const HELP = `
Scales:
${DEMO_SCALES.map((scale) => `  ${scale.padEnd(7)} ${count(SCALE_PLANS[scale].points)} points in ${count(SCALE_PLANS[scale].points / SCALE_PLANS[scale].chunkSize)} chunks`).join("\n")}

Examples:
  holdfast demo --scale small --fault-demo
  holdfast demo --scale medium --workers 4 --monitor cli
  holdfast demo --static          what a fixed split loses under the same kill
  holdfast demo --fault-demo --json report.json
  holdfast demo --fault-demo --broker redis://127.0.0.1:6379

Exits with 0 when every point was committed exactly once, equal to what one
process computes, and (in a fault demo) a take-over was seen; else with 1.`;

export function defineDemo(program: HoldfastCommand, host: CommandHost): void {
  const command = program
    .command("demo")
    .description("Tunes a classifier on real data with a real sweep, and proves the result.")
    // What follows `workflow` is for it, also what both understand: --broker.
    .enablePositionalOptions()
    .option(
      "--scale <scale>",
      `One of ${DEMO_SCALES.join(", ")}.`,
      choiceOption("--scale", DEMO_SCALES),
      "small" as const,
    )
    .option(
      "--workers <count>",
      "Worker processes.",
      wholeNumberOption("--workers", { min: 1, max: MOST_DEMO_WORKERS }),
      DEFAULT_DEMO_WORKERS,
    )
    .option("--fault-demo", "Kills worker 1 (SIGKILL) in the middle of a chunk, at 30%.")
    .option("--static", "The baseline instead: one fixed range per worker, worker 1 is killed, nobody takes over.")
    .option(
      "--monitor <monitor>",
      `One of ${DEMO_MONITORS.join(", ")}: cli shows what each worker does.`,
      choiceOption("--monitor", DEMO_MONITORS),
      "none" as const,
    )
    .option(
      "--seed <number>",
      "Of the points and of the folds.",
      wholeNumberOption("--seed", { min: 0, max: MOST_SEED }),
      DEFAULT_DEMO_SEED,
    )
    .option("--broker <address>", "A Redis to run on, in a namespace of its own. Default: a temporary folder.")
    .option("--skip-cleanup", "Leaves the demo's store in place and says where it is.")
    .option("--json <file>", "Writes the report to this file.")
    .addHelpText("after", HELP)
    .action(async (flags: DemoFlags) => host.finish(await demo(host.context, flags)));
  defineDemoWorkflow(command, host);
}

async function demo(context: CliContext, flags: DemoFlags): Promise<number> {
  const mode = flags.static === true ? "static" : "queue";
  const fault = flags.faultDemo === true || mode === "static";
  if (fault && flags.workers < LEAST_WORKERS_FOR_FAULT) {
    throw new HoldfastError("INVALID_OPTION", {
      option: "--workers",
      value: flags.workers,
      expected: `at least ${LEAST_WORKERS_FOR_FAULT}, so that somebody survives the kill`,
    });
  }
  const { broker } = flags;
  if (broker !== undefined) requireRedis(broker, mode);
  const file = flags.json === undefined ? undefined : path.resolve(context.workingDirectory, flags.json);
  if (file !== undefined) requireWritable("--json", file);
  const plan = planDemo({ scale: flags.scale, workers: flags.workers, fault, mode, seed: flags.seed });
  const report = await reportingTo(file, () =>
    runDemo({
      plan,
      context,
      monitor: flags.monitor,
      keepStore: flags.skipCleanup === true,
      ...(broker === undefined ? {} : { broker }),
    }),
  );
  return report.verdict === "failed" ? 1 : 0;
}

function requireRedis(broker: string, mode: "queue" | "static"): void {
  if (mode === "queue" && parseBrokerAddress(broker).kind === "redis") return;
  const expected =
    mode === "static"
      ? "not to be given with --static, which stores nothing"
      : "a Redis; without it the demo has a store of its own";
  throw new HoldfastError("INVALID_OPTION", { option: "--broker", value: withoutSecrets(broker), expected });
}
