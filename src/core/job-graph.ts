/**
 * Jobs that name the jobs they depend on: whether that is a graph without cycles, and an order in
 * which every job comes after those that it depends on. Pure.
 */
import { Heap } from "../util/heap.ts";

export interface GraphJob {
  readonly id: string;
  readonly dependsOn: readonly string[];
  /** Of jobs that could come next, those with the highest do. */
  readonly priority: number;
}

export interface GraphProblem {
  /** Index of the job. */
  readonly job: number;
  /** Index within `dependsOn`; absent where the problem is the job's id. */
  readonly dependency?: number;
  readonly problem: string;
}

/** Indexes of the jobs in order, or everything that is wrong with them. */
export type JobOrder =
  | { readonly order: readonly number[]; readonly problems?: undefined }
  | { readonly order?: undefined; readonly problems: readonly GraphProblem[] };

/** Jobs named when a cycle is told. */
const MAX_SHOWN = 12;

export function orderJobs(jobs: readonly GraphJob[]): JobOrder {
  const indexes = new Map<string, number>();
  const problems: GraphProblem[] = [];
  jobs.forEach(({ id }, job) => {
    const first = indexes.get(id);
    if (first === undefined) indexes.set(id, job);
    else problems.push({ job, problem: `is ${shown(id)}, as is the id of jobs[${first}]; ids must differ` });
  });
  const parents = jobs.map(({ id, dependsOn }, job) => {
    const found = new Set<number>();
    dependsOn.forEach((parent, dependency) => {
      const index = indexes.get(parent);
      if (parent === id) problems.push({ job, dependency, problem: `is ${shown(id)}: a job cannot depend on itself` });
      else if (index === undefined)
        problems.push({ job, dependency, problem: `is ${shown(parent)}, and there is no such job` });
      else found.add(index);
    });
    return [...found];
  });
  const { order, left } = sorted(jobs, parents);
  for (const cycle of cyclesAmong(left, parents)) problems.push(cycleProblem(jobs, cycle));
  return problems.length > 0 ? { problems } : { order };
}

/** `left`: jobs in a cycle, and those that come after one. */
function sorted(
  jobs: readonly GraphJob[],
  parents: readonly (readonly number[])[],
): { readonly order: readonly number[]; readonly left: ReadonlySet<number> } {
  const children: number[][] = jobs.map(() => []);
  const waitsFor = parents.map((some) => some.length);
  parents.forEach((some, job) => {
    for (const parent of some) children[parent]?.push(job);
  });
  // Index within priority: the order of the request is kept where nothing speaks against it.
  const ready = new Heap<number>((job) => job - (jobs[job]?.priority ?? 0) * jobs.length);
  waitsFor.forEach((count, job) => {
    if (count === 0) ready.push(job);
  });
  const order: number[] = [];
  const left = new Set(jobs.keys());
  for (let job = ready.pop(); job !== undefined; job = ready.pop()) {
    order.push(job);
    left.delete(job);
    for (const child of children[job] ?? []) {
      const count = (waitsFor[child] ?? 0) - 1;
      waitsFor[child] = count;
      if (count === 0) ready.push(child);
    }
  }
  return { order, left };
}

/** Every cycle that is met first on the way up from some job; each once. */
function cyclesAmong(
  left: ReadonlySet<number>,
  parents: readonly (readonly number[])[],
): readonly (readonly number[])[] {
  const cycles: number[][] = [];
  const seen = new Set<number>();
  for (const start of left) {
    const path = new Map<number, number>();
    let job: number | undefined = start;
    while (job !== undefined && !seen.has(job)) {
      seen.add(job);
      path.set(job, path.size);
      job = parents[job]?.find((parent) => left.has(parent));
    }
    const from = job === undefined ? undefined : path.get(job);
    if (from !== undefined) cycles.push([...path.keys()].slice(from));
  }
  return cycles;
}

/** A cycle is told where it is closed, as the way along which jobs wait for each other. */
function cycleProblem(jobs: readonly GraphJob[], cycle: readonly number[]): GraphProblem {
  const [first = 0, second = first] = cycle;
  const ids = [...cycle, first].map((job) => jobs[job]?.id ?? "");
  const named =
    ids.length > MAX_SHOWN
      ? [...ids.slice(0, MAX_SHOWN - 2), `… ${ids.length - MAX_SHOWN + 1} more`, ids.at(-1) ?? ""]
      : ids;
  const dependency = jobs[first]?.dependsOn.indexOf(jobs[second]?.id ?? "") ?? 0;
  return { job: first, dependency, problem: `closes a cycle: ${named.join(" waits for ")}` };
}

function shown(id: string): string {
  return JSON.stringify(id.length > 60 ? `${id.slice(0, 57)}...` : id);
}
