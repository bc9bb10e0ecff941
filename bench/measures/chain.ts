import { defineWorkflow } from "../../src/sdk/workflow.ts";
import { type Fleet, type Store, withFleet } from "../fleet.ts";
import { type BenchContext, type Measure, nowMs, type Sample } from "../measure.ts";
import { step } from "../no-op.ts";
import { startRestate } from "../restate/server.ts";
import { quantile } from "../statistics.ts";

const ONE_BY_ONE = 300;
const IN_FLIGHT = 256;
const MANY = 10_000;
/** Before anything is measured: code is compiled, connections are open. */
const WARM_UP = 1_000;

/** Three steps, each with the output of the one before. */
export const chain = defineWorkflow("chain", (w) => {
  const first = w.task("first", step, { input: { value: 1 } });
  const second = w.task("second", step, { input: { value: first.output("value") } });
  w.task("third", step, { input: { value: second.output("value") } });
});

export const chains: Measure = {
  name: "workflow-chain",
  about: "A workflow of three steps, from submit to done: one after the other, and many at once. Beside Restate.",
  rounds: 5,
  round: async (context) => [
    ...(await holdfastChains(context, "redis")),
    ...(await holdfastChains(context, "sqlite")),
    ...(await restateChains(context)),
  ],
};

async function holdfastChains(context: BenchContext, store: Store): Promise<Sample[]> {
  return withFleet(context, { workers: 1, store }, (fleet) => measured(`holdfast, ${store}`, () => runChain(fleet)));
}

async function runChain({ client }: Fleet): Promise<void> {
  const execution = await client.submit(chain);
  const { counters } = await execution.wait();
  if (counters.completed !== 3) throw new Error("a chain did not complete");
}

async function restateChains(context: BenchContext): Promise<Sample[]> {
  const restate = await startRestate(context.folder());
  try {
    return await measured("restate, three steps of one handler", () => restate.runChain());
  } finally {
    await restate.close();
  }
}

async function measured(system: string, run: () => Promise<void>): Promise<Sample[]> {
  await inFlight(WARM_UP, run);
  const latenciesMs: number[] = [];
  for (let at = 0; at < ONE_BY_ONE; at += 1) {
    const startedAt = nowMs();
    await run();
    latenciesMs.push(nowMs() - startedAt);
  }
  const startedAt = nowMs();
  await inFlight(MANY, run);
  const perSecond = (MANY * 1_000) / (nowMs() - startedAt);
  return [
    { system, setting: "one after the other, p50", unit: "ms", value: quantile(latenciesMs, 0.5) },
    { system, setting: "one after the other, p99", unit: "ms", value: quantile(latenciesMs, 0.99) },
    { system, setting: `${IN_FLIGHT} in flight`, unit: "workflows/s", value: perSecond },
  ];
}

async function inFlight(count: number, run: () => Promise<void>): Promise<void> {
  let started = 0;
  const lane = async (): Promise<void> => {
    while (started < count) {
      started += 1;
      await run();
    }
  };
  await Promise.all(Array.from({ length: Math.min(IN_FLIGHT, count) }, lane));
}
