import type { Broker, Lease, Outcome, Submission, TaskGroup } from "../../src/broker/contract.ts";
import { DEFAULT_RETRY } from "../../src/core/retry.ts";
import { type Measure, type Sample, timedMs } from "../measure.ts";
import { openRedis } from "../peers/open-redis.ts";
import { RedisServer } from "../peers/redis-server.ts";

const CHAINS = 10_000;
const IN_FLIGHT = 256;
const CHAINS_PER_CALL = 32;
const NODES = 100_000;
const NODES_PER_CALL = 20_000;
const WIDTH = 1_000;
const CLAIMED = 256;

/** Both shapes with nothing but the broker: no runners, outcomes made up at once. */
export const workflowBroker: Measure = {
  name: "workflow-broker",
  about:
    "Chains of three tasks and a graph of 100,000 with three parents each, on Redis: submitted, claimed, committed.",
  rounds: 3,
  round: async (context) => {
    const server = await RedisServer.start("everysec", context.folder());
    try {
      const broker = await openRedis(server);
      const samples = [await runChains(broker), ...(await runGraph(broker))];
      await broker.close();
      return samples;
    } finally {
      await server.stop();
    }
  },
};

function groupOf(after: readonly (readonly number[])[], ranks: readonly number[]): TaskGroup {
  const inputs = after.map((_, index) => JSON.stringify({ node: `n${index}` }));
  const work = { kind: "tasks", inputs, after, ranks, labels: ranks.map((_, index) => `n${index}`) } as const;
  return { name: "node", handler: "{}", pool: "default", requires: [], retry: DEFAULT_RETRY, maxLosses: 3, work };
}

function workflow(group: TaskGroup, isOpen = false): Submission {
  return { name: "workflow", kind: "workflow", priority: 5, groups: [group], open: isOpen };
}

/** Claims and commits until so many tasks are done; `onDone` hears of each. */
async function work(broker: Broker, tasks: number, onDone: (lease: Lease) => void): Promise<void> {
  const profile = { host: "bench", pid: process.pid, pools: ["default"], capabilities: [], slots: CLAIMED };
  const { session } = await broker.openSession({ ...profile, worker: "bench" });
  let outcomes: Outcome[] = [];
  for (let done = 0; done < tasks || outcomes.length > 0;) {
    const max = done < tasks ? CLAIMED : 0;
    const claim = { max, waitMs: 0 };
    const { leases } = await broker.commit({ session, outcomes, ...(max === 0 ? {} : { claim }) });
    outcomes = leases.map((lease) => ({ kind: "completed", lease, durationMs: 1, result: "null" }));
    done += leases.length;
    leases.forEach(onDone);
  }
  await broker.closeSession({ session, reason: "left" });
}

async function runChains(broker: Broker): Promise<Sample> {
  const chain = workflow(groupOf([[], [0], [1]], [3, 2, 1]));
  let submitted = 0;
  let ended = 0;
  const submitMore = async (): Promise<void> => {
    const count = Math.min(CHAINS_PER_CALL, CHAINS - submitted);
    submitted += count;
    if (count > 0) await broker.submit({ submissions: Array.from({ length: count }, () => chain) });
  };
  const wallMs = await timedMs(async () => {
    const submits = Array.from({ length: IN_FLIGHT / CHAINS_PER_CALL }, submitMore);
    await work(broker, 3 * CHAINS, ({ task }) => {
      if (task !== 2) return;
      ended += 1;
      if (ended % CHAINS_PER_CALL === 0) submits.push(submitMore());
    });
    await Promise.all(submits);
  });
  return perSecond(`chains of 3, ${IN_FLIGHT} in flight`, "workflows/s", CHAINS / (wallMs / 1_000));
}

function parentsOf(node: number): number[] {
  const layer = Math.floor(node / WIDTH) * WIDTH - WIDTH;
  if (layer < 0) return [];
  return [...new Set([node % WIDTH, (node * 7 + 1) % WIDTH, (node * 13 + 5) % WIDTH])].map((place) => layer + place);
}

function partOf(part: number): TaskGroup {
  const nodes = Array.from({ length: NODES_PER_CALL }, (_, index) => part * NODES_PER_CALL + index);
  return groupOf(
    nodes.map(parentsOf),
    nodes.map((node) => NODES - node),
  );
}

async function runGraph(broker: Broker): Promise<Sample[]> {
  const parts = NODES / NODES_PER_CALL;
  const submitMs = await timedMs(async () => {
    const { executions } = await broker.submit({ submissions: [workflow(partOf(0), true)] });
    const executionId = executions[0]?.executionId ?? "";
    for (let part = 1; part < parts; part += 1)
      await broker.extend({ executionId, part, groups: [partOf(part)], seal: part === parts - 1 });
  });
  const runMs = await timedMs(() => work(broker, NODES, () => undefined));
  return [
    { system: "holdfast", setting: `${NODES} nodes, submitted`, unit: "ms", value: submitMs },
    perSecond(`${NODES} nodes, ${CLAIMED} a call`, "nodes/s", NODES / (runMs / 1_000)),
  ];
}

function perSecond(setting: string, unit: string, value: number): Sample {
  return { system: "holdfast", setting, unit, value };
}
