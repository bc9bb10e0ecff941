/**
 * The broker contract as tests: `brokerContract(name, factory)` runs every case against a fresh
 * broker, audits its books afterwards (audit.ts), and at the end checks that no case was left out.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Broker } from "../../src/broker/contract.ts";
import { seededRandom } from "../support/seeded-random.ts";
import { turnsOfTheLoop, VirtualClock } from "../support/virtual-clock.ts";
import { auditBroker } from "./audit.ts";
import { CASE_GROUPS, caseId } from "./cases.ts";
import type { ContractCase } from "./contract-case.ts";
import { type BrokerFactory, type BrokerUnderTest, World } from "./world.ts";

export interface ContractOptions {
  /** Random histories per property. */
  readonly propertyRuns: number;
  /** Cases that this broker cannot keep, by id (`group: name`), with the reason. */
  readonly skips?: Readonly<Record<string, string>>;
}

export function brokerContract(name: string, factory: BrokerFactory, options: ContractOptions): void {
  const skips = options.skips ?? {};
  const ran = new Set<string>();
  describe(`broker contract: ${name}`, () => {
    for (const group of CASE_GROUPS) {
      describe(group.name, () => {
        for (const one of group.cases) {
          const id = caseId(group, one);
          it(one.name, { skip: skips[id] ?? false, timeout: 30_000 }, async () => {
            ran.add(id);
            await runCase(one, (ingredients) => named(name, factory(ingredients)), options.propertyRuns);
          });
        }
      });
    }
    it("ran every case, or says why not", () => {
      checkNothingLeftOut(ran, skips);
    });
  });
}

/** A suite that is named after a broker tests that broker, not the one behind it. */
async function named(name: string, building: Promise<BrokerUnderTest>): Promise<BrokerUnderTest> {
  const under = await building;
  assert.equal(under.broker.features.name, name);
  return under;
}

function checkNothingLeftOut(ran: ReadonlySet<string>, skips: Readonly<Record<string, string>>): void {
  const all = new Set(CASE_GROUPS.flatMap((group) => group.cases.map((one) => caseId(group, one))));
  for (const [id, reason] of Object.entries(skips)) {
    assert.ok(all.has(id), `the skipped case "${id}" does not exist`);
    assert.ok(reason.length >= 20, `the skip of "${id}" says why`);
  }
  const leftOut = [...all].filter((id) => !ran.has(id) && skips[id] === undefined);
  assert.deepEqual(leftOut, []);
}

async function runCase(one: ContractCase, factory: BrokerFactory, propertyRuns: number): Promise<void> {
  const closers: (() => Promise<void>)[] = [];
  const build = async (): Promise<World> => {
    const known: { broker?: Broker } = {};
    // A call that the broker answers shows that the ones made before it have arrived.
    const clock = new VirtualClock(async () => {
      await turnsOfTheLoop();
      await known.broker?.listPools();
      await turnsOfTheLoop();
    });
    let ids = 0;
    const under = await factory({
      clock,
      random: seededRandom(1),
      newId: () => {
        ids += 1;
        return `id-${String(ids).padStart(4, "0")}`;
      },
      settings: one.settings ?? {},
    });
    known.broker = under.broker;
    closers.push(() => under.close());
    return new World({ broker: under.broker, clock, propertyRuns, another: build });
  };
  try {
    const world = await build();
    await one.run(world);
    await auditBroker(world.broker);
  } finally {
    for (const close of closers) await close();
  }
}
