/** The embedded broker keeps the contract. */
import { openSqliteBroker } from "../../src/broker/sqlite/index.ts";
import { brokerContract } from "./broker-contract.ts";

brokerContract(
  "sqlite",
  async (ingredients) => {
    const broker = openSqliteBroker({ file: ":memory:", ...ingredients });
    return { broker, close: () => broker.close() };
  },
  { propertyRuns: 60 },
);
