/**
 * Recorded workflows of our own making, in WfFormat 1.5: small ones of the shapes that public
 * recordings have. Made from seeds; `test/fixtures/wf-format/write.ts` writes them as files.
 */
import { seededRandom } from "./seeded-random.ts";

export interface MadeTask {
  readonly id: string;
  readonly after: readonly string[];
  readonly seconds: number;
  readonly outputBytes: number;
}

/** By file name, without `.json`. */
export const WF_INSTANCES: Readonly<Record<string, () => unknown>> = {
  chain: () => wfInstance("chain", chain(1)),
  "fork-join": () => wfInstance("fork-join", forkJoin(2)),
  "montage-like": () => wfInstance("montage-like", montageLike(3)),
  lopsided: () => wfInstance("lopsided", lopsided(4)),
};

/** What a recording of these tasks would be. Every task writes one file, and reads those of its parents. */
export function wfInstance(name: string, tasks: readonly MadeTask[]): unknown {
  const childrenOf = (id: string): string[] => tasks.filter(({ after }) => after.includes(id)).map((task) => task.id);
  const workS = tasks.reduce((sum, { seconds }) => sum + seconds, 0);
  return {
    name,
    description: "Made by test/support/wf-instances.ts",
    createdAt: "2026-01-01T00:00:00Z",
    schemaVersion: "1.5",
    workflow: {
      specification: {
        tasks: tasks.map(({ id, after }) => ({
          name: id,
          id,
          parents: after,
          children: childrenOf(id),
          inputFiles: after.map((parent) => `${parent}.out`),
          outputFiles: [`${id}.out`],
        })),
        files: tasks.map(({ id, outputBytes }) => ({ id: `${id}.out`, sizeInBytes: outputBytes })),
      },
      execution: {
        makespanInSeconds: round(workS),
        executedAt: "2026-01-01T00:00:00Z",
        tasks: tasks.map(({ id, seconds }) => ({
          id,
          runtimeInSeconds: seconds,
          command: { program: id.replace(/[-\d]*$/, ""), arguments: [] },
          machines: ["one"],
        })),
        machines: [{ nodeName: "one", cpu: { coreCount: 1 } }],
      },
    },
  };
}

function chain(seed: number): readonly MadeTask[] {
  const draw = drawing(seed);
  return Array.from({ length: 6 }, (_, at) => draw(`step-${at}`, at === 0 ? [] : [`step-${at - 1}`], [1, 4]));
}

function forkJoin(seed: number): readonly MadeTask[] {
  const draw = drawing(seed);
  const branches = Array.from({ length: 12 }, (_, at) => draw(`branch-${at}`, ["fork"], [8, 12]));
  return [draw("fork", [], [1, 2]), ...branches, draw("join", idsOf(branches), [2, 3])];
}

/** Projections, differences of neighbours, one model of all, corrections, a mosaic. */
function montageLike(seed: number): readonly MadeTask[] {
  const draw = drawing(seed);
  const projects = Array.from({ length: 8 }, (_, at) => draw(`project-${at}`, [], [14, 19]));
  const diffs = Array.from({ length: 7 }, (_, at) =>
    draw(`diff-${at}`, [`project-${at}`, `project-${at + 1}`], [0.1, 1]),
  );
  const concat = draw("concat", idsOf(diffs), [0.1, 0.3]);
  const model = draw("model", ["concat"], [0.6, 0.9]);
  const backgrounds = Array.from({ length: 8 }, (_, at) =>
    draw(`background-${at}`, [`project-${at}`, "model"], [0.3, 0.6]),
  );
  const table = draw("table", idsOf(backgrounds), [0.1, 0.3]);
  return [...projects, ...diffs, concat, model, ...backgrounds, table, draw("mosaic", ["table"], [2, 3])];
}

/** Many short branches, ready first, and a long one that is ready last: first come first served starts it last. */
function lopsided(seed: number): readonly MadeTask[] {
  const draw = drawing(seed);
  const short = Array.from({ length: 16 }, (_, at) => draw(`short-${at}`, ["split"], [4, 5]));
  const long = Array.from({ length: 5 }, (_, at) =>
    draw(`long-${at}`, [at === 0 ? "split" : `long-${at - 1}`], [4, 5]),
  );
  return [draw("split", [], [0.5, 1]), ...short, ...long, draw("gather", [...idsOf(short), "long-4"], [0.5, 1])];
}

function idsOf(tasks: readonly MadeTask[]): readonly string[] {
  return tasks.map(({ id }) => id);
}

type Draw = (id: string, after: readonly string[], seconds: readonly [low: number, high: number]) => MadeTask;

function drawing(seed: number): Draw {
  const random = seededRandom(seed);
  return (id, after, [low, high]) => ({
    id,
    after,
    seconds: round(low + (high - low) * random()),
    outputBytes: Math.floor(random() * 200_000),
  });
}

function round(seconds: number): number {
  return Math.round(seconds * 1_000) / 1_000;
}
