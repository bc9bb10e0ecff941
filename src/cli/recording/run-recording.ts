/**
 * A recorded workflow (WfFormat), run as tasks that take the recorded time: on local slots, with
 * workers killed at random if asked; and what the run was like, as the broker's events tell it.
 */
import { FROM_NOW } from "../../broker/contract.ts";
import type { PublicBroker } from "../../broker/http/http-broker.ts";
import { MAX_PAGE } from "../../broker/limits.ts";
import { isExecutionEnded } from "../../core/states.ts";
import type { Definition } from "../../sdk/definition.ts";
import { definitionOfPlan } from "../../sdk/workflow/planned-definition.ts";
import { wfFormatFacts, wfFormatPlan } from "../../sdk/workflow/wf-format.ts";
import type { Clock } from "../../util/clock.ts";
import { orAborted } from "../../util/or-aborted.ts";
import type { CliContext } from "../context.ts";
import { WorkBook } from "../work-book.ts";
import { sentence } from "../execution-lines.ts";
import { type LocalCluster, openLocalCluster } from "../local-cluster.ts";
import { counted, duration } from "../terminal/figures.ts";
import { seededRandom } from "../seeded-random.ts";
import { ProgressDisplay } from "../terminal/progress-display.ts";
import type { Recording, RecordingOptions, RecordingOrder } from "./load-recording.ts";
import { makeRecordingReport, type RecordingReport } from "./recording-report.ts";

export { isClean, recordingLines } from "./recording-report.ts";

/**
 * One attempt per worker and none ahead: a task that a busy worker holds could run elsewhere. Kills are
 * on purpose; warnings about them would only run through the screen.
 */
const SETTINGS = { concurrency: 1, prefetch: 0, logLevel: "error", capabilities: ["cpu"] } as const;
const READ_WAIT_MS = 500;

export async function runRecording(context: CliContext, { instance, options }: Recording): Promise<RecordingReport> {
  const cluster = await openLocalCluster(context, { ...SETTINGS, workers: options.slots, broker: options.broker });
  try {
    const [pool = "default"] = cluster.settings.pools;
    cluster.startWorkers({ count: options.slots, replaceLost: true });
    await cluster.workersLive(options.slots, context.interrupts.signal);
    const plan = wfFormatPlan(instance, { timeScale: options.timeScale, pool, files: options.files });
    const definition = inOrder(definitionOfPlan(plan), options.order);
    const facts = wfFormatFacts(instance, options);
    const { cursor } = await cluster.broker.readEvents({ cursor: FROM_NOW, limit: 1 });
    const execution = await cluster.client.submit(definition);
    const about = `${instance.name}: ${counted(facts.nodes, "node")}, ${counted(options.slots, "slot")}, lower bound ${duration(facts.lowerBoundMs)}, execution ${execution.id}`;
    context.err.print(...sentence(context.err, about));
    const run = new RecordingRun({ context, cluster, executionId: execution.id, cursor, options, nodes: facts.nodes });
    const { book, kills } = await run.untilEnded();
    return await makeRecordingReport({
      broker: cluster.broker,
      executionId: execution.id,
      graph: instance.graph,
      ids: instance.ids,
      facts,
      options,
      book,
      kills,
    });
  } finally {
    await cluster.close({ hurry: context.interrupts.signal.aborted });
  }
}

/** First come, first served is what is left when nobody says what is urgent. */
function inOrder<D extends Definition>(definition: D, order: RecordingOrder): D {
  if (order === "critical-path") return definition;
  const prepare: Definition["prepare"] = async (options) => {
    const { submission, rest, reader } = await definition.prepare(options);
    return {
      submission: { ...submission, groups: submission.groups.map(withoutRanks) },
      rest: rest.map((groups) => groups.map(withoutRanks)),
      reader,
    };
  };
  return { ...definition, prepare };
}

type Group = Awaited<ReturnType<Definition["prepare"]>>["submission"]["groups"][number];

function withoutRanks(group: Group): Group {
  if (group.work.kind === "array") return group;
  const { ranks: _, ...work } = group.work;
  return { ...group, work };
}

interface RunParts {
  readonly context: CliContext;
  readonly cluster: LocalCluster;
  readonly executionId: string;
  readonly cursor: number;
  readonly options: RecordingOptions;
  readonly nodes: number;
}

class RecordingRun {
  readonly #parts: RunParts;
  readonly #book = new WorkBook();
  readonly #broker: PublicBroker;
  readonly #clock: Clock;
  readonly #random: () => number;
  #kills = 0;
  #cancelKill: (() => void) | undefined;

  constructor(parts: RunParts) {
    this.#parts = parts;
    this.#broker = parts.cluster.broker;
    this.#clock = parts.context.clock;
    // When kills come is another thing in every run.
    this.#random = seededRandom(this.#clock.now());
  }

  async untilEnded(): Promise<{ readonly book: WorkBook; readonly kills: number }> {
    const { context, cluster, executionId, nodes } = this.#parts;
    const startedAt = performance.now();
    const display = new ProgressDisplay(
      { screen: context.err, clock: this.#clock },
      {
        progress: () => ({
          done: this.#book.completedTasks,
          total: nodes,
          unit: "nodes",
          rateUnit: "nodes",
          elapsedMs: performance.now() - startedAt,
        }),
      },
    );
    this.#killLater();
    try {
      for (let { cursor } = this.#parts; ;) {
        const reading = this.#broker.readEvents({ cursor, executionId, limit: MAX_PAGE, waitMs: READ_WAIT_MS });
        const page = await orAborted(Promise.race([reading, cluster.workersGone]), context.interrupts.signal);
        ({ cursor } = page);
        for (const event of page.events) this.#book.apply(event);
        display.refresh();
        const state = this.#book.states.get(executionId);
        if (state !== undefined && isExecutionEnded(state)) return { book: this.#book, kills: this.#kills };
      }
    } finally {
      this.#cancelKill?.();
      display.stop();
    }
  }

  /** Times between kills are exponential: whenever one looks, the next is as far away. */
  #killLater(): void {
    const { killEveryMs, slots } = this.#parts.options;
    if (killEveryMs === undefined) return;
    const waitMs = -Math.log(1 - this.#random()) * killEveryMs;
    this.#cancelKill = this.#clock.schedule(waitMs, () => {
      if (this.#parts.cluster.killWorker(Math.floor(this.#random() * slots))) this.#kills += 1;
      this.#killLater();
    });
  }
}
