import type { Broker } from "../../broker/contract.ts";
import type { HttpLink } from "../../broker/http/http-link.ts";
import type { Reason, Why } from "../../core/why.ts";
import { HoldfastError } from "../../errors/index.ts";
import type { Explained, ExplainParts, Survey } from "../../server/explain.ts";
import { Throughput } from "../../server/throughput.ts";
import { silentLogger } from "../../telemetry/log.ts";
import { sleep } from "../../util/clock.ts";
import type { CliContext, CommandHost } from "../context.ts";
import { sentence } from "../execution-lines.ts";
import type { HoldfastCommand } from "../holdfast-command.ts";
import { settingOption } from "../options.ts";
import { toTask } from "../to-task.ts";
import { factLines } from "../terminal/facts.ts";
import { count, counted } from "../terminal/figures.ts";
import type { Screen } from "../terminal/screen.ts";
import { printable } from "../terminal/text-width.ts";
import { withBroker } from "../with-broker.ts";

/** Between the two looks from which the speed of a pool is measured. */
const MEASURE_MS = 1_000;

interface WhyFlags {
  readonly broker?: string;
  readonly json?: boolean;
}

interface Asked {
  readonly id: string;
  /** A number, or the id of a node. */
  readonly task: string | undefined;
  readonly flags: WhyFlags;
}

export function defineWhy(program: HoldfastCommand, host: CommandHost): void {
  program
    .command("why")
    .argument("<execution>", "The execution, or the beginning of its id.")
    .argument(
      "[task]",
      "Number of one of its tasks, or the id of a node of its workflow. Without it: all that do not run, by reason.",
    )
    .description("Says why a task does not run, and what would have it start.")
    .addOption(settingOption("broker", "address"))
    .option("--json", "Prints JSON.")
    .addHelpText("after", "\nExamples:\n  holdfast why k7m2\n  holdfast why k7m2 3\n  holdfast why k7m2 deploy")
    .action(async (id: string, task: string | undefined, flags: WhyFlags) =>
      host.finish(await tellWhy(host.context, { id, task, flags })),
    );
}

async function tellWhy(context: CliContext, { id, task: asked, flags }: Asked): Promise<number> {
  const { out } = context;
  const found = await withBroker(context, flags, async ({ broker, client, link, store }) => {
    const { id: executionId } = await client.get(id);
    const task = asked === undefined ? undefined : await toTask({ broker, executionId }, asked);
    if (link !== undefined) return askServer(link, executionId, task);
    if (store === undefined)
      throw new HoldfastError("INTERNAL", { problem: "neither a store nor a server was opened" });
    if (task !== undefined) return explain(context, store, { executionId, task });
    const { surveyExecution } = await import("../../server/explain.ts");
    return surveyExecution(partsOf(context, store), executionId);
  });
  if (flags.json === true) out.raw(`${JSON.stringify(found, null, 2)}\n`);
  else out.print(...("why" in found ? taskLines(out, found.why) : surveyLines(out, found)));
  return 0;
}

/** A server measures how fast its pools are all the time. */
async function askServer(link: HttpLink, executionId: string, task: number | undefined): Promise<Explained | Survey> {
  const { WHY_OPERATIONS } = await import("../../api/operations/why.ts");
  return task === undefined
    ? link.call(WHY_OPERATIONS.explainExecution, { params: { executionId } })
    : link.call(WHY_OPERATIONS.explainTask, { params: { executionId, task: String(task) } });
}

function partsOf(context: CliContext, broker: Broker, throughput?: Throughput): ExplainParts {
  return { broker, clock: context.clock, rate: (pool) => throughput?.rate(pool) };
}

/** Whoever stands in line hears how long that takes, if work ends while we look. */
async function explain(
  context: CliContext,
  broker: Broker,
  { executionId, task }: { readonly executionId: string; readonly task: number },
): Promise<Explained> {
  const { explainTask } = await import("../../server/explain.ts");
  const first = await explainTask(partsOf(context, broker), executionId, task);
  if (first.why.code !== "slots-busy" && first.why.code !== "in-line") return first;
  const { clock, interrupts } = context;
  const throughput = new Throughput({ broker, clock, logger: silentLogger, closing: interrupts.signal });
  await throughput.look();
  await sleep(clock, MEASURE_MS, interrupts.signal);
  await throughput.look();
  return explainTask(partsOf(context, broker, throughput), executionId, task);
}

function taskLines(out: Screen, why: Why): string[] {
  return [
    ...reasonLines(out, why),
    ...why.also.flatMap((reason) => ["", out.theme.faint("Also:"), ...reasonLines(out, reason)]),
  ];
}

function reasonLines(out: Screen, { sentence: text, startsWhen }: Reason): string[] {
  return [...sentence(out, printable(text)), ...sentence(out, printable(startsWhen)).map(out.theme.faint)];
}

function surveyLines(out: Screen, { executionId, state, looked, more, reasons }: Survey): string[] {
  if (reasons.length === 0) return sentence(out, `Execution ${executionId} is ${state}; none of its tasks waits.`);
  const heading = `${counted(looked, "task")} of execution ${executionId} (${state})${more ? ", and more like them," : ""} ${looked === 1 && !more ? "does" : "do"} not run:`;
  return [
    ...sentence(out, heading),
    ...reasons.flatMap(({ tasks, examples, why }) => [
      "",
      out.theme.strong(
        `${counted(tasks, "task")} (${examples.map(count).join(", ")}${tasks > examples.length ? " …" : ""})`,
      ),
      ...taskFacts(out, why),
    ]),
  ];
}

function taskFacts(out: Screen, why: Why): string[] {
  const facts: [string, string][] = [
    ["Why", printable(why.sentence)],
    ["Then", printable(why.startsWhen)],
    ...why.also.map((reason): [string, string] => ["Also", printable(reason.sentence)]),
  ];
  return factLines(out, facts);
}
