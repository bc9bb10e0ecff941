/**
 * Random histories in which the owner of the file ends and another opens it, again and again: what
 * the embedded broker keeps in memory must be what the file says, at every moment.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
import fc from "fast-check";
import { type Broker, BROKER_METHODS, type BrokerMethod, type Submission } from "../../src/broker/contract.ts";
import { openSqliteBroker } from "../../src/broker/sqlite/index.ts";
import { histories, mixed, sweeps, workflows } from "../contract/arbitrary-history.ts";
import { auditBroker } from "../contract/audit.ts";
import { RandomHistory, type Step } from "../contract/random-history.ts";
import { World } from "../contract/world.ts";
import { checkProperty } from "../support/check-property.ts";
import { seededRandom } from "../support/seeded-random.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

const RUNS = 25;
const TIME_LIMIT_MS = 15_000;

/** A broker whose owner can be replaced while others hold on to it. */
class ReopenedBroker {
  readonly facade: Broker;
  #current: Broker;
  readonly #open: () => Broker;

  constructor(open: () => Broker) {
    this.#open = open;
    this.#current = open();
    const methods = Object.fromEntries(
      BROKER_METHODS.map((method) => [method, (params: unknown) => (this.#current[method] as (given: unknown) => Promise<unknown>)(params)]),
    ) as unknown as Pick<Broker, BrokerMethod>;
    this.facade = { ...methods, features: this.#current.features, close: () => this.#current.close() };
  }

  async reopen(): Promise<void> {
    await this.#current.close();
    this.#current = this.#open();
  }
}

/** Every third step or so is a new owner. */
function withRestarts(steps: readonly Step[]): readonly Step[] {
  return steps.flatMap((step) => (step.pick % 3 === 0 ? [{ ...step, kind: "restart" }, step] : [step]));
}

it("a history goes on where the last owner of the file left it", { timeout: 60_000 }, async () => {
  const folder = await mkdtemp(join(tmpdir(), "holdfast-restarts-"));
  let files = 0;
  const given = fc.tuple(sweeps, workflows, mixed, histories);
  const effort = { runs: RUNS, timeLimitMs: TIME_LIMIT_MS };
  const holds = async ([sweep, workflow, both, steps]: [Submission, Submission, Submission, readonly Step[]]): Promise<void> => {
    files += 1;
    const file = join(folder, `${files}.db`);
    const clock = new VirtualClock();
    const random = seededRandom(files);
    let ids = 0;
    const newId = (): string => {
      ids += 1;
      return `id-${ids}`;
    };
    const owned = new ReopenedBroker(() => openSqliteBroker({ file, clock, random, newId }));
    const world = new World({ broker: owned.facade, clock, propertyRuns: 1, another: () => Promise.reject(new Error("one broker is enough")) });
    try {
      const history = await RandomHistory.start(world, [sweep, workflow, both], () => owned.reopen());
      for (const step of withRestarts(steps)) await history.take(step);
      await history.finish();
      await owned.reopen();
      await auditBroker(owned.facade);
    } finally {
      await owned.facade.close();
    }
  };
  try {
    await checkProperty(given, effort, holds);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
