/** The shape of a contract case: a name, the promises it proves, and what it does with a fresh world. */
import type { BrokerSettings } from "../../src/broker/settings.ts";
import type { World } from "./world.ts";

/** Numbers of the promises at the head of src/broker/contract.ts. */
export type PromiseNumber = 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10;

export interface ContractCase {
  /** Sentence that is true of every broker. */
  readonly name: string;
  readonly promises: readonly PromiseNumber[];
  /** Settings of the broker under test that differ from the defaults. */
  readonly settings?: Partial<BrokerSettings>;
  readonly run: (world: World) => Promise<void>;
}

/** Cases about one group of operations. */
export interface CaseGroup {
  readonly name: string;
  readonly cases: readonly ContractCase[];
}
