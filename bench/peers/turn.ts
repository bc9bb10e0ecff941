/** One turn of one system on one server: its runs, and the figures they give. */
import { quantile } from "../statistics.ts";
import type { Figure } from "./rows.ts";
import { PAYLOAD_BYTES } from "./peer.ts";
import { type Run, runCycle, runEndToEnd, runLatency } from "./runs.ts";

const CYCLE_MEASURES = [
  "bulk-add",
  "process",
  "bytes-per-waiting-task",
  "bytes-per-finished-task",
  "redis-cpu-per-task",
];
const END_TO_END_MEASURES = ["end-to-end", "redis-cpu-per-task-end-to-end"];
const LATENCY_MEASURES = ["add-to-start-p50", "add-to-start-p99"];

export const PEER_MEASURES: readonly string[] = [...CYCLE_MEASURES, ...END_TO_END_MEASURES, ...LATENCY_MEASURES];

/** BullMQ leaves to its user how many tasks are under way; it is measured with each, and then with what served best. */
const CONCURRENCIES = [1, 50, 100] as const;
const BEST_NOTE = `the best of concurrency ${CONCURRENCIES.join(", ")} in each round`;
/** Of the tasks; enough to tell which concurrency is best. */
const TRIAL_SHARE = 0.05;
const LATENCY_SAMPLES = 300;

export async function takeTurn(run: Run, wanted: readonly string[]): Promise<Figure[]> {
  const isWanted = (measures: readonly string[]): boolean => measures.some((measure) => wanted.includes(measure));
  const figures: Figure[] = [];
  let best = run;
  if (run.peer.hasConcurrency && isWanted([...CYCLE_MEASURES, ...END_TO_END_MEASURES])) {
    const trials = await tryConcurrencies(run);
    figures.push(...trials.figures);
    best = { ...run, concurrency: trials.best };
  }
  if (isWanted(CYCLE_MEASURES)) figures.push(...(await cycle(best)));
  if (isWanted(END_TO_END_MEASURES)) figures.push(...(await endToEnd(best)));
  if (isWanted(LATENCY_MEASURES)) figures.push(...(await latency({ ...run, tasks: LATENCY_SAMPLES })));
  return figures.filter(({ measure }) => wanted.includes(measure));
}

async function tryConcurrencies(run: Run): Promise<{ readonly best: number; readonly figures: readonly Figure[] }> {
  const { system } = run.peer;
  const tasks = Math.ceil(run.tasks * TRIAL_SHARE);
  const note = `${tasks.toLocaleString("en-US")} tasks`;
  const figures: Figure[] = [];
  let best = { concurrency: 0, value: 0 };
  for (const concurrency of CONCURRENCIES) {
    const { processedPerSecond: value } = await runCycle({ ...run, concurrency, tasks });
    figures.push({ measure: "process", system: `${system}, concurrency ${concurrency}`, unit: "tasks/s", value, note });
    if (value > best.value) best = { concurrency, value };
  }
  return { best: best.concurrency, figures };
}

async function cycle(run: Run): Promise<Figure[]> {
  const { system } = run.peer;
  const figures = await runCycle(run);
  const note = concurrencyNote(run);
  return [
    { measure: "bulk-add", system, unit: "tasks/s", value: figures.addedPerSecond },
    { measure: "process", system, unit: "tasks/s", value: figures.processedPerSecond, ...note },
    { measure: "redis-cpu-per-task", system, unit: "µs", value: figures.processorUsPerTask, ...note },
    {
      measure: "bytes-per-waiting-task",
      system,
      unit: "bytes",
      value: figures.bytesPerWaitingTask,
      note: `beside its payload of ${PAYLOAD_BYTES}`,
    },
    {
      measure: "bytes-per-finished-task",
      system,
      unit: "bytes",
      value: figures.bytesPerFinishedTask,
      note: "all that is kept",
    },
  ];
}

async function endToEnd(run: Run): Promise<Figure[]> {
  const { system } = run.peer;
  const { tasksPerSecond, processorUsPerTask } = await runEndToEnd(run);
  const note = concurrencyNote(run);
  return [
    { measure: "end-to-end", system, unit: "tasks/s", value: tasksPerSecond, ...note },
    { measure: "redis-cpu-per-task-end-to-end", system, unit: "µs", value: processorUsPerTask, ...note },
  ];
}

async function latency(run: Run): Promise<Figure[]> {
  const { system } = run.peer;
  const latenciesMs = await runLatency(run);
  return [
    { measure: "add-to-start-p50", system, unit: "ms", value: quantile(latenciesMs, 0.5) },
    { measure: "add-to-start-p99", system, unit: "ms", value: quantile(latenciesMs, 0.99) },
  ];
}

function concurrencyNote({ peer }: Run): Pick<Figure, "note"> {
  return peer.hasConcurrency ? { note: BEST_NOTE } : {};
}
