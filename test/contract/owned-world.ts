/** A world of the contract suite on a real file, whose owner can be replaced at any moment. */
import { openSqliteBroker } from "../../src/broker/sqlite/index.ts";
import { World } from "./world.ts";
import { ReopenedBroker } from "../support/reopened-broker.ts";
import { seededRandom } from "../support/seeded-random.ts";
import { turnsOfTheLoop, VirtualClock } from "../support/virtual-clock.ts";

export interface OwnedWorld {
  readonly world: World;
  /** The owner of the file ends, another one opens it. */
  readonly reopen: () => Promise<void>;
  readonly close: () => Promise<void>;
}

export function openOwnedWorld(file: string, seed = 1): OwnedWorld {
  const random = seededRandom(seed);
  let ids = 0;
  const newId = (): string => {
    ids += 1;
    return `id-${ids}`;
  };
  const clock = new VirtualClock(turnsOfTheLoop);
  const owned = new ReopenedBroker(() => openSqliteBroker({ file, clock, random, newId }));
  const world = new World({
    broker: owned.facade,
    clock,
    propertyRuns: 1,
    another: () => Promise.reject(new Error("this world has one file")),
  });
  return { world, reopen: () => owned.reopen(), close: () => owned.facade.close() };
}
